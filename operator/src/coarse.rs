//! When numbers in a status are written: at most once a minute while they move, and soon after
//! they came to rest, so that the last number always is the right one; later where very many
//! objects ask at once.

use std::time::Duration;

/// Least time between two writes of moving numbers.
const MOVING: Duration = Duration::from_mins(1);
/// How long settled numbers must have rested.
const REST: Duration = Duration::from_secs(2);

/// What is known when deciding.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Whether a condition, or anything else but a number, changed.
    pub facts_changed: bool,
    pub numbers_changed: bool,
    /// Whether nothing is under way any more.
    pub settled: bool,
    /// Time since this object's status was written by this process, if it was.
    pub since_write: Option<Duration>,
    /// Time since the numbers last moved.
    pub since_move: Duration,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Write,
    /// Look again after this time.
    Wait(Duration),
    Nothing,
}

pub fn decide(moment: Moment) -> Decision {
    if moment.facts_changed {
        return Decision::Write;
    }
    if !moment.numbers_changed {
        return Decision::Nothing;
    }
    let until_moving = moment
        .since_write
        .map_or(Duration::ZERO, |t| MOVING.saturating_sub(t));
    let until_rest = if moment.settled {
        REST.saturating_sub(moment.since_move)
    } else {
        Duration::MAX
    };
    match until_moving.min(until_rest) {
        Duration::ZERO => Decision::Write,
        left => Decision::Wait(left),
    }
}

#[cfg(test)]
mod tests {
    use super::{Decision, Moment, decide};
    use std::time::Duration;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn moment() -> Moment {
        Moment {
            facts_changed: false,
            numbers_changed: true,
            settled: false,
            since_write: Some(seconds(10)),
            since_move: Duration::ZERO,
        }
    }

    #[test]
    fn a_changed_condition_is_written_at_once() {
        assert_eq!(
            decide(Moment {
                facts_changed: true,
                ..moment()
            }),
            Decision::Write
        );
    }

    #[test]
    fn nothing_new_is_never_written() {
        assert_eq!(
            decide(Moment {
                numbers_changed: false,
                ..moment()
            }),
            Decision::Nothing
        );
    }

    #[test]
    fn moving_numbers_are_written_once_a_minute() {
        assert_eq!(decide(moment()), Decision::Wait(seconds(50)));
        assert_eq!(
            decide(Moment {
                since_write: Some(seconds(60)),
                ..moment()
            }),
            Decision::Write
        );
        assert_eq!(
            decide(Moment {
                since_write: None,
                ..moment()
            }),
            Decision::Write
        );
    }

    #[test]
    fn settled_numbers_are_written_after_a_short_rest() {
        let settled = Moment {
            settled: true,
            ..moment()
        };
        assert_eq!(decide(settled), Decision::Wait(seconds(2)));
        assert_eq!(
            decide(Moment {
                since_move: seconds(2),
                ..settled
            }),
            Decision::Write
        );
    }
}
