//! Groups as they exist, from their StatefulSets and pods.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use aios_compile::INGRESS_PORT;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::{
        apps::v1::{StatefulSet, StatefulSetSpec},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::ResourceExt;
use sha2::{Digest, Sha256};

use super::Role;
use crate::names::{
    ANNOTATION_MEMBERS, Component, ENGINE, LABEL_COMPONENT, LABEL_GROUP, LABEL_REVISION,
    LABEL_SLOT, LABEL_SPARE,
};

/// Nodes learn of an endpoint within so long; kube-proxy waits a second between two looks.
pub const SPREAD: SignedDuration = SignedDuration::from_secs(5);

/// A group that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Of its leader's StatefulSet.
    pub name: String,
    pub revision: String,
    pub slot: u32,
    /// What the StatefulSet gives to pods that it makes.
    pub role: Role,
    /// Pods that it should have.
    pub size: usize,
    pub members: Vec<Member>,
    /// Digest over its pods when it was whole for the first time.
    pub recorded: Option<String>,
}

/// A pod of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub name: String,
    pub uid: String,
    /// The leader's alone.
    pub role: Option<Role>,
    /// Whether the standby Service leads to it.
    pub spare: bool,
    pub ready: bool,
    /// Since when.
    pub ready_since: Option<Timestamp>,
    /// Where it is reached.
    pub ip: Option<String>,
    /// Of all its containers.
    pub restarts: i32,
    /// When its engine was started last.
    pub started: Option<Timestamp>,
}

impl Group {
    /// Whether it answers: its leader is ready, which it is only with the engine loaded, and so is
    /// every other shard.
    pub fn is_ready(&self) -> bool {
        self.members.len() == self.size && self.members.iter().all(|member| member.ready)
    }

    /// Whether it has been ready for so long that every node's Services lead to it.
    pub fn is_known(&self, now: Timestamp) -> bool {
        let known = |member: &Member| member.ready_since.is_some_and(|at| at + SPREAD <= now);
        self.is_ready() && self.members.iter().all(known)
    }

    /// Address of its ingress, while the group takes traffic.
    pub fn address(&self) -> Option<String> {
        let is_active = |member: &&Member| member.role == Some(Role::Active);
        let leader = self.members.iter().find(is_active)?;
        let ip: IpAddr = leader.ip.as_ref()?.parse().ok()?;
        let address = SocketAddr::new(ip, INGRESS_PORT);
        self.is_ready().then(|| format!("https://{address}"))
    }

    /// Digest over its pods and their restarts; none while pods are missing.
    pub fn members_digest(&self) -> Option<String> {
        if self.members.len() != self.size {
            return None;
        }
        let mut lines: Vec<String> = self
            .members
            .iter()
            .map(|member| format!("{} {}", member.uid, member.restarts))
            .collect();
        lines.sort();
        let digest = hex::encode(Sha256::digest(lines.join("\n")));
        Some(digest.chars().take(16).collect())
    }

    /// Whether a shard was lost: since the group was whole, or while its leader had loaded the model
    /// into it. What is left holds half a model, and only a start of all makes it whole again.
    pub fn is_torn(&self) -> bool {
        let recorded = self.recorded.as_ref();
        self.size > 1
            && (recorded.is_some_and(|known| self.members_digest().as_ref() != Some(known))
                || self.is_ready() && self.leads_the_dead())
    }

    /// Whether a shard was started after the leader that is loaded: the leader dialled another one,
    /// which was about to end.
    fn leads_the_dead(&self) -> bool {
        let (leaders, shards): (Vec<&Member>, Vec<&Member>) = self
            .members
            .iter()
            .partition(|member| member.role.is_some());
        let leader = leaders.iter().filter_map(|leader| leader.started).max();
        leader.is_some_and(|led| shards.iter().any(|shard| shard.started > Some(led)))
    }

    /// What is to be recorded of a group that has become whole.
    pub fn to_record(&self) -> Option<String> {
        (self.size > 1 && self.recorded.is_none() && self.is_ready() && !self.is_torn())
            .then(|| self.members_digest())
            .flatten()
    }
}

/// Groups in the order of their slots. Pods that end do not count.
pub fn seen(sets: &[StatefulSet], pods: &[Pod]) -> Vec<Group> {
    let mut members: BTreeMap<&str, Vec<Member>> = BTreeMap::new();
    for pod in pods
        .iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none())
    {
        if let Some(group) = label(&pod.metadata, LABEL_GROUP) {
            let mut member = member(pod);
            if member.role.is_none() && is_joined(sets, group) {
                // Leader and shards wait for each other: who started first says nothing.
                member.started = None;
            }
            members.entry(group).or_default().push(member);
        }
    }
    let workers = |group: &str| {
        shards_of(sets, group)
            .and_then(|spec| spec.replicas)
            .unwrap_or_default()
    };
    let mut groups: Vec<Group> = sets
        .iter()
        .filter(|set| set.metadata.deletion_timestamp.is_none())
        .filter_map(|set| {
            let meta = &set.metadata;
            let name = set.name_any();
            Some(Group {
                role: Role::parse(label(meta, LABEL_COMPONENT)?)?,
                revision: label(meta, LABEL_REVISION)?.to_owned(),
                slot: label(meta, LABEL_SLOT)?.parse().ok()?,
                size: 1 + usize::try_from(workers(&name)).unwrap_or_default(),
                members: members.remove(name.as_str()).unwrap_or_default(),
                recorded: set.annotations().get(ANNOTATION_MEMBERS).cloned(),
                name,
            })
        })
        .collect();
    groups.sort_by_key(|group| group.slot);
    groups
}

fn shards_of<'a>(sets: &'a [StatefulSet], group: &str) -> Option<&'a StatefulSetSpec> {
    sets.iter()
        .filter(|set| component(&set.metadata) == Some(Component::Shard))
        .find(|set| label(&set.metadata, LABEL_GROUP) == Some(group))
        .and_then(|set| set.spec.as_ref())
}

/// Whether a group's shards dial their leader: they are numbered after it.
fn is_joined(sets: &[StatefulSet], group: &str) -> bool {
    let ordinals = shards_of(sets, group).and_then(|spec| spec.ordinals.as_ref());
    ordinals.is_some_and(|ordinals| ordinals.start.unwrap_or_default() > 0)
}

fn member(pod: &Pod) -> Member {
    let status = pod.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_deref());
    let ready = conditions
        .unwrap_or_default()
        .iter()
        .find(|condition| condition.type_ == "Ready" && condition.status == "True");
    let containers = status.into_iter().flat_map(|status| {
        let main = status.container_statuses.iter().flatten();
        main.chain(status.init_container_statuses.iter().flatten())
    });
    Member {
        name: pod.name_any(),
        uid: pod.uid().unwrap_or_default(),
        role: label(&pod.metadata, LABEL_COMPONENT).and_then(Role::parse),
        spare: label(&pod.metadata, LABEL_SPARE).is_some(),
        ready: ready.is_some(),
        ready_since: ready.and_then(|ready| Some(ready.last_transition_time.as_ref()?.0)),
        ip: status.and_then(|status| status.pod_ip.clone()),
        restarts: containers.map(|container| container.restart_count).sum(),
        started: engine_started(pod),
    }
}

fn engine_started(pod: &Pod) -> Option<Timestamp> {
    let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
    let engine = containers.iter().find(|one| one.name == ENGINE)?;
    let running = engine.state.as_ref()?.running.as_ref()?;
    Some(running.started_at.as_ref()?.0)
}

fn component(meta: &ObjectMeta) -> Option<Component> {
    Component::parse(label(meta, LABEL_COMPONENT)?)
}

fn label<'a>(meta: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    meta.labels.as_ref()?.get(key).map(String::as_str)
}

/// One pod that has been ready for long, if it is.
#[cfg(test)]
pub fn group(revision: &str, slot: u32, role: Role, ready: bool) -> Group {
    Group {
        name: format!("m-{revision}-{slot}"),
        revision: revision.into(),
        slot,
        role,
        size: 1,
        members: vec![Member {
            name: format!("m-{revision}-{slot}-0"),
            uid: format!("{revision}{slot}"),
            role: Some(role),
            spare: role == Role::Standby,
            ready,
            ready_since: ready.then_some(Timestamp::UNIX_EPOCH),
            ip: ready.then(|| format!("10.0.0.{slot}")),
            restarts: 0,
            started: None,
        }],
        recorded: None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::{Role, seen};

    fn set(name: &str, component: &str, replicas: i32, annotations: &Value) -> Value {
        json!({
            "metadata": {"name": name, "annotations": annotations, "labels": {
                "app.kubernetes.io/component": component, "aios.dev/group": "m-aaaaaa-1",
                "aios.dev/revision": "aaaaaa", "aios.dev/slot": "1"}},
            "spec": {"replicas": replicas, "serviceName": "s", "selector": {}, "template": {}},
        })
    }

    fn pod(name: &str, component: &str, ready: bool, restarts: i32) -> Value {
        started(name, component, (ready, restarts), "2026-01-01T00:00:00Z")
    }

    fn started(name: &str, component: &str, (ready, restarts): (bool, i32), at: &str) -> Value {
        json!({
            "metadata": {"name": name, "uid": format!("uid-{name}"), "labels": {
                "app.kubernetes.io/component": component, "aios.dev/group": "m-aaaaaa-1"}},
            "status": {
                "conditions": [{"type": "Ready", "status": if ready {"True"} else {"False"}}],
                "containerStatuses": [{"name": "engine", "image": "", "imageID": "",
                    "ready": ready, "restartCount": restarts,
                    "state": {"running": {"startedAt": at}}}],
            },
        })
    }

    fn group(annotations: &Value, pods: Value) -> super::Group {
        let sets = json!([
            set("m-aaaaaa-1", "engine", 1, annotations),
            set("m-aaaaaa-1w", "shard", 1, &json!({})),
        ]);
        let sets: Vec<_> = serde_json::from_value(sets).unwrap();
        let pods: Vec<_> = serde_json::from_value(pods).unwrap();
        let mut groups = seen(&sets, &pods);
        assert_eq!(groups.len(), 1);
        groups.remove(0)
    }

    #[test]
    fn a_group_is_ready_once_every_shard_is() {
        let half = json!([pod("a", "engine", true, 0)]);
        assert!(!group(&json!({}), half).is_ready());
        let whole = json!([pod("a", "engine", true, 0), pod("b", "shard", true, 0)]);
        let whole = group(&json!({}), whole);
        assert!(whole.is_ready());
        assert_eq!((whole.slot, whole.size, whole.role), (1, 2, Role::Active));
    }

    #[test]
    fn a_group_is_reached_while_it_is_ready_and_takes_traffic() {
        let at = |role, ready, ip: &str| {
            let mut group = super::group("aaaaaa", 1, role, ready);
            group.members[0].ip = Some(ip.to_owned());
            group.address()
        };
        let address = at(Role::Active, true, "10.0.0.1");
        assert_eq!(address.as_deref(), Some("https://10.0.0.1:8443"));
        let address = at(Role::Active, true, "fd00::1");
        assert_eq!(address.as_deref(), Some("https://[fd00::1]:8443"));
        assert_eq!(at(Role::Active, false, "10.0.0.1"), None);
        assert_eq!(at(Role::Standby, true, "10.0.0.1"), None);
        assert_eq!(at(Role::Candidate, true, "10.0.0.1"), None);
    }

    #[test]
    fn a_lost_shard_tears_a_group_that_was_whole_and_no_other() {
        let pods = |restarts| {
            json!([
                pod("a", "engine", true, 0),
                pod("b", "shard", true, restarts)
            ])
        };
        let fresh = group(&json!({}), pods(2));
        assert!(!fresh.is_torn(), "it was never whole");
        let record = fresh.to_record().unwrap();
        let annotations = json!({"aios.dev/members": record});
        assert!(!group(&annotations, pods(2)).is_torn());
        assert!(group(&annotations, pods(3)).is_torn(), "a shard restarted");
        let gone = json!([pod("a", "engine", true, 0)]);
        assert!(group(&annotations, gone).is_torn(), "a shard is gone");
    }

    #[test]
    fn a_shard_that_joins_its_leader_may_start_after_it() {
        let shard = started("b", "shard", (true, 0), "2026-01-01T00:00:09Z");
        let mut sets = json!([
            set("m-aaaaaa-1", "engine", 1, &json!({})),
            set("m-aaaaaa-1w", "shard", 1, &json!({})),
        ]);
        sets[1]["spec"]["ordinals"] = json!({"start": 1});
        let sets: Vec<_> = serde_json::from_value(sets).unwrap();
        let pods = json!([pod("a", "engine", true, 0), shard]);
        let pods: Vec<_> = serde_json::from_value(pods).unwrap();
        let group = seen(&sets, &pods).remove(0);
        assert!(!group.is_torn() && group.to_record().is_some());
    }

    #[test]
    fn a_leader_that_loaded_its_model_into_a_shard_that_ended_starts_again() {
        let shard = started("b", "shard", (true, 0), "2026-01-01T00:00:09Z");
        let stale = json!([pod("a", "engine", true, 0), shard]);
        let stale = group(&json!({}), stale);
        assert!(stale.is_torn() && stale.to_record().is_none());
        let loading = started("b", "shard", (true, 0), "2026-01-01T00:00:09Z");
        let loading = json!([pod("a", "engine", false, 0), loading]);
        assert!(
            !group(&json!({}), loading).is_torn(),
            "it will fail to dial, and start again"
        );
    }
}
