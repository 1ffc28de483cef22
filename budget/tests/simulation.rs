//! Many processes that draw on several budgets with each call, with processes that die, questions that come
//! late or twice, answers that are lost, keepers that lose their write, and periods that turn: what is
//! really spent stays within every budget.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{collections::BTreeMap, sync::Mutex, thread};

use aios_budget::{Allowance, Ask, Book, Hold, Period, Purse, Refusal};
use aios_crds::budget::Unit;
use proptest::prelude::*;

const LIMIT: u64 = 1_000;
/// Of a run, a pipeline and a tenant.
const LIMITS: [u64; 3] = [700, LIMIT, 2_600];
/// What a call takes of each, as one counts tokens where another counts money.
const WEIGHTS: [u64; 3] = [1, 1, 3];
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
        budget: usize,
        amount: u64,
        fate: Fate,
    },
    Report {
        process: usize,
        budget: usize,
        fate: Fate,
    },
    Close {
        process: usize,
        budget: usize,
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
    let budget = 0..LIMITS.len();
    prop_oneof![
        6 => (process.clone(), 1..200_u64).prop_map(|(process, amount)| Event::Call { process, amount }),
        5 => (process.clone(), 0..=100_u64).prop_map(|(process, percent)| Event::End { process, percent }),
        5 => (process.clone(), budget.clone(), 1..200_u64, fate()).prop_map(|(process, budget, amount, fate)| Event::Ask { process, budget, amount, fate }),
        2 => (process.clone(), budget.clone(), fate()).prop_map(|(process, budget, fate)| Event::Report { process, budget, fate }),
        1 => (process.clone(), budget, fate()).prop_map(|(process, budget, fate)| Event::Close { process, budget, fate }),
        2 => (0..8_usize).prop_map(|which| Event::Arrive { which }),
        1 => process.prop_map(|process| Event::Die { process }),
        1 => prop_oneof![Just(1_000), Just(4_000_000), Just(11_000_000)].prop_map(|millis| Event::Pass { millis }),
    ]
}

/// What was put aside for it in each budget, of how much, and of which period.
type Call = (Vec<Hold>, u64, String);

struct World {
    /// What is written down of each budget: all that a keeper that starts anew knows.
    books: Vec<Book>,
    processes: Vec<(Vec<Purse>, Vec<Call>)>,
    born: usize,
    delayed: Vec<(usize, Ask)>,
    now: i64,
    /// What really was spent, or may have been, by budget and period.
    spent: BTreeMap<(usize, String), u64>,
}

fn purses(process: usize) -> Vec<Purse> {
    let purse = |_| Purse::new(format!("p{process}"), Unit::Tokens);
    LIMITS.iter().map(purse).collect()
}

impl World {
    fn new() -> Self {
        Self {
            books: LIMITS.iter().map(|_| Book::default()).collect(),
            processes: (0..4).map(|n| (purses(n), Vec::new())).collect(),
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

    fn allowance(&self, budget: usize) -> Allowance {
        Allowance {
            unit: Unit::Tokens,
            limit: LIMITS[budget],
            period: self.period(),
        }
    }

    fn happens(&mut self, event: Event) {
        let now = self.clock();
        match event {
            Event::Call { process, amount } => {
                // Clocks agree here, so that the test knows of which period a lease is.
                let period = self.period().name;
                let (purses, calls) = &mut self.processes[process];
                let mut holds = Vec::new();
                for (purse, weight) in purses.iter_mut().zip(WEIGHTS) {
                    match purse.reserve(amount * weight, now) {
                        Ok(hold) => holds.push(hold),
                        Err(_) => break,
                    }
                }
                if holds.len() == purses.len() {
                    calls.push((holds, amount, period));
                    return;
                }
                for (purse, hold) in purses.iter_mut().zip(holds) {
                    purse.settle(hold, 0);
                }
            }
            Event::End { process, percent } => {
                let (purses, calls) = &mut self.processes[process];
                if !calls.is_empty() {
                    let (holds, amount, period) = calls.remove(0);
                    for (budget, (purse, hold)) in purses.iter_mut().zip(holds).enumerate() {
                        let cost = amount * WEIGHTS[budget] * percent / 100;
                        purse.settle(hold, cost);
                        *self.spent.entry((budget, period.clone())).or_default() += cost;
                    }
                }
            }
            Event::Ask {
                process,
                budget,
                amount,
                fate,
            } => {
                let amount = amount * WEIGHTS[budget];
                let purse = &mut self.processes[process].0[budget];
                if let Err(short) = purse.reserve(amount, now).map(|hold| purse.settle(hold, 0)) {
                    let ask = purse.ask(short, amount, now);
                    self.sent((process, budget), ask, fate);
                }
            }
            Event::Report {
                process,
                budget,
                fate,
            } => {
                if let Some(ask) = self.processes[process].0[budget].report() {
                    self.sent((process, budget), ask, fate);
                }
            }
            Event::Close {
                process,
                budget,
                fate,
            } => {
                if let Some(ask) = self.processes[process].0[budget].close(now) {
                    self.sent((process, budget), ask, fate);
                }
            }
            Event::Arrive { which } => {
                if which < self.delayed.len() {
                    let (budget, ask) = self.delayed.remove(which);
                    let _ = self.answer(budget, &ask, false);
                }
            }
            Event::Die { process } => {
                let purses = purses(self.born);
                self.born += 1;
                let (_, calls) =
                    std::mem::replace(&mut self.processes[process], (purses, Vec::new()));
                for (_, amount, period) in calls {
                    for (budget, weight) in WEIGHTS.into_iter().enumerate() {
                        *self.spent.entry((budget, period.clone())).or_default() += amount * weight;
                    }
                }
            }
            Event::Pass { millis } => self.now += i64::try_from(millis).unwrap(),
        }
    }

    fn sent(&mut self, (process, budget): (usize, usize), ask: Ask, fate: Fate) {
        let now = self.clock();
        match fate {
            Fate::Answered => {
                if let Some(answer) = self.answer(budget, &ask, false) {
                    self.processes[process].0[budget].take(&ask, answer, now);
                }
            }
            Fate::AnswerLost => drop(self.answer(budget, &ask, false)),
            Fate::Delayed => self.delayed.push((budget, ask)),
            Fate::WriteLost => drop(self.answer(budget, &ask, true)),
        }
    }

    /// None when the write was lost: then nobody is answered.
    fn answer(
        &mut self,
        budget: usize,
        ask: &Ask,
        write_lost: bool,
    ) -> Option<Result<aios_budget::Grant, Refusal>> {
        match self.books[budget].ask(&self.allowance(budget), ask, self.now) {
            _ if write_lost => None,
            Ok((book, grant)) => {
                // What a keeper that starts anew would read.
                let written = serde_json::to_string(&book).unwrap();
                self.books[budget] = serde_json::from_str(&written).unwrap();
                Some(Ok(grant))
            }
            Err(refusal) => Some(Err(refusal)),
        }
    }

    /// Spent of a budget, and what calls under way may still come to.
    fn bound(&self, budget: usize, period: &str) -> u64 {
        let calls = self.processes.iter().flat_map(|(_, calls)| calls);
        let under_way = calls.filter(|call| call.2 == period).map(|call| call.1);
        let spent = self.spent.get(&(budget, period.to_owned()));
        spent.copied().unwrap_or_default() + under_way.sum::<u64>() * WEIGHTS[budget]
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_interleaving_spends_more_than_any_of_several_budgets(events in prop::collection::vec(event(), 1..200)) {
        let mut world = World::new();
        for event in events {
            world.happens(event);
            let period = world.period().name;
            for (budget, limit) in LIMITS.into_iter().enumerate() {
                let bound = world.bound(budget, &period);
                prop_assert!(bound <= limit, "{bound} of {limit} in period {period}");
                prop_assert!(world.books[budget].committed() <= limit);
            }
            let mut spent = world.spent.iter();
            let every = spent.all(|((budget, _), spent)| *spent <= LIMITS[*budget]);
            prop_assert!(every, "{:?}", world.spent);
        }
    }
}

/// Threads that share a purse, each call settled for all that it could cost.
#[test]
fn threads_that_share_a_purse_spend_its_lease_and_no_more() {
    let book = Mutex::new(Book::default());
    let purse = Mutex::new(Purse::new("p".into(), Unit::Tokens));
    let allowance = Allowance {
        unit: Unit::Tokens,
        limit: LIMIT,
        period: Period {
            name: "1".into(),
            ends_ms: PERIOD_MS,
        },
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
                                let (after, grant) = book.ask(&allowance, &ask, 0).unwrap();
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

/// Without a failure nothing is stranded: whoever needs it gets it once others have given back, and what
/// found no room in one budget is put aside in none.
#[test]
fn what_idle_processes_give_back_others_spend() {
    let mut world = World::new();
    let fate = Fate::Answered;
    let ask = |world: &mut World, process, amount| {
        for budget in 0..LIMITS.len() {
            world.happens(Event::Ask {
                process,
                budget,
                amount,
                fate,
            });
        }
    };
    ask(&mut world, 0, 100);
    ask(&mut world, 1, 650);
    let call = Event::Call {
        process: 1,
        amount: 650,
    };
    world.happens(call);
    assert_eq!([0, 1, 2].map(|budget| world.bound(budget, "0")), [0, 0, 0]);
    for budget in 0..LIMITS.len() {
        world.happens(Event::Close {
            process: 0,
            budget,
            fate,
        });
    }
    ask(&mut world, 1, 650);
    world.happens(call);
    let bound = [0, 1, 2].map(|budget| world.bound(budget, "0"));
    assert_eq!(bound, [650, 650, 1_950]);
}
