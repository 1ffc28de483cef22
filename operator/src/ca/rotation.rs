//! How one CA takes the place of another, in three writes of one Secret: the next is trusted before
//! it signs, and the previous one until nothing is shown any more that it signed. Pure.

use std::time::Duration;

use jiff::Timestamp;

use crate::ca::{Authority, CaError, Expected, Heard, Issued};

/// How long a data plane may take to attach and speak, and a kubelet to write files. Who has said
/// nothing for so long is taken for one that reads its files as the kubelet writes them.
pub const SILENCE: Duration = Duration::from_mins(2);
/// A renewal is looked for at least so often.
const LONGEST: Duration = Duration::from_hours(24);

/// The CA as its Secret keeps it.
#[derive(Clone, PartialEq, Eq)]
pub struct Kept {
    pub signing: Issued,
    pub stage: Stage,
    /// What a person wrote last to ask for another CA.
    pub asked: Option<String>,
    /// What they had written when the last rotation began.
    pub obeyed: Option<String>,
}

/// `since` is missing when it cannot be read.
#[derive(Clone, PartialEq, Eq)]
pub enum Stage {
    Settled,
    /// The next one is trusted and signs nothing yet.
    Introducing {
        next: Issued,
        since: Option<Timestamp>,
    },
    /// The previous one signs nothing any more and is still trusted.
    Retiring {
        previous: String,
        since: Option<Timestamp>,
    },
}

/// What a step is decided upon.
pub struct Moment<'a> {
    /// When the signing CA is to be replaced by itself.
    pub due: Timestamp,
    pub heard: &'a Heard,
    /// How long this leader has listened in this stage, by a clock that is never set.
    pub witnessed: Duration,
    /// How long a stage lasts at least.
    pub overlap: Duration,
    pub now: Timestamp,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing before this time has passed.
    Wait(Duration),
    /// Its time is over, and data planes are behind.
    Held,
    /// Make another CA and publish it.
    Introduce,
    /// Nobody knows when the stage began, or it lies in the future: it begins now.
    Restart,
    /// The next one signs from now on.
    Switch,
    /// The previous one is no longer trusted.
    Retire,
}

pub fn step(kept: &Kept, moment: &Moment<'_>) -> Step {
    let (since, go_on) = match &kept.stage {
        Stage::Settled => return settled(kept, moment),
        Stage::Introducing { since, .. } => (*since, Step::Switch),
        Stage::Retiring { since, .. } => (*since, Step::Retire),
    };
    let Some(lasted) = since.and_then(|since| between(since, moment.now)) else {
        return Step::Restart;
    };
    let heard = moment.heard;
    let left = moment.overlap.saturating_sub(lasted);
    let silence = SILENCE.saturating_sub(moment.witnessed);
    if !left.is_zero() {
        Step::Wait(left)
    } else if heard.behind > 0 {
        Step::Held
    } else if heard.silent > 0 && !silence.is_zero() {
        Step::Wait(silence)
    } else {
        go_on
    }
}

fn settled(kept: &Kept, moment: &Moment<'_>) -> Step {
    let is_asked = kept.asked.is_some() && kept.asked != kept.obeyed;
    match between(moment.now, moment.due) {
        Some(left) if !left.is_zero() && !is_asked => Step::Wait(left.min(LONGEST)),
        _ => Step::Introduce,
    }
}

/// `None` if `end` is before `start`.
fn between(start: Timestamp, end: Timestamp) -> Option<Duration> {
    Duration::try_from(end.duration_since(start)).ok()
}

impl Kept {
    pub fn new(signing: Issued) -> Self {
        Self {
            signing,
            stage: Stage::Settled,
            asked: None,
            obeyed: None,
        }
    }

    /// What signs now and all that is trusted beside it.
    pub fn authority(&self) -> Result<Authority, CaError> {
        let beside = match &self.stage {
            Stage::Settled => "",
            Stage::Introducing { next, .. } => next.certificate.as_str(),
            Stage::Retiring { previous, .. } => previous.as_str(),
        };
        Ok(Authority::open(&self.signing)?.trusted_beside(beside))
    }

    /// What data planes are waited for with; nothing while there is one CA.
    pub fn expected(&self) -> Result<Option<Expected>, CaError> {
        Ok(match &self.stage {
            Stage::Settled => None,
            Stage::Introducing { next, .. } => {
                Some(Expected::Trusts(Authority::open(next)?.key_id()?))
            }
            Stage::Retiring { .. } => Some(Expected::ShowsOnly(
                Authority::open(&self.signing)?.key_id()?,
            )),
        })
    }

    /// After [`Step::Introduce`].
    pub fn introduced(mut self, next: Issued, now: Timestamp) -> Self {
        self.obeyed.clone_from(&self.asked);
        self.stage = Stage::Introducing {
            next,
            since: Some(now),
        };
        self
    }

    /// After [`Step::Restart`].
    pub fn restarted(mut self, now: Timestamp) -> Self {
        match &mut self.stage {
            Stage::Settled => {}
            Stage::Introducing { since, .. } | Stage::Retiring { since, .. } => *since = Some(now),
        }
        self
    }

    /// After [`Step::Switch`]. The old key is gone for good.
    pub fn switched(mut self, now: Timestamp) -> Self {
        if let Stage::Introducing { next, .. } = self.stage {
            let old = std::mem::replace(&mut self.signing, next);
            self.stage = Stage::Retiring {
                previous: old.certificate,
                since: Some(now),
            };
        }
        self
    }

    /// After [`Step::Retire`].
    pub fn retired(mut self) -> Self {
        self.stage = Stage::Settled;
        self
    }
}

impl Stage {
    pub const ALL: [&'static str; 3] = ["settled", "introducing", "retiring"];

    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Introducing { .. } => "introducing",
            Self::Retiring { .. } => "retiring",
        }
    }
}

#[cfg(test)]
mod tests;
