//! The Lease as a candidate sees it: whose it is, for how long, and what is written into it. Pure:
//! times come in. Times of others are never compared with our own.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::ResourceExt;

use crate::names::LEASE;

/// How fast leadership is renewed, given up and taken.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// A Lease that has not changed for so long is free.
    pub duration: Duration,
    /// Its holder stops writing so long after it asked for the last renewal that was granted.
    pub deadline: Duration,
    /// Time between two renewals.
    pub renew: Duration,
    /// A candidate looks at the Lease this often.
    pub look: Duration,
    /// A request without an answer is given up after this time.
    pub answer: Duration,
    /// Time until a failed request is sent again.
    pub retry: Duration,
}

/// A successor leads 8 seconds after a leader fell silent, and a second after it left. Two renewals
/// may go unanswered before a leader gives up.
pub const PACE: Pace = Pace {
    duration: Duration::from_secs(7),
    deadline: Duration::from_secs(5),
    renew: Duration::from_secs(2),
    look: Duration::from_secs(1),
    answer: Duration::from_secs(1),
    retry: Duration::from_millis(250),
};

/// What a candidate has seen of the Lease.
#[derive(Debug, Default)]
pub struct Sighting {
    version: Option<String>,
    /// When it was first seen as it is, on the candidate's own clock.
    since: Duration,
}

impl Sighting {
    /// Takes note of the Lease as it is `now`.
    pub fn note(&mut self, lease: &Lease, now: Duration) {
        let version = lease.resource_version();
        if self.version != version {
            self.version = version;
            self.since = now;
        }
    }

    /// Time until `me` may take the Lease: none if nobody holds it, or a former life of this pod.
    pub fn free_in(&self, lease: &Lease, me: &str, pace: &Pace, now: Duration) -> Duration {
        match holder(lease) {
            None => Duration::ZERO,
            Some(held) if held == me => Duration::ZERO,
            Some(_) => term(lease)
                .max(pace.duration)
                .saturating_sub(now.saturating_sub(self.since)),
        }
    }
}

/// Who holds the Lease.
pub fn holder(lease: &Lease) -> Option<&str> {
    let spec = lease.spec.as_ref()?;
    spec.holder_identity.as_deref().filter(|id| !id.is_empty())
}

/// How long its holder was granted it: another version of the operator may have other habits.
fn term(lease: &Lease) -> Duration {
    let seconds = lease
        .spec
        .as_ref()
        .and_then(|spec| spec.lease_duration_seconds);
    Duration::from_secs(seconds.and_then(|s| u64::try_from(s).ok()).unwrap_or(0))
}

/// The Lease in the hands of `me`.
pub fn taken(found: Option<&Lease>, me: &str, pace: &Pace, now: Timestamp) -> Lease {
    let mut lease = found.cloned().unwrap_or_default();
    lease.metadata.name = Some(LEASE.into());
    let before = lease.spec.take().and_then(|spec| spec.lease_transitions);
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(me.into()),
        lease_duration_seconds: i32::try_from(pace.duration.as_secs()).ok(),
        acquire_time: Some(MicroTime(now)),
        renew_time: Some(MicroTime(now)),
        lease_transitions: Some(before.map_or(0, |count| count.saturating_add(1))),
        ..LeaseSpec::default()
    });
    lease
}

/// The same, held on.
pub fn renewed(held: &Lease, now: Timestamp) -> Lease {
    let mut lease = held.clone();
    lease.spec.get_or_insert_with(LeaseSpec::default).renew_time = Some(MicroTime(now));
    lease
}

/// The same, in nobody's hands. The count of transitions goes on.
pub fn released(held: &Lease) -> Lease {
    let mut lease = held.clone();
    let transitions = lease.spec.take().and_then(|spec| spec.lease_transitions);
    lease.spec = Some(LeaseSpec {
        lease_transitions: transitions,
        ..LeaseSpec::default()
    });
    lease
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{PACE, Sighting, holder, released, renewed, taken};
    use jiff::Timestamp;
    use k8s_openapi::api::coordination::v1::Lease;
    use std::time::Duration;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn held(by: &str, version: &str) -> Lease {
        let mut lease = taken(None, by, &PACE, at(1));
        lease.metadata.resource_version = Some(version.into());
        lease
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn a_leader_stops_before_its_lease_is_free_and_a_successor_follows_within_ten_seconds() {
        assert!(PACE.deadline < PACE.duration);
        // Seen late by one look, then silent for its duration.
        assert!(PACE.look + PACE.duration + PACE.answer < seconds(10));
        // Two renewals may go unanswered.
        let tries = PACE.renew + (PACE.answer + PACE.retry) * 2;
        assert!(tries < PACE.deadline);
    }

    #[test]
    fn a_lease_is_free_once_it_has_not_changed_for_its_duration_on_our_own_clock() {
        let mut seen = Sighting::default();
        let lease = held("a", "1");
        seen.note(&lease, seconds(100));
        assert_eq!(seen.free_in(&lease, "b", &PACE, seconds(100)), seconds(7));
        seen.note(&lease, seconds(104));
        assert_eq!(seen.free_in(&lease, "b", &PACE, seconds(104)), seconds(3));
        // A renewal starts it anew, whatever time it names.
        let lease = held("a", "2");
        seen.note(&lease, seconds(106));
        assert_eq!(seen.free_in(&lease, "b", &PACE, seconds(106)), seconds(7));
        assert!(seen.free_in(&lease, "b", &PACE, seconds(113)).is_zero());
    }

    #[test]
    fn a_released_lease_and_that_of_a_former_life_of_the_pod_are_free_at_once() {
        let mut seen = Sighting::default();
        let lease = held("a", "1");
        seen.note(&lease, seconds(9));
        assert!(seen.free_in(&lease, "a", &PACE, seconds(9)).is_zero());
        let free = released(&lease);
        assert_eq!(holder(&free), None);
        assert!(seen.free_in(&free, "b", &PACE, seconds(9)).is_zero());
    }

    #[test]
    fn a_leader_of_another_version_keeps_the_time_it_was_granted() {
        let mut lease = held("a", "1");
        lease.spec.as_mut().unwrap().lease_duration_seconds = Some(15);
        let mut seen = Sighting::default();
        seen.note(&lease, seconds(0));
        assert_eq!(seen.free_in(&lease, "b", &PACE, seconds(7)), seconds(8));
    }

    #[test]
    fn transitions_are_counted_and_the_version_is_the_precondition() {
        let first = held("a", "1");
        let second = taken(Some(&released(&first)), "b", &PACE, at(2));
        let spec = second.spec.clone().unwrap();
        assert_eq!(spec.lease_transitions, Some(1));
        assert_eq!(second.metadata.resource_version.as_deref(), Some("1"));
        let later = renewed(&second, at(3)).spec.unwrap();
        assert_eq!(later.acquire_time, spec.acquire_time);
        assert_ne!(later.renew_time, spec.renew_time);
    }
}
