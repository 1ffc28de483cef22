#![allow(clippy::unwrap_used)]
use aios_crds::rollout::RolloutStatus;
use aios_proto::evaluation::{EvaluationReport, Fallen};
use jiff::{SignedDuration, Timestamp};

use super::{Course, Due, Facts, Outcome, course, due, groups_for, known, step};
use crate::model::groups::{Group, Place, Role, Want, beside, group, whole};

const STEPS: [i32; 3] = [5, 25, 100];
const ACTIVE: usize = 2;
const STEP_FOR: SignedDuration = SignedDuration::from_secs(60);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Of ten inputs, so many are answered well now and were before.
fn report(passed: u32, before: u32) -> Outcome {
    Outcome::Done(EvaluationReport {
        inputs: 10,
        passed,
        before: Some(before),
        fell: vec![Fallen {
            input: "refund-de".into(),
            passed_before: true,
            now: "blocked by rule no-promise".into(),
        }],
    })
}

/// A cluster and the operator in it, one pass a tick.
struct World {
    groups: Vec<Group>,
    status: Option<RolloutStatus>,
    /// As of the pass before: a watch may be late.
    stale: Option<RolloutStatus>,
    /// The spec that came with it.
    spec: String,
    second: i64,
    asked: Option<(String, i32)>,
}

/// How many of ten inputs a revision answers well: its name says it, as in `b9`.
fn quality(revision: &str) -> u32 {
    let digits: String = revision.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

impl World {
    fn new() -> Self {
        Self {
            groups: Vec::new(),
            status: None,
            stale: None,
            spec: "a9".into(),
            second: 0,
            asked: None,
        }
    }

    /// One pass. `sees` says whether it reads the object as it is, or one pass late.
    fn pass(&mut self, spec: &str, sees: bool) -> Vec<Place> {
        let read_spec = if sees { spec } else { &self.spec }.to_owned();
        let wanted = read_spec.as_str();
        let read = if sees { &self.status } else { &self.stale };
        // What is not in the status is lost with the process.
        let text = serde_json::to_string(read).unwrap();
        let read: Option<RolloutStatus> = serde_json::from_str(&text).unwrap();
        let state = known(read.as_ref(), wanted, &self.groups);
        let mut facts = Facts {
            wanted,
            groups: &self.groups,
            active: ACTIVE,
            steps: &STEPS,
            step_for: STEP_FOR,
            evaluation: Some("set"),
            min_score: 80,
            outcome: &Outcome::Missing,
            now: at(self.second),
        };
        let mut outcome = Outcome::Missing;
        if let (Some(candidate), Due::Evaluation { target }) =
            (&state.candidate, due(&state, &facts))
            && candidate == wanted
        {
            let asking = (format!("{}/{candidate}", state.stable), target);
            outcome = if self.asked.as_ref() == Some(&asking) {
                report(quality(candidate), quality(&state.stable))
            } else {
                Outcome::Running
            };
            self.asked = Some(asking);
        }
        facts.outcome = &outcome;
        let places = places(
            &course(&state, wanted, &STEPS, ACTIVE, at(self.second)),
            wanted,
            &self.groups,
        );
        let next = step(&state, &facts);
        self.stale = self.status.replace(next);
        self.groups = places
            .iter()
            .map(|place| group(&place.revision, place.slot, place.role, true))
            .collect();
        self.second += 30;
        self.spec = read_spec;
        places
    }

    fn takes(&self) -> (&str, Option<&str>, i32) {
        let status = self.status.as_ref().unwrap();
        (&status.stable, status.candidate.as_deref(), status.percent)
    }
}

fn places(course: &Course, wanted: &str, groups: &[Group]) -> Vec<Place> {
    let want = Want {
        revision: Some(wanted),
        active: ACTIVE,
        standby: 0,
        now: at(5),
    };
    match course {
        Course::Beside { stable, candidates } => beside(&want, stable, *candidates, groups),
        Course::Whole { leaving } => whole(&want, wanted, *leaving, groups),
    }
}

#[test]
fn a_good_revision_goes_through_every_step_and_takes_over() {
    let mut world = World::new();
    for _ in 0..3 {
        world.pass("a9", true);
    }
    let mut seen = Vec::new();
    for _ in 0..40 {
        world.pass("b9", true);
        let (_, candidate, percent) = world.takes();
        if candidate.is_some() && seen.last() != Some(&percent) {
            seen.push(percent);
        }
    }
    assert_eq!(seen, [0, 5, 25, 100]);
    assert_eq!(world.takes(), ("b9", None, 0));
    assert_eq!(world.groups.len(), ACTIVE);
    assert!(
        world
            .groups
            .iter()
            .all(|g| g.revision == "b9" && g.role == Role::Active)
    );
}

#[test]
fn a_worse_revision_is_taken_back_and_the_input_that_fell_is_named() {
    let mut world = World::new();
    for wanted in ["a9", "a9", "b8", "b8", "b8", "b8", "b8", "b8", "b8"] {
        world.pass(wanted, true);
        assert_eq!(world.takes().2, 0, "it never took a call");
    }
    let status = world.status.clone().unwrap();
    let refused = status.refused.unwrap();
    assert_eq!(
        (status.stable.as_str(), refused.revision.as_str()),
        ("a9", "b8")
    );
    assert_eq!((status.score, status.baseline), (Some(80), Some(90)));
    let said = "input refund-de: passed at revision a9, blocked by rule no-promise at b8";
    assert!(refused.message.starts_with(said), "{}", refused.message);
    assert!(world.groups.iter().all(|group| group.revision == "a9"));
    assert_eq!(world.groups.len(), ACTIVE);
}

#[test]
fn a_revision_that_took_calls_and_then_falls_gives_all_of_them_back() {
    let groups = [
        group("a9", 1, Role::Active, true),
        group("a9", 2, Role::Active, true),
        group("b9", 3, Role::Candidate, true),
        group("b9", 4, Role::Candidate, true),
    ];
    let taking = serde_json::json!({"stable": "a9", "candidate": "b9", "percent": 25,
        "since": "1970-01-01T00:00:00Z", "score": 90, "baseline": 90});
    let state: RolloutStatus = serde_json::from_value(taking).unwrap();
    let judged = |passed| {
        let facts = Facts {
            wanted: "b9",
            groups: &groups,
            active: ACTIVE,
            steps: &STEPS,
            step_for: STEP_FOR,
            evaluation: Some("set"),
            min_score: 80,
            outcome: &report(passed, 9),
            now: at(60),
        };
        assert_eq!(due(&state, &facts), Due::Evaluation { target: 100 });
        step(&state, &facts)
    };
    assert_eq!(judged(9).percent, 100, "as good as before");
    let fallen = judged(8);
    assert_eq!((fallen.candidate.as_deref(), fallen.percent), (None, 0));
    assert_eq!((fallen.score, fallen.baseline), (Some(80), Some(90)));
    let refused = fallen.refused.as_ref().unwrap();
    assert_eq!(refused.revision, "b9");
    let said = "input refund-de: passed at revision a9, blocked by rule no-promise at b9; 80 % of the \
                answers pass, 90 % did at a9, 80 % must";
    assert_eq!(refused.message, said);
    let after = places(
        &course(&fallen, "b9", &STEPS, ACTIVE, at(60)),
        "b9",
        &groups,
    );
    assert_eq!(after.len(), ACTIVE, "{after:?}");
    let is_stable = |place: &Place| place.revision == "a9" && place.role == Role::Active;
    assert!(after.iter().all(is_stable), "{after:?}");
}

#[test]
fn a_revision_below_the_bound_is_refused_also_if_the_old_one_was_no_better() {
    let mut world = World::new();
    for wanted in ["a1", "a1", "b7", "b7", "b7", "b7", "b7", "b7"] {
        world.pass(wanted, true);
    }
    assert_eq!(world.status.unwrap().refused.unwrap().revision, "b7");
}

#[test]
fn a_revert_in_the_middle_ends_the_trial_at_once() {
    let mut world = World::new();
    world.pass("a9", true);
    world.pass("a9", true);
    while world.takes().2 < 25 {
        world.pass("b9", true);
    }
    let places = world.pass("a9", true);
    assert!(
        places.iter().all(|place| place.revision == "a9"),
        "{places:?}"
    );
    assert_eq!(world.takes(), ("a9", None, 0));
}

#[test]
fn a_refused_revision_is_asked_again_once_the_evaluation_changes() {
    let groups = [group("a9", 1, Role::Active, true)];
    let refused = serde_json::json!({"stable": "a9", "percent": 0,
        "refused": {"revision": "b8", "evaluation": "set", "message": ""}});
    let state: RolloutStatus = serde_json::from_value(refused).unwrap();
    let facts = |evaluation| Facts {
        wanted: "b8",
        groups: &groups,
        active: 1,
        steps: &STEPS,
        step_for: STEP_FOR,
        evaluation,
        min_score: 80,
        outcome: &Outcome::Missing,
        now: at(0),
    };
    assert_eq!(step(&state, &facts(Some("set"))), state);
    assert_eq!(step(&state, &facts(None)), state, "nobody knows");
    let again = step(&state, &facts(Some("other")));
    assert_eq!(
        (again.candidate.as_deref(), again.refused),
        (Some("b8"), None)
    );
}

#[test]
fn each_step_waits_for_the_groups_that_it_needs_and_for_its_time() {
    let groups = [
        group("a9", 1, Role::Active, true),
        group("b9", 2, Role::Candidate, true),
    ];
    let on_trial = |percent| RolloutStatus {
        stable: "a9".into(),
        candidate: Some("b9".into()),
        percent,
        since: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(0))),
        ..RolloutStatus::default()
    };
    let due_of = |percent, active, second| {
        let facts = Facts {
            wanted: "b9",
            groups: &groups,
            active,
            steps: &STEPS,
            step_for: STEP_FOR,
            evaluation: Some("set"),
            min_score: 80,
            outcome: &Outcome::Missing,
            now: at(second),
        };
        due(&on_trial(percent), &facts)
    };
    assert_eq!(
        due_of(0, 4, 0),
        Due::Evaluation { target: 5 },
        "nothing to wait for"
    );
    assert_eq!(due_of(5, 4, 59), Due::Pause(SignedDuration::from_secs(1)));
    assert_eq!(due_of(5, 4, 60), Due::Evaluation { target: 25 });
    assert_eq!(
        due_of(25, 4, 60),
        Due::Groups {
            loaded: 1,
            needed: 4
        }
    );
    assert_eq!(due_of(100, 1, 60), Due::Promotion);
    assert_eq!(
        (
            groups_for(5, 1),
            groups_for(25, 10),
            groups_for(100, 3),
            groups_for(50, 0)
        ),
        (1, 3, 3, 1)
    );
}

#[test]
fn what_is_running_is_stable_when_a_rollout_is_asked_for_first() {
    let groups = [
        group("x1", 1, Role::Standby, true),
        group("a9", 2, Role::Active, true),
    ];
    assert_eq!(known(None, "b9", &groups).stable, "a9");
    assert_eq!(known(None, "b9", &[]).stable, "b9");
}

#[test]
fn a_revision_that_was_refused_or_never_asked_does_not_take_over_a_stable_one_that_is_lost() {
    let lost = [group("b8", 2, Role::Candidate, true)];
    let state = |text: &str| -> RolloutStatus { serde_json::from_str(text).unwrap() };
    let refused = state(
        r#"{"stable": "a9", "refused": {"revision": "b8", "evaluation": "set", "message": ""}}"#,
    );
    assert_eq!(known(Some(&refused), "b8", &lost), refused);
    let unproven = state(r#"{"stable": "a9", "candidate": "b8"}"#);
    assert_eq!(known(Some(&unproven), "b8", &lost), unproven);
    let proven = state(r#"{"stable": "a9", "candidate": "b8", "percent": 5}"#);
    assert_eq!(known(Some(&proven), "b8", &lost).stable, "b8");
}

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// However edits, reverts, late watches and restarts interleave: what takes calls was found no worse,
/// the stable groups never leave before their successors, and it ends at the last spec or at its refusal.
#[test]
fn rapid_edits_and_reverts_end_in_the_right_state() {
    const SPECS: [&str; 6] = ["a9", "b9", "c10", "d7", "e8", "f3"];
    for seed in 0..300 {
        let mut dice = Dice(seed);
        let mut world = World::new();
        world.pass("a9", true);
        world.pass("a9", true);
        let mut stable = "a9".to_owned();
        let mut wanted = "a9";
        for tick in 0..400 {
            if tick < 300 && dice.below(8) == 0 {
                wanted = SPECS[usize::try_from(dice.below(6)).unwrap()];
            }
            let places = world.pass(wanted, dice.below(4) > 0);
            let (now, candidate, percent) = world.takes();
            if now != stable {
                assert!(
                    quality(now) >= quality(&stable),
                    "{seed}: {stable} gave way to {now}"
                );
                assert!(quality(now) >= 8, "{seed}: {now} is below the bound");
                stable = now.to_owned();
            }
            if let (Some(candidate), true) = (candidate, percent > 0) {
                assert!(
                    quality(candidate) >= quality(&stable),
                    "{seed}: {candidate} takes calls"
                );
            }
            let serving = places
                .iter()
                .filter(|place| place.role == Role::Active)
                .count();
            assert!(serving >= ACTIVE, "{seed}, tick {tick}: {places:?}");
        }
        let status = world.status.clone().unwrap();
        let refused = status
            .refused
            .as_ref()
            .map(|refused| refused.revision.as_str());
        if wanted == stable {
            assert_eq!((status.candidate, refused), (None, None), "{seed}");
        } else {
            assert_eq!((refused, status.candidate), (Some(wanted), None), "{seed}");
            let worse = quality(wanted) < quality(&stable) || quality(wanted) < 8;
            assert!(worse, "{seed}: {wanted} was refused beside {stable}");
        }
        assert_eq!(world.groups.len(), ACTIVE, "{seed}: {:?}", world.groups);
        assert!(
            world.groups.iter().all(|group| group.revision == stable),
            "{seed}"
        );
    }
}
