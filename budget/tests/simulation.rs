//! Many purses and one book, with processes that die, questions that come late or twice, answers that are
//! lost, keepers that lose their write, and periods that turn: what is really spent stays within the budget.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{collections::BTreeMap, sync::Mutex, thread};

use aios_budget::{Ask, Book, Hold, Period, Purse, Refusal};
use proptest::prelude::*;

const LIMIT: u64 = 1_000;
const PERIOD_MS: i64 = 10_000_000;

/// What happens to one of the processes, or to the book.
#[derive(Clone, Copy, Debug)]
enum Event {
    Call {
        process: usize,
        amount: u64,
    },
    /// The oldest call of a process ends; the cost is a percentage of what it could have been.
    End {
        process: usize,
        percent: u64,
    },
    Ask {
        process: usize,
        amount: u64,
        fate: Fate,
    },
    Report {
        process: usize,
        fate: Fate,
    },
    Close {
        process: usize,
        fate: Fate,
    },
    /// A question that was on its way for long arrives; nobody waits for the answer.
    Arrive {
        which: usize,
    },
    /// The process dies with its calls, which the model's servers may have answered in full.
    Die {
        process: usize,
    },
    Pass {
        millis: u64,
    },
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Answered,
    AnswerLost,
    /// It arrives later, after others.
    Delayed,
    /// Another keeper wrote in between: nothing is kept and nothing granted.
    WriteLost,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Answered),
        1 => Just(Fate::AnswerLost),
        1 => Just(Fate::Delayed),
        1 => Just(Fate::WriteLost),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let process = 0..4_usize;
    prop_oneof![
        6 => (process.clone(), 1..200_u64).prop_map(|(process, amount)| Event::Call { process, amount }),
        5 => (process.clone(), 0..=100_u64).prop_map(|(process, percent)| Event::End { process, percent }),
        5 => (process.clone(), 1..200_u64, fate()).prop_map(|(process, amount, fate)| Event::Ask { process, amount, fate }),
        2 => (process.clone(), fate()).prop_map(|(process, fate)| Event::Report { process, fate }),
        1 => (process.clone(), fate()).prop_map(|(process, fate)| Event::Close { process, fate }),
        2 => (0..8_usize).prop_map(|which| Event::Arrive { which }),
        1 => process.prop_map(|process| Event::Die { process }),
        1 => prop_oneof![Just(1_000), Just(4_000_000), Just(11_000_000)].prop_map(|millis| Event::Pass { millis }),
    ]
}

/// What was put aside for it, of how much, and of which period.
type Call = (Hold, u64, String);

struct World {
    /// What is written down: all that a keeper that starts anew knows.
    book: Book,
    processes: Vec<(Purse, Vec<Call>)>,
    born: usize,
    delayed: Vec<Ask>,
    now: i64,
    /// What really was spent, or may have been, by period.
    spent: BTreeMap<String, u64>,
}

impl World {
    fn new() -> Self {
        let processes = (0..4).map(|n| (Purse::new(format!("p{n}")), Vec::new()));
        Self {
            book: Book::default(),
            processes: processes.collect(),
            born: 4,
            delayed: Vec::new(),
            now: 0,
            spent: BTreeMap::new(),
        }
    }

    fn clock(&self) -> u64 {
        u64::try_from(self.now).unwrap()
    }

    fn period(&self) -> Period {
        let number = self.now / PERIOD_MS;
        Period {
            name: number.to_string(),
            ends_ms: (number + 1) * PERIOD_MS,
        }
    }

    fn happens(&mut self, event: Event) {
        let now = self.clock();
        match event {
            Event::Call { process, amount } => {
                // Clocks agree here, so that the test knows of which period a lease is.
                let period = self.period().name;
                let (purse, calls) = &mut self.processes[process];
                if let Ok(hold) = purse.reserve(amount, now) {
                    calls.push((hold, amount, period));
                }
            }
            Event::End { process, percent } => {
                let (purse, calls) = &mut self.processes[process];
                if !calls.is_empty() {
                    let (hold, amount, period) = calls.remove(0);
                    let cost = amount * percent / 100;
                    purse.settle(hold, cost);
                    *self.spent.entry(period).or_default() += cost;
                }
            }
            Event::Ask {
                process,
                amount,
                fate,
            } => {
                let purse = &mut self.processes[process].0;
                if let Err(short) = purse.reserve(amount, now).map(|hold| purse.settle(hold, 0)) {
                    let ask = purse.ask(short, amount, now);
                    self.sent(process, ask, fate);
                }
            }
            Event::Report { process, fate } => {
                if let Some(ask) = self.processes[process].0.report() {
                    self.sent(process, ask, fate);
                }
            }
            Event::Close { process, fate } => {
                if let Some(ask) = self.processes[process].0.close(now) {
                    self.sent(process, ask, fate);
                }
            }
            Event::Arrive { which } => {
                if which < self.delayed.len() {
                    let ask = self.delayed.remove(which);
                    let _ = self.answer(&ask, false);
                }
            }
            Event::Die { process } => {
                let purse = Purse::new(format!("p{}", self.born));
                self.born += 1;
                let (_, calls) =
                    std::mem::replace(&mut self.processes[process], (purse, Vec::new()));
                for (_, amount, period) in calls {
                    *self.spent.entry(period).or_default() += amount;
                }
            }
            Event::Pass { millis } => self.now += i64::try_from(millis).unwrap(),
        }
    }

    fn sent(&mut self, process: usize, ask: Ask, fate: Fate) {
        let now = self.clock();
        match fate {
            Fate::Answered => {
                if let Some(answer) = self.answer(&ask, false) {
                    self.processes[process].0.take(&ask, answer, now);
                }
            }
            Fate::AnswerLost => drop(self.answer(&ask, false)),
            Fate::Delayed => self.delayed.push(ask),
            Fate::WriteLost => drop(self.answer(&ask, true)),
        }
    }

    /// None when the write was lost: then nobody is answered.
    fn answer(
        &mut self,
        ask: &Ask,
        write_lost: bool,
    ) -> Option<Result<aios_budget::Grant, Refusal>> {
        match self.book.ask(LIMIT, &self.period(), ask, self.now) {
            _ if write_lost => None,
            Ok((book, grant)) => {
                // What a keeper that starts anew would read.
                let written = serde_json::to_string(&book).unwrap();
                self.book = serde_json::from_str(&written).unwrap();
                Some(Ok(grant))
            }
            Err(refusal) => Some(Err(refusal)),
        }
    }

    /// Spent, and what calls under way may still come to.
    fn bound(&self, period: &str) -> u64 {
        let calls = self.processes.iter().flat_map(|(_, calls)| calls);
        let under_way = calls.filter(|call| call.2 == period).map(|call| call.1);
        self.spent.get(period).copied().unwrap_or_default() + under_way.sum::<u64>()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_interleaving_spends_more_than_the_budget(events in prop::collection::vec(event(), 1..200)) {
        let mut world = World::new();
        for event in events {
            world.happens(event);
            let period = world.period().name;
            let bound = world.bound(&period);
            prop_assert!(bound <= LIMIT, "{bound} of {LIMIT} in period {period}");
            prop_assert!(world.book.committed() <= LIMIT);
            let every = world.spent.values().all(|spent| *spent <= LIMIT);
            prop_assert!(every, "{:?}", world.spent);
        }
    }
}

/// Threads that share a purse, each call settled for all that it could cost.
#[test]
fn threads_that_share_a_purse_spend_its_lease_and_no_more() {
    let book = Mutex::new(Book::default());
    let purse = Mutex::new(Purse::new("p".into()));
    let period = Period {
        name: "1".into(),
        ends_ms: PERIOD_MS,
    };
    let spent: u64 = thread::scope(|scope| {
        let workers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut spent = 0;
                    loop {
                        let mut own = purse.lock().unwrap();
                        match own.reserve(7, 0) {
                            Ok(hold) => {
                                drop(own);
                                thread::yield_now();
                                purse.lock().unwrap().settle(hold, 7);
                                spent += 7;
                            }
                            Err(short) => {
                                let ask = own.ask(short, 7, 0);
                                let mut book = book.lock().unwrap();
                                let (after, grant) = book.ask(LIMIT, &period, &ask, 0).unwrap();
                                *book = after;
                                let before = own.state().1;
                                own.take(&ask, Ok(grant), 0);
                                // Others' calls may end for less; here they never do.
                                if own.state().1 == before {
                                    return spent;
                                }
                            }
                        }
                    }
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum()
    });
    assert_eq!(spent, LIMIT / 7 * 7);
}

/// Without a failure nothing is stranded: whoever needs it gets it once others have given back.
#[test]
fn what_idle_processes_give_back_others_spend() {
    let mut world = World::new();
    let answered = Fate::Answered;
    world.happens(Event::Ask {
        process: 0,
        amount: 100,
        fate: answered,
    });
    world.happens(Event::Ask {
        process: 1,
        amount: 900,
        fate: answered,
    });
    world.happens(Event::Call {
        process: 1,
        amount: 900,
    });
    assert_eq!(world.bound("0"), 0);
    world.happens(Event::Close {
        process: 0,
        fate: answered,
    });
    world.happens(Event::Ask {
        process: 1,
        amount: 900,
        fate: answered,
    });
    world.happens(Event::Call {
        process: 1,
        amount: 900,
    });
    assert_eq!(world.bound("0"), 900);
}
