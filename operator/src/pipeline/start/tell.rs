//! What is told of triggers: condition `TriggersReady` and a status for each. Pure.

use std::time::Duration;

use aios_compile::{Diagnostic, Trigger};
use aios_crds::{ConditionType, Reason, trigger::TriggerStatus};
use jiff::Timestamp;

use super::{Outcome, Started, step::Step};
use crate::{
    conditions::Fact,
    diagnostics::text,
    error::{Error, Result},
};

const KIND: ConditionType = ConditionType::TriggersReady;

/// Gathers what became of each.
#[derive(Default)]
pub struct Told {
    statuses: Vec<TriggerStatus>,
    suspended: Vec<String>,
    waiting: Vec<String>,
    taken: Vec<String>,
    error: Option<Error>,
    look_again: Option<Timestamp>,
}

/// Triggers that do not compile: what was known of them stays.
pub fn invalid(diagnostics: &[Diagnostic], before: &[TriggerStatus]) -> Started {
    Started {
        fact: Fact::no(KIND, Reason::InvalidSpec, text(diagnostics)),
        statuses: before.to_vec(),
        look_again: None,
        error: None,
    }
}

impl Told {
    pub fn add(&mut self, trigger: &Trigger, step: Step, done: Result<Outcome>) {
        let name = &trigger.written.name;
        if trigger.written.suspend {
            self.suspended.push(format!("`{name}`"));
        }
        if let Some(run) = step.waits_for {
            self.waiting
                .push(format!("`{name}` waits for WritingRun `{run}` to finish"));
        }
        match done {
            Ok(Outcome::Fine) => {}
            Ok(Outcome::Taken(run)) => self.taken.push(format!(
                "WritingRun `{run}` is not of trigger `{name}`, which is to make one of that name"
            )),
            Err(error) => self.error = self.error.take().or(Some(error)),
        }
        self.look_again = self.look_again.into_iter().chain(step.look_again).min();
        self.statuses.push(step.status);
    }

    pub fn end(self, now: Timestamp) -> Started {
        let fact = self.fact();
        let left = |at: Timestamp| Duration::try_from(at.duration_since(now)).unwrap_or_default();
        Started {
            fact,
            statuses: self.statuses,
            look_again: self.look_again.map(left),
            error: self.error,
        }
    }

    fn fact(&self) -> Fact {
        if let Some(error) = &self.error {
            return Fact::no(KIND, error.reason(), error.to_string());
        }
        if let Some(taken) = self.taken.first() {
            let message = format!("{taken}: delete it, or rename the trigger");
            return Fact::no(KIND, Reason::NameTaken, message);
        }
        let suspended = format!("suspended: {}", self.suspended.join(", "));
        if self.suspended.len() == self.statuses.len() {
            return Fact::yes(KIND, Reason::Suspended, suspended);
        }
        let mut message = vec!["status.triggers says when runs start".to_owned()];
        message.extend(self.waiting.iter().cloned());
        if !self.suspended.is_empty() {
            message.push(suspended);
        }
        Fact::yes(KIND, Reason::Ready, message.join("; "))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use aios_crds::Reason;
    use jiff::Timestamp;
    use serde_json::json;

    use super::{Outcome, Told};
    use crate::{
        conditions::State,
        error::{Error, Result},
        pipeline::start::step::step,
        testing::pipeline,
    };

    /// One trigger after the other, with whether it is suspended and how its step ended.
    fn told(triggers: Vec<(bool, Result<Outcome>)>) -> (State, Reason, String) {
        let mut told = Told::default();
        for (index, (suspend, done)) in triggers.into_iter().enumerate() {
            let mut pipeline = pipeline("mail", false, "Retain");
            let written = json!({"name": format!("t{index}"), "suspend": suspend, "cron": {
                "schedule": "0 9 * * *", "run": {"input": {"pointers": [{"customerId": 1}]}}}});
            pipeline.spec.triggers = vec![serde_json::from_value(written).unwrap()];
            let trigger = aios_compile::triggers(&pipeline.spec).unwrap().remove(0);
            let step = step(&trigger, None, ("mail", &[], true), Timestamp::UNIX_EPOCH);
            told.add(&trigger, step, done);
        }
        let fact = told.end(Timestamp::UNIX_EPOCH).fact;
        (fact.state, fact.reason, fact.message)
    }

    #[test]
    fn triggers_are_ready_also_while_they_are_suspended() {
        let fine = || Ok(Outcome::Fine);
        let (state, reason, message) = told(vec![(false, fine()), (true, fine())]);
        assert_eq!((state, reason), (State::True, Reason::Ready));
        assert!(message.ends_with("suspended: `t1`"), "{message}");
        let (state, reason, _) = told(vec![(true, fine())]);
        assert_eq!((state, reason), (State::True, Reason::Suspended));
    }

    #[test]
    fn a_run_that_cannot_be_made_is_told_with_its_remedy() {
        let taken = Ok(Outcome::Taken("mail-t0-202601090900".into()));
        let (state, reason, message) = told(vec![(false, taken), (false, Ok(Outcome::Fine))]);
        assert_eq!((state, reason), (State::False, Reason::NameTaken));
        assert!(message.contains("mail-t0-202601090900") && message.contains("rename"));
        let failed = Err(Error::Randomness("none"));
        let (state, ..) = told(vec![(false, failed), (true, Ok(Outcome::Fine))]);
        assert_eq!(state, State::False);
    }
}
