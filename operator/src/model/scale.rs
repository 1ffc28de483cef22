//! How many groups a model is to have, by what is asked of it. Pure, but for the one look at the load.

use std::time::Duration;

use aios_compile::Schedule;
use aios_crds::{
    ModelDeployment,
    model_deployment::{Scaling, ScalingEvent, ScalingMode, ScalingReason},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use crate::{
    conditions::whole_seconds,
    context::Context,
    control::Load,
    model::{
        ahead::{awaited, is_expected},
        schedule::{Due, due},
    },
};

/// Decisions that a status remembers.
const REMEMBERED: usize = 10;
/// A leader that has just begun has not heard of everybody yet: until then nothing is taken away.
const HEARING: Duration = Duration::from_secs(30);
/// A model that nobody calls and of which no group answered is looked at this often.
const TROUBLED_LOOK: Duration = Duration::from_secs(30);
/// While calls are under way, a pod that died silently is noticed this late.
const BUSY_LOOK: Duration = Duration::from_mins(1);

/// What became of a model that scales by demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scaled {
    pub desired: i32,
    /// The latest first.
    pub history: Vec<ScalingEvent>,
    /// When demand that stays as it is asks for another number.
    pub look_again: Option<Duration>,
}

/// What is known of the groups.
#[derive(Clone, Copy, Debug)]
pub struct Past {
    /// The last decision; none before the first.
    pub desired: Option<i32>,
    /// Where scaling begins.
    pub first: i32,
    /// Groups that answer.
    pub ready: i32,
    /// Whether a run with a deadline, or of a trigger, is going to call it.
    pub is_expected: bool,
    /// Fewest groups that schedules ask for now.
    pub scheduled: i32,
}

/// How many groups there are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    pub desired: i32,
    /// Why it changed; none when it did not.
    pub reason: Option<ScalingReason>,
    pub look_again: Option<Duration>,
}

/// Decides for a model whose scaling is the operator's; none for all others.
pub fn scaled(
    model: &ModelDeployment,
    schedules: &[Schedule],
    context: &Context,
    now: Timestamp,
) -> Option<Scaled> {
    let scaling = model.spec.scaling.as_ref()?;
    if scaling.mode != ScalingMode::Builtin || model.spec.self_hosted.is_none() {
        return None;
    }
    let status = model.status.as_ref();
    let (namespace, name) = (model.namespace().unwrap_or_default(), model.name_any());
    let due = due(schedules, now);
    let sleeps = scaling.fewest() == 0;
    let run = if sleeps {
        awaited(context, &namespace, &name, now)
    } else {
        Due::default()
    };
    let past = Past {
        desired: status.and_then(|status| status.desired_replicas),
        first: model.spec.replicas,
        ready: status.map_or(0, |status| status.ready_replicas),
        is_expected: run.groups > 0 || sleeps && is_expected(context, &namespace, &name, now),
        scheduled: due.groups,
    };
    let decision = context.hub.load(&namespace, &name, now, |load| {
        load.settle(scaling.calls_of_a_group().unsigned_abs(), now);
        decide(scaling, past, load, now)
    });
    let until = due.until.into_iter().chain(run.until).min();
    let history = status.map(|status| status.scaling_history.clone());
    Some(Scaled {
        desired: decision.desired,
        history: remembered(history.unwrap_or_default(), past, decision, now),
        look_again: sooner(decision.look_again, until, now),
    })
}

/// The earlier of a span and the time to a moment.
fn sooner(span: Option<Duration>, at: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
    let left = at.map(|at| Duration::try_from(at.duration_since(now)).unwrap_or_default());
    span.into_iter().chain(left).min()
}

/// Decides. Groups come as soon as the mean demand or a schedule asks for them, and at the first call of a
/// model that sleeps; they go once the busiest moment of `downDelay` did not need them.
pub fn decide(scaling: &Scaling, past: Past, load: &Load, now: Timestamp) -> Decision {
    let most = scaling.most();
    let floor = scaling.fewest().max(i32::from(past.is_expected));
    let fewest = floor.max(past.scheduled).min(most);
    let Some(current) = past.desired else {
        return Decision {
            desired: past.first.clamp(fewest, most),
            reason: None,
            look_again: Some(HEARING),
        };
    };
    let stay = |look_again| Decision {
        desired: current,
        reason: None,
        look_again,
    };
    let to = |desired, reason| Decision {
        desired,
        reason: Some(reason),
        look_again: Some(scaling.averaged_over().get()),
    };
    if !(fewest..=most).contains(&current) {
        let reason = if current < fewest && past.scheduled > floor {
            ScalingReason::Schedule
        } else if past.is_expected && current == 0 {
            ScalingReason::RunAhead
        } else {
            ScalingReason::Bounds
        };
        return to(current.clamp(fewest, most), reason);
    }
    let share = f64::from(scaling.calls_of_a_group());
    let (window, delay) = (scaling.averaged_over().get(), scaling.down_after().get());
    let tokens = scaling.target_tokens_per_second.map_or(0, |target| {
        groups(load.tokens_per_second(window, now), f64::from(target))
    });

    let at_once = groups(f64::from(load.calls()), share);
    let calls = if current == 0 {
        at_once
    } else {
        groups(load.mean(window, now), share)
    };
    let up = calls.max(tokens).min(most);
    if up > current {
        let reason = match current {
            0 => ScalingReason::CallsHeld,
            _ if tokens > calls => ScalingReason::MoreTokens,
            _ => ScalingReason::MoreCalls,
        };
        return to(up, reason);
    }

    let peak = load.peak(delay, now);
    let down = groups(f64::from(peak), share)
        .max(tokens)
        .clamp(fewest, most);
    let heard = load.known_for(now) >= delay.max(HEARING);
    // A model of which no group ever answered is in trouble, not idle.
    let proven = down > 0 || past.ready > 0;
    if down < current && heard && proven {
        let reason = if peak == 0 {
            ScalingReason::Idle
        } else {
            ScalingReason::LessDemand
        };
        return to(down, reason);
    }
    let rising = (at_once.min(most) > current).then(|| window / 4);
    let busy = (load.calls() > 0).then_some(match scaling.target_tokens_per_second {
        Some(_) => window / 2,
        None => BUSY_LOOK,
    });
    let falling = (current > fewest)
        .then(|| load.quiet_in(carried(current - 1, scaling), delay, now))
        .flatten()
        .map(|quiet| quiet.max(delay.max(HEARING).saturating_sub(load.known_for(now))))
        // The status that told of no group is the last one: one may answer since.
        .map(|left| if left.is_zero() { TROUBLED_LOOK } else { left });
    let next = [rising, busy, falling].into_iter().flatten().min();
    stay(next.map(|next| next.max(Duration::from_secs(1))))
}

/// Calls that so many groups carry.
fn carried(groups: i32, scaling: &Scaling) -> u32 {
    groups
        .saturating_mul(scaling.calls_of_a_group())
        .unsigned_abs()
}

/// Groups that carry a demand.
#[expect(
    clippy::cast_possible_truncation,
    reason = "floats saturate, and no demand has 2^31 groups"
)]
fn groups(demand: f64, share: f64) -> i32 {
    (demand / share.max(1.0)).ceil() as i32
}

fn remembered(
    mut history: Vec<ScalingEvent>,
    past: Past,
    decision: Decision,
    now: Timestamp,
) -> Vec<ScalingEvent> {
    if let (Some(from), Some(reason)) = (past.desired, decision.reason) {
        let event = ScalingEvent {
            time: Time(whole_seconds(now)),
            from,
            to: decision.desired,
            reason,
        };
        history.insert(0, event);
        history.truncate(REMEMBERED);
    }
    history
}

/// Time left for groups to follow the last decision, before they count as missing.
pub fn grace(scaled: &Scaled, hold_for: Duration, now: Timestamp) -> Option<Duration> {
    let last = scaled.history.first()?;
    let age = Duration::try_from(now.duration_since(last.time.0)).unwrap_or_default();
    hold_for.checked_sub(age).filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests;
