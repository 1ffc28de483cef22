//! Who runs what: counted over the leader's own list of pods, so that a partitioned one is named.

use std::time::Duration;

use jiff::Timestamp;

use crate::control::{Key, Seat, tenant::Tenant};

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
    /// Pods that run something else or have not attached, at most a few.
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
    digest: &str,
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
        match acks.and_then(|acks| acks.get(key)) {
            Some(ack) if ack.digest == digest && ack.accepted => found.enforcing += 1,
            Some(ack) if ack.digest == digest => {
                found.refused = Some((pod.name.clone(), ack.message.clone()));
            }
            _ if found.awaiting.len() < NAMED => found.awaiting.push(pod.name.clone()),
            _ => {}
        }
    }
    found
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
