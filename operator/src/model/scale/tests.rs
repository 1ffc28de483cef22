#![allow(clippy::unwrap_used)]
#![allow(
    clippy::needless_pass_by_value,
    reason = "literals of json! read better without `&`"
)]

use std::time::Duration;

use aios_crds::model_deployment::{Scaling, ScalingEvent, ScalingReason};
use aios_proto::control::ModelDemand;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use rstest::rstest;
use serde_json::{Value, json};

use super::{Decision, Past, Scaled, decide, grace, remembered};
use crate::control::Load;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn scaling(more: Value) -> Scaling {
    let mut spec = json!({"max": 4, "targetInFlight": 10, "window": "30s", "downDelay": "60s"});
    spec.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

fn past(desired: i32) -> Past {
    Past {
        desired: Some(desired),
        first: 1,
        ready: desired,
        is_expected: false,
        scheduled: 0,
    }
}

/// Seconds and calls from then on; no tokens.
fn load(steps: &[(i64, u32)]) -> Load {
    tokens(
        &steps
            .iter()
            .map(|(second, calls)| (*second, *calls, 0))
            .collect::<Vec<_>>(),
    )
}

fn tokens(steps: &[(i64, u32, u64)]) -> Load {
    let mut load = Load::new(at(0));
    for (second, in_flight, output_tokens) in steps {
        let demand = ModelDemand {
            model: "m".into(),
            in_flight: *in_flight,
            held: 0,
            output_tokens: *output_tokens,
        };
        load.tell("pod", 1, demand, at(*second));
    }
    load
}

fn decided(more: Value, current: i32, load: &Load) -> (i32, Option<ScalingReason>) {
    let decision = decide(&scaling(more), past(current), load, at(100));
    (decision.desired, decision.reason)
}

#[rstest]
#[case::asleep_and_idle(0, &[], 0, None)]
#[case::first_call_wakes_at_once(0, &[(100, 1)], 1, Some(ScalingReason::CallsHeld))]
#[case::a_flood_wakes_as_many_as_it_needs(0, &[(100, 35)], 4, Some(ScalingReason::CallsHeld))]
#[case::never_more_than_max(0, &[(100, 1000)], 4, Some(ScalingReason::CallsHeld))]
#[case::within_what_a_group_carries(1, &[(0, 10)], 1, None)]
#[case::steadily_more(1, &[(0, 11)], 2, Some(ScalingReason::MoreCalls))]
#[case::a_short_burst_adds_nothing(1, &[(0, 1), (97, 40)], 1, None)]
#[case::a_longer_one_does(1, &[(0, 1), (85, 40)], 3, Some(ScalingReason::MoreCalls))]
#[case::less_for_the_delay(4, &[(0, 40), (39, 15)], 2, Some(ScalingReason::LessDemand))]
#[case::less_for_a_moment(4, &[(0, 40), (60, 15)], 4, None)]
#[case::a_peak_within_the_delay_counts(4, &[(0, 5), (50, 40), (51, 5)], 4, None)]
#[case::idle_for_the_delay(3, &[(0, 9), (39, 0)], 0, Some(ScalingReason::Idle))]
#[case::idle_for_less(3, &[(0, 9), (41, 0)], 1, Some(ScalingReason::LessDemand))]
fn groups_follow_demand(
    #[case] current: i32,
    #[case] steps: &[(i64, u32)],
    #[case] desired: i32,
    #[case] reason: Option<ScalingReason>,
) {
    assert_eq!(decided(json!({}), current, &load(steps)), (desired, reason));
}

#[test]
fn bounds_hold_whatever_the_demand() {
    let idle = load(&[]);
    let busy = load(&[(0, 400)]);
    let bounds = Some(ScalingReason::Bounds);
    assert_eq!(decided(json!({"min": 2}), 2, &idle), (2, None));
    assert_eq!(decided(json!({"min": 2}), 1, &idle), (2, bounds));
    assert_eq!(decided(json!({"max": 3}), 4, &busy), (3, bounds));
    assert_eq!(
        decided(json!({"min": 2}), 4, &idle),
        (2, Some(ScalingReason::Idle))
    );
}

#[rstest]
#[case::wakes(0, 2, 2, Some(ScalingReason::Schedule))]
#[case::adds(1, 3, 3, Some(ScalingReason::Schedule))]
#[case::stays(2, 2, 2, None)]
#[case::is_bounded(4, 9, 4, None)]
#[case::lets_more_be(3, 2, 2, Some(ScalingReason::Idle))]
#[case::is_over(2, 0, 0, Some(ScalingReason::Idle))]
fn a_schedule_keeps_groups_up_without_a_call(
    #[case] current: i32,
    #[case] scheduled: i32,
    #[case] desired: i32,
    #[case] reason: Option<ScalingReason>,
) {
    let past = Past {
        scheduled,
        ..past(current)
    };
    let decision = decide(&scaling(json!({})), past, &load(&[]), at(100));
    assert_eq!((decision.desired, decision.reason), (desired, reason));
}

#[test]
fn a_schedule_brings_the_next_look_forward() {
    let second = Duration::from_secs;
    let sooner = |span: Option<u64>, until| super::sooner(span.map(second), until, at(100));
    assert_eq!(sooner(Some(30), Some(at(110))), Some(second(10)));
    assert_eq!(sooner(Some(30), Some(at(200))), Some(second(30)));
    assert_eq!(sooner(None, Some(at(160))), Some(second(60)));
    assert_eq!(sooner(None, None), None);
}

#[test]
fn tokens_a_second_ask_for_groups_where_the_spec_says_what_one_gives() {
    let load = tokens(&[(0, 5, 0), (69, 5, 0), (99, 5, 3000)]);
    assert_eq!(decided(json!({}), 1, &load), (1, None));
    let target = json!({"targetTokensPerSecond": 40});
    assert_eq!(
        decided(target.clone(), 1, &load),
        (3, Some(ScalingReason::MoreTokens))
    );
    assert_eq!(
        decided(target, 3, &load),
        (3, None),
        "nor do they go meanwhile"
    );
}

#[test]
fn scaling_begins_at_the_specs_replicas_within_the_bounds() {
    let first = |first, more: Value| {
        let past = Past {
            desired: None,
            first,
            ready: 0,
            is_expected: false,
            scheduled: 0,
        };
        let decision = decide(&scaling(more), past, &load(&[]), at(100));
        assert_eq!(decision.reason, None);
        decision.desired
    };
    assert_eq!(first(1, json!({})), 1);
    assert_eq!(first(9, json!({})), 4);
    assert_eq!(first(0, json!({"min": 2})), 2);
}

#[test]
fn a_run_with_a_deadline_wakes_a_model_before_its_first_call_and_keeps_it_awake() {
    let expected = |current| Past {
        is_expected: true,
        ..past(current)
    };
    let decide = |past| {
        let decision = decide(&scaling(json!({})), past, &load(&[]), at(1000));
        (decision.desired, decision.reason)
    };
    assert_eq!(decide(expected(0)), (1, Some(ScalingReason::RunAhead)));
    assert_eq!(decide(expected(1)), (1, None));
    assert_eq!(decide(expected(3)), (1, Some(ScalingReason::Idle)));
    assert_eq!(decide(past(1)), (0, Some(ScalingReason::Idle)));
}

#[test]
fn a_leader_that_has_just_begun_takes_nothing_away() {
    let young = Load::new(at(50));
    let decision = decide(&scaling(json!({})), past(2), &young, at(100));
    assert_eq!(decision.desired, 2);
    assert_eq!(decision.look_again, Some(Duration::from_secs(10)));
    let decision = decide(&scaling(json!({})), past(2), &young, at(110));
    assert_eq!(
        (decision.desired, decision.reason),
        (0, Some(ScalingReason::Idle))
    );
}

#[test]
fn a_model_of_which_no_group_ever_answered_is_not_put_to_sleep() {
    let unproven = Past {
        ready: 0,
        ..past(1)
    };
    let decision = decide(&scaling(json!({})), unproven, &load(&[]), at(1000));
    let again = Some(Duration::from_secs(30));
    assert_eq!((decision.desired, decision.look_again), (1, again));
}

#[rstest]
#[case::asleep(0, &[], None)]
#[case::going_to_sleep(1, &[(0, 1), (60, 0)], Some(20))]
#[case::busy(1, &[(0, 1)], Some(60))]
#[case::rising(1, &[(0, 1), (99, 40)], Some(7))]
fn the_next_look_is_when_the_same_demand_decides_otherwise(
    #[case] current: i32,
    #[case] steps: &[(i64, u32)],
    #[case] seconds: Option<u64>,
) {
    let decision = decide(&scaling(json!({})), past(current), &load(steps), at(100));
    assert_eq!(decision.desired, current);
    assert_eq!(decision.look_again.map(|next| next.as_secs()), seconds);
}

#[test]
fn ten_decisions_are_remembered_the_latest_first() {
    let mut history = Vec::new();
    for (second, to) in (0..).zip(1..=12) {
        let decision = Decision {
            desired: to,
            reason: Some(ScalingReason::MoreCalls),
            look_again: None,
        };
        history = remembered(history, past(to - 1), decision, at(second));
    }
    assert_eq!(history.len(), 10);
    let latest = ScalingEvent {
        time: Time(at(11)),
        from: 11,
        to: 12,
        reason: ScalingReason::MoreCalls,
    };
    assert_eq!(history.first(), Some(&latest));
    let none = Decision {
        desired: 12,
        reason: None,
        look_again: None,
    };
    assert_eq!(remembered(history.clone(), past(12), none, at(99)), history);
}

#[test]
fn groups_have_as_long_to_follow_as_calls_are_held() {
    let event = |time| ScalingEvent {
        time: Time(at(time)),
        from: 0,
        to: 1,
        reason: ScalingReason::CallsHeld,
    };
    let scaled = |history| Scaled {
        desired: 1,
        history,
        look_again: None,
    };
    let span = Duration::from_mins(2);
    assert_eq!(grace(&scaled(Vec::new()), span, at(100)), None);
    let left = grace(&scaled(vec![event(90)]), span, at(100));
    assert_eq!(left, Some(Duration::from_secs(110)));
    assert_eq!(grace(&scaled(vec![event(0)]), span, at(120)), None);
}
