#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use proptest::prelude::*;

use super::{Kept, Moment, SILENCE, Stage, Step, step};
use crate::ca::{Expected, Heard, Issued, KeyId, Papers};

const OVERLAP: Duration = Duration::from_mins(10);
/// Kubelets write files, and data planes attach and speak, within this time.
const PROMPT: Duration = Duration::from_mins(1);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A CA that is but a name.
fn ca(name: u32) -> Issued {
    Issued {
        certificate: name.to_string(),
        key: String::new(),
    }
}

fn moment(heard: &Heard, second: i64) -> Moment<'_> {
    Moment {
        due: at(1_000_000),
        heard,
        witnessed: SILENCE,
        overlap: OVERLAP,
        now: at(second),
    }
}

#[test]
fn a_ca_is_replaced_when_it_is_due_or_when_a_person_asks_and_not_twice_for_one_word() {
    let quiet = Heard::default();
    let mut kept = Kept::new(ca(0));
    assert_eq!(
        step(&kept, &moment(&quiet, 999_000)),
        Step::Wait(Duration::from_secs(1000))
    );
    assert_eq!(step(&kept, &moment(&quiet, 1_000_000)), Step::Introduce);
    kept.asked = Some("leaked".into());
    assert_eq!(step(&kept, &moment(&quiet, 0)), Step::Introduce);
    let done = kept.introduced(ca(1), at(0)).switched(at(0)).retired();
    assert!(matches!(step(&done, &moment(&quiet, 0)), Step::Wait(_)));
    let again = Kept {
        asked: Some("leaked again".into()),
        ..done
    };
    assert_eq!(step(&again, &moment(&quiet, 0)), Step::Introduce);
}

#[test]
fn a_stage_lasts_its_time_and_then_as_long_as_somebody_says_to_be_behind() {
    let overlap = i64::try_from(OVERLAP.as_secs()).unwrap();
    let kept = Kept::new(ca(0)).introduced(ca(1), at(0));
    let (ready, behind) = (
        Heard::default(),
        Heard {
            behind: 1,
            ..Heard::default()
        },
    );
    assert!(
        matches!(step(&kept, &moment(&ready, overlap - 1)), Step::Wait(left) if left.as_secs() == 1)
    );
    assert_eq!(step(&kept, &moment(&behind, overlap)), Step::Held);
    assert_eq!(step(&kept, &moment(&behind, 900_000)), Step::Held);
    assert_eq!(step(&kept, &moment(&ready, overlap)), Step::Switch);
    let kept = kept.switched(at(overlap));
    assert_eq!(step(&kept, &moment(&behind, 2 * overlap)), Step::Held);
    assert_eq!(step(&kept, &moment(&ready, 2 * overlap)), Step::Retire);
}

#[test]
fn who_says_nothing_is_waited_for_as_long_as_a_kubelet_takes() {
    let silent = Heard {
        silent: 3,
        ..Heard::default()
    };
    let kept = Kept::new(ca(0)).introduced(ca(1), at(0));
    let early = Moment {
        witnessed: Duration::ZERO,
        ..moment(&silent, 100_000)
    };
    assert_eq!(step(&kept, &early), Step::Wait(SILENCE));
    assert_eq!(step(&kept, &moment(&silent, 100_000)), Step::Switch);
}

#[test]
fn a_stage_that_began_in_the_future_begins_now() {
    let quiet = Heard::default();
    let mut kept = Kept::new(ca(0)).introduced(ca(1), at(500));
    assert_eq!(step(&kept, &moment(&quiet, 499)), Step::Restart);
    if let Stage::Introducing { since, .. } = &mut kept.stage {
        *since = None;
    }
    assert_eq!(step(&kept, &moment(&quiet, 900)), Step::Restart);
    let kept = kept.restarted(at(900));
    assert!(matches!(step(&kept, &moment(&quiet, 901)), Step::Wait(_)));
}

/// Files of a pod, or what its namespace holds for them.
#[derive(Clone, Debug)]
struct Files {
    trusted: BTreeSet<String>,
    shown: String,
}

#[derive(Clone, Debug)]
struct Pod {
    files: Files,
    /// Whether it keeps a stream; an old release says nothing.
    speaks: bool,
    told: Option<Files>,
}

/// A cluster in little: what is written, what is published, what pods have read and said.
struct World {
    kept: Kept,
    made: u32,
    published: Files,
    pods: Vec<Pod>,
    /// By a clock that is never set.
    elapsed: Duration,
    changed: Duration,
    /// Since when this leader leads.
    leads: Duration,
    /// By how much the clock of now is wrong.
    skew: i64,
}

#[derive(Clone, Debug)]
enum Happens {
    Reconciled,
    KubeletWrote(usize),
    Said(usize),
    PodCame(bool),
    PodWent(usize),
    OperatorRestarted,
    TimePassed(u64),
    ClockWasSet(i64),
    PersonAsked,
    Stepped,
}

fn files(kept: &Kept) -> Files {
    let other = match &kept.stage {
        Stage::Settled => None,
        Stage::Introducing { next, .. } => Some(next.certificate.clone()),
        Stage::Retiring { previous, .. } => Some(previous.clone()),
    };
    let signing = kept.signing.certificate.clone();
    Files {
        trusted: other.into_iter().chain([signing.clone()]).collect(),
        shown: signing,
    }
}

/// As [`Kept::expected`], of CAs that are but names.
fn expected(kept: &Kept) -> Option<Expected> {
    let key = |name: &str| KeyId::new(name.as_bytes());
    match &kept.stage {
        Stage::Settled => None,
        Stage::Introducing { next, .. } => Some(Expected::Trusts(key(&next.certificate))),
        Stage::Retiring { .. } => Some(Expected::ShowsOnly(key(&kept.signing.certificate))),
    }
}

impl World {
    fn new() -> Self {
        let kept = Kept::new(ca(0));
        Self {
            published: files(&kept),
            kept,
            made: 0,
            pods: Vec::new(),
            elapsed: Duration::ZERO,
            changed: Duration::ZERO,
            leads: Duration::ZERO,
            skew: 0,
        }
    }

    fn heard(&self) -> Heard {
        let Some(expected) = expected(&self.kept) else {
            return Heard::default();
        };
        let key = |name: &String| KeyId::new(name.as_bytes());
        let mut heard = Heard::default();
        for pod in &self.pods {
            let papers = pod.told.as_ref().map(|files| Papers {
                trusted: files.trusted.iter().map(key).collect(),
                shown: vec![key(&files.shown)],
            });
            match papers {
                None => heard.silent += 1,
                Some(papers) if expected.is_met_by(&papers) => {}
                Some(_) => heard.behind += 1,
            }
        }
        heard
    }

    fn since(&self, then: Duration) -> Duration {
        self.elapsed.saturating_sub(then)
    }

    fn now(&self) -> Timestamp {
        at(10_000_000 + i64::try_from(self.elapsed.as_secs()).unwrap() + self.skew)
    }

    fn step(&mut self) -> Step {
        let heard = self.heard();
        let now = self.now();
        let done = step(
            &self.kept,
            &Moment {
                due: at(i64::from(u32::MAX)),
                heard: &heard,
                witnessed: self.since(self.changed.max(self.leads)),
                overlap: OVERLAP,
                now,
            },
        );
        let (kept, before) = (self.kept.clone(), self.kept.clone());
        self.kept = match done {
            Step::Wait(_) | Step::Held => kept,
            Step::Introduce => {
                self.made += 1;
                kept.introduced(ca(self.made), now)
            }
            Step::Restart => kept.restarted(now),
            Step::Switch => kept.switched(now),
            Step::Retire => kept.retired(),
        };
        if matches!(done, Step::Introduce | Step::Switch | Step::Retire) {
            self.changed = self.elapsed;
            // Reconcilers had all of the stage before to write what it asked for.
            self.published = files(&before);
        }
        done
    }

    fn happens(&mut self, what: &Happens) {
        match what {
            Happens::Reconciled => self.published = files(&self.kept),
            Happens::KubeletWrote(pod) => {
                if let Some(pod) = pick(&mut self.pods, *pod) {
                    pod.files = self.published.clone();
                }
            }
            Happens::Said(pod) => {
                if let Some(pod) = pick(&mut self.pods, *pod) {
                    pod.told = pod.speaks.then(|| pod.files.clone());
                }
            }
            Happens::PodCame(speaks) => {
                if self.since(self.changed) >= PROMPT {
                    self.published = files(&self.kept);
                }
                self.pods.push(Pod {
                    files: self.published.clone(),
                    speaks: *speaks,
                    told: None,
                });
            }
            Happens::PodWent(pod) => {
                if !self.pods.is_empty() {
                    self.pods.remove(pod % self.pods.len());
                }
            }
            Happens::OperatorRestarted => {
                self.leads = self.elapsed;
                self.pods.iter_mut().for_each(|pod| pod.told = None);
            }
            Happens::TimePassed(seconds) => {
                self.elapsed += Duration::from_secs(*seconds);
                self.be_prompt();
            }
            Happens::ClockWasSet(by) => self.skew = *by,
            Happens::PersonAsked => self.kept.asked = Some(self.elapsed.as_secs().to_string()),
            Happens::Stepped => {
                self.step();
            }
        }
    }

    /// Whoever has not spoken is attached, or its files are written, in good time. Who has said to be
    /// behind may stay so for ever.
    fn be_prompt(&mut self) {
        let since = self.changed.max(self.leads);
        if self.since(since) < PROMPT {
            return;
        }
        self.published = files(&self.kept);
        for pod in &mut self.pods {
            match (pod.speaks, &pod.told) {
                (true, None) => pod.told = Some(pod.files.clone()),
                (false, _) => pod.files = self.published.clone(),
                (true, Some(_)) => {}
            }
        }
    }

    /// Whoever dials whom: what is shown is trusted.
    fn is_whole(&self) -> bool {
        let trusts = |pod: &Pod, shown: &String| pod.files.trusted.contains(shown);
        self.pods.iter().all(|client| {
            trusts(client, &self.kept.signing.certificate)
                && self
                    .pods
                    .iter()
                    .all(|server| trusts(client, &server.files.shown))
        })
    }
}

fn pick(pods: &mut [Pod], index: usize) -> Option<&mut Pod> {
    let count = pods.len().max(1);
    pods.get_mut(index % count)
}

fn anything() -> impl Strategy<Value = Happens> {
    prop_oneof![
        2 => Just(Happens::Reconciled),
        4 => (0..8_usize).prop_map(Happens::KubeletWrote),
        4 => (0..8_usize).prop_map(Happens::Said),
        2 => any::<bool>().prop_map(Happens::PodCame),
        1 => (0..8_usize).prop_map(Happens::PodWent),
        1 => Just(Happens::OperatorRestarted),
        4 => (1..900_u64).prop_map(Happens::TimePassed),
        1 => (-100_000..100_000_i64).prop_map(Happens::ClockWasSet),
        1 => Just(Happens::PersonAsked),
        8 => Just(Happens::Stepped),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn nobody_ever_shows_what_another_does_not_trust_and_every_rotation_ends(
        story in prop::collection::vec(anything(), 0..120)
    ) {
        let mut world = World::new();
        for what in &story {
            world.happens(what);
            prop_assert!(world.is_whole(), "after {what:?}: {:?}", world.pods);
        }
        // From now on everything works and clocks are right.
        world.skew = 0;
        for _ in 0..8 {
            world.happens(&Happens::Reconciled);
            for pod in 0..world.pods.len() {
                world.happens(&Happens::KubeletWrote(pod));
                world.happens(&Happens::Said(pod));
            }
            world.happens(&Happens::TimePassed(OVERLAP.as_secs()));
            world.happens(&Happens::Stepped);
            prop_assert!(world.is_whole());
        }
        prop_assert!(matches!(world.kept.stage, Stage::Settled));
        world.happens(&Happens::Reconciled);
        for pod in 0..world.pods.len() {
            world.happens(&Happens::KubeletWrote(pod));
        }
        let one = BTreeSet::from([world.kept.signing.certificate.clone()]);
        prop_assert!(world.pods.iter().all(|pod| pod.files.trusted == one));
    }
}
