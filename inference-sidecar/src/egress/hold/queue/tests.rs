#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::{Bounds, Queue, Ticket};

const ROOMY: Bounds = Bounds {
    calls: 1000,
    bytes: 1000,
};

/// A shut queue with calls of callers in this order.
fn waiting(callers: &[&str]) -> (Queue, Vec<Ticket>) {
    let mut queue = Queue::new(ROOMY);
    assert!(queue.pass());
    queue.unreachable();
    let tickets = callers
        .iter()
        .map(|caller| queue.join(caller, 1, false).unwrap().ticket)
        .collect();
    (queue, tickets)
}

fn released(queue: &mut Queue) -> Vec<Ticket> {
    std::iter::from_fn(|| queue.release()).collect()
}

#[test]
fn calls_pass_an_open_queue_and_none_a_shut_one() {
    let mut queue = Queue::new(ROOMY);
    assert!(queue.pass() && queue.pass());
    queue.unreachable();
    assert!(!queue.pass());
    queue.join("a", 1, false).unwrap();
    assert_eq!(queue.release(), None);
    queue.opened(4);
    assert!(!queue.pass(), "others were first");
    assert!(queue.release().is_some());
    assert!(queue.pass());
}

#[test]
fn callers_take_turns_and_each_is_served_in_order() {
    let (mut queue, tickets) = waiting(&["a", "a", "a", "b", "c", "b"]);
    queue.opened(100);
    let order = [0, 3, 4, 1, 5, 2].map(|at| tickets[at]);
    assert_eq!(released(&mut queue), order);
}

#[test]
fn a_call_that_had_its_turn_in_vain_is_first_again() {
    let (mut queue, tickets) = waiting(&["a", "a", "b"]);
    queue.opened(1);
    assert_eq!(queue.release(), Some(tickets[0]));
    queue.unreachable();
    let again = queue.join("a", 1, true).unwrap().ticket;
    queue.opened(1);
    let mut order = Vec::new();
    while let Some(ticket) = queue.release() {
        order.push(ticket);
        queue.served();
        queue.ended();
    }
    assert_eq!(order, [tickets[2], again, tickets[1]]);
}

#[test]
fn as_many_are_under_way_as_the_model_was_seen_to_take() {
    let mut queue = Queue::new(ROOMY);
    assert!((0..5).all(|_| queue.pass()));
    queue.overloaded();
    queue.overloaded();
    for _ in 0..9 {
        queue.join("a", 1, true).unwrap();
    }
    assert_eq!(queue.release(), None, "three are under way, as many as fit");
    queue.served();
    queue.ended();
    assert_eq!(released(&mut queue).len(), 2, "one for it, one to see");
}

#[test]
fn trouble_behind_an_address_that_answers_is_met_with_one_call_at_a_time() {
    let (mut queue, _) = waiting(&["a"; 9]);
    queue.opened(4);
    assert_eq!(released(&mut queue).len(), 4);
    for _ in 0..4 {
        queue.unreachable();
    }
    assert_eq!(queue.troubles(), 2);
    queue.opened(4);
    assert_eq!(released(&mut queue).len(), 1);
    queue.served();
    assert_eq!(queue.troubles(), 0);
}

#[test]
fn the_newest_of_the_greediest_caller_gives_way_in_a_full_queue() {
    let mut queue = Queue::new(Bounds {
        calls: 3,
        bytes: 100,
    });
    let tickets: Vec<_> = (0..3)
        .map(|_| queue.join("greedy", 1, false).unwrap().ticket)
        .collect();
    assert_eq!(queue.join("greedy", 1, false), None);
    let modest = queue.join("modest", 1, false).unwrap();
    assert_eq!(modest.displaced, [tickets[2]]);
    assert_eq!(queue.join("modest", 1, false), None, "two each is fair");
    let large = queue.join("third", 200, false);
    assert_eq!(large, None, "nobody can make so much room");
    assert_eq!((queue.calls(), queue.bytes()), (3, 3));
}

#[derive(Clone, Debug)]
enum Act {
    Pass,
    Join(u8, usize),
    Leave(usize),
    Serve,
    Unreachable,
    Overloaded,
    End,
    Open(usize),
    Release,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        Just(Act::Pass),
        (0..4_u8, 0..40_usize).prop_map(|(caller, bytes)| Act::Join(caller, bytes)),
        (0..4_u8, 0..40_usize).prop_map(|(caller, bytes)| Act::Join(caller, bytes)),
        (0..50_usize).prop_map(Act::Leave),
        Just(Act::Serve),
        Just(Act::Unreachable),
        Just(Act::Overloaded),
        Just(Act::End),
        (1..8_usize).prop_map(Act::Open),
        Just(Act::Release),
    ]
}

proptest! {
    #[test]
    fn no_call_is_lost_or_let_through_twice_and_the_bounds_hold(
        acts in proptest::collection::vec(act(), 0..200)
    ) {
        let bounds = Bounds { calls: 12, bytes: 120 };
        let mut queue = Queue::new(bounds);
        let mut held: BTreeMap<Ticket, (u8, usize)> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut lines: BTreeMap<u8, VecDeque<Ticket>> = BTreeMap::new();
        let mut under_way = 0_usize;
        for act in acts {
            match act {
                Act::Pass => {
                    let passes = queue.pass();
                    prop_assert!(!passes || held.is_empty(), "nobody overtakes");
                    under_way += usize::from(passes);
                }
                Act::Join(caller, bytes) => {
                    if let Some(joined) = queue.join(&caller.to_string(), bytes, false) {
                        for ticket in joined.displaced {
                            let (of, _) = held.remove(&ticket).unwrap();
                            prop_assert_ne!(of, caller);
                            prop_assert_eq!(lines.get_mut(&of).unwrap().pop_back(), Some(ticket));
                        }
                        prop_assert!(seen.insert(joined.ticket));
                        held.insert(joined.ticket, (caller, bytes));
                        lines.entry(caller).or_default().push_back(joined.ticket);
                    }
                }
                Act::Leave(nth) => {
                    let ticket = held.keys().nth(nth).copied();
                    prop_assert_eq!(queue.leave(ticket.unwrap_or(u64::MAX)), ticket.is_some());
                    if let Some((caller, _)) = ticket.and_then(|ticket| held.remove(&ticket)) {
                        lines.get_mut(&caller).unwrap().retain(|one| Some(*one) != ticket);
                    }
                }
                Act::Serve if under_way > 0 => queue.served(),
                Act::Unreachable if under_way > 0 => { queue.unreachable(); under_way -= 1; }
                Act::Overloaded if under_way > 0 => { queue.overloaded(); under_way -= 1; }
                Act::End if under_way > 0 => { queue.ended(); under_way -= 1; }
                Act::Open(first) => queue.opened(first),
                Act::Release => {
                    if let Some(ticket) = queue.release() {
                        let (caller, _) = held.remove(&ticket).unwrap();
                        prop_assert_eq!(lines.get_mut(&caller).unwrap().pop_front(), Some(ticket));
                        under_way += 1;
                    }
                }
                _ => {}
            }
            prop_assert_eq!(queue.calls(), held.len());
            prop_assert_eq!(queue.bytes(), held.values().map(|(_, bytes)| bytes).sum::<usize>());
            prop_assert!(queue.calls() <= bounds.calls && queue.bytes() <= bounds.bytes);
        }
    }

    #[test]
    fn between_two_turns_of_a_caller_every_other_that_waits_has_one(
        callers in proptest::collection::vec(0..5_u8, 1..60)
    ) {
        let names: Vec<String> = callers.iter().map(u8::to_string).collect();
        let (mut queue, tickets) = waiting(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let of: BTreeMap<Ticket, u8> = tickets.into_iter().zip(callers.iter().copied()).collect();
        queue.opened(1000);
        let mut left: BTreeMap<u8, usize> = BTreeMap::new();
        for caller in &callers {
            *left.entry(*caller).or_default() += 1;
        }
        let mut since: BTreeMap<u8, BTreeSet<u8>> = BTreeMap::new();
        for ticket in released(&mut queue) {
            let caller = of[&ticket];
            if let Some(others) = since.get(&caller) {
                let waiting = left.iter().filter(|(one, count)| **count > 0 && **one != caller);
                for (other, _) in waiting {
                    prop_assert!(others.contains(other));
                }
            }
            for others in since.values_mut() {
                others.insert(caller);
            }
            since.insert(caller, BTreeSet::new());
            *left.get_mut(&caller).unwrap() -= 1;
        }
        prop_assert!(left.values().all(|count| *count == 0));
    }
}
