//! Who runs what: counted over the leader's own list of pods, so that a partitioned one is named.

use std::time::Duration;

use aios_proto::control::ItemAck;
use jiff::Timestamp;

use crate::control::{Key, Offer, Seat, tenant::Tenant};

/// How long a new pod may take to attach before it is named. It does nothing before it enforces.
pub const GRACE: Duration = Duration::from_mins(1);
/// Pods named in a message.
const NAMED: usize = 5;

/// Whose acknowledgement counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Gateways and workers: they run policies.
    Writers,
    /// Gateways: they run pipelines.
    Gateways,
    /// Ingresses of the model that the item is.
    Ingresses,
}

/// How far an item is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enforcement {
    pub enforcing: usize,
    pub total: usize,
    /// Pods that run something else, judge by other revisions or have not attached, at most a few.
    pub awaiting: Vec<String>,
    /// A pod that refused the item, and why.
    pub refused: Option<(String, String)>,
    /// When to look again, because a new pod's grace ends.
    pub look_again: Option<Duration>,
}

impl Enforcement {
    pub fn is_complete(&self) -> bool {
        self.enforcing == self.total
    }

    /// The same, with pods named as of a namespace.
    pub fn of(mut self, namespace: &str) -> Self {
        for pod in &mut self.awaiting {
            *pod = format!("{namespace}/{pod}");
        }
        if let Some((pod, _)) = &mut self.refused {
            *pod = format!("{namespace}/{pod}");
        }
        self
    }

    pub fn merge(mut self, other: Self) -> Self {
        self.enforcing += other.enforcing;
        self.total += other.total;
        self.awaiting.extend(other.awaiting);
        self.awaiting.truncate(NAMED);
        self.refused = self.refused.or(other.refused);
        self.look_again = [self.look_again, other.look_again]
            .into_iter()
            .flatten()
            .min();
        self
    }
}

pub(super) fn count(
    tenant: &Tenant,
    key: &Key,
    item: &Offer,
    audience: Audience,
    now: Timestamp,
) -> Enforcement {
    let mut found = Enforcement::default();
    for pod in tenant.pods.values() {
        let Some(seat) = Seat::of_component(pod.component, pod.model.as_deref()) else {
            continue;
        };
        if !audience.includes(&seat, key) {
            continue;
        }
        let acks = tenant.acks.get(&(pod.uid.clone(), seat));
        if acks.is_none() {
            let age = Duration::try_from(now.duration_since(pod.seen)).unwrap_or_default();
            if age < GRACE {
                let left = GRACE.saturating_sub(age) + Duration::from_secs(1);
                found.look_again = Some(found.look_again.map_or(left, |other| other.min(left)));
                continue;
            }
        }
        found.total += 1;
        let own = acks.and_then(|acks| acks.get(key));
        match enforced_last(tenant, &pod.uid, key, (own, item), audience) {
            Some(ack) if ack.digest == item.digest() && !ack.accepted => {
                found.refused = Some((pod.name.clone(), ack.message.clone()));
            }
            Some(ack) if ack.digest == item.digest() && ack.engine == item.engine() => {
                found.enforcing += 1;
            }
            ack if found.awaiting.len() < NAMED => {
                found.awaiting.push(named(&pod.name, item, ack));
            }
            _ => {}
        }
    }
    found
}

/// What the last of a pod's processes says that must run the item: where writers run a policy, so must the
/// egress beside them, which judges their calls.
fn enforced_last<'a>(
    tenant: &'a Tenant,
    pod: &str,
    key: &Key,
    (own, item): (Option<&'a ItemAck>, &Offer),
    audience: Audience,
) -> Option<&'a ItemAck> {
    let runs =
        |ack: &ItemAck| ack.accepted && ack.digest == item.digest() && ack.engine == item.engine();
    if audience != Audience::Writers || !own.is_some_and(runs) {
        return own;
    }
    let egress = tenant.acks.get(&(pod.to_owned(), Seat::Egress));
    egress.map_or(own, |acks| acks.get(key))
}

/// A pod, and by what it judges where that alone differs: it runs another version of AIOS.
fn named(pod: &str, item: &Offer, ack: Option<&ItemAck>) -> String {
    match ack {
        Some(ack) if ack.digest == item.digest() => {
            let ours: Vec<_> = item.engine().split(' ').collect();
            let theirs = ack.engine.split(' ').filter(|one| !ours.contains(one));
            let theirs = theirs.collect::<Vec<_>>().join(" ");
            if theirs.is_empty() {
                return format!("{pod} (judges by unknown revisions)");
            }
            format!("{pod} (judges by {theirs})")
        }
        _ => pod.to_owned(),
    }
}

impl Audience {
    fn includes(self, seat: &Seat, key: &Key) -> bool {
        match (self, seat) {
            (Self::Writers, Seat::Gateway | Seat::Worker) | (Self::Gateways, Seat::Gateway) => true,
            (Self::Ingresses, Seat::Ingress(model)) => *model == key.name,
            _ => false,
        }
    }
}
