//! Who waits for a model, and whose turn it is: bounded, round robin between callers. Pure.

use std::collections::VecDeque;

/// A waiting call.
pub type Ticket = u64;

/// Most that waits for one model in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub calls: usize,
    pub bytes: usize,
}

/// The queue before one model.
///
/// While it is open, calls pass until one is refused for want of room; from then on they wait, and as
/// many are let through at once as the model was seen to take, one more with every answer. While it is
/// shut nobody passes: no address of the model answered the last call.
#[derive(Debug)]
pub struct Queue {
    bounds: Bounds,
    /// Callers with waiting calls, in the order of their turns.
    lines: VecDeque<Line>,
    calls: usize,
    bytes: usize,
    /// Calls that were let through and have not ended.
    under_way: usize,
    /// Most calls under way while others wait.
    room: usize,
    shut: bool,
    /// How often it was shut since the last answer.
    troubles: u32,
    next: Ticket,
}

#[derive(Debug)]
struct Line {
    caller: String,
    waiting: VecDeque<Waiting>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    ticket: Ticket,
    bytes: usize,
}

/// A call got a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    pub ticket: Ticket,
    /// Calls that lost theirs: the newest of callers with more calls, or bytes, than this one.
    pub displaced: Vec<Ticket>,
}

impl Queue {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            lines: VecDeque::new(),
            calls: 0,
            bytes: 0,
            under_way: 0,
            room: 1,
            shut: false,
            troubles: 0,
            next: 0,
        }
    }

    /// Whether a new call may go on at once. If so, it is under way.
    pub fn pass(&mut self) -> bool {
        let passes = !self.shut && self.calls == 0;
        self.under_way += usize::from(passes);
        passes
    }

    /// Takes a place: the last of its caller, or the first for a call that had its turn in vain.
    /// None when the queue is full and no caller has more in it.
    pub fn join(&mut self, caller: &str, bytes: usize, again: bool) -> Option<Joined> {
        let displaced = self.give_way(caller, bytes)?;
        for ticket in &displaced {
            self.leave(*ticket);
        }
        self.next += 1;
        let ticket = self.next;
        let waiting = Waiting { ticket, bytes };
        self.calls += 1;
        self.bytes += bytes;
        match self.lines.iter_mut().find(|line| line.caller == caller) {
            Some(line) if again => line.waiting.push_front(waiting),
            Some(line) => line.waiting.push_back(waiting),
            None => {
                let line = Line {
                    caller: caller.to_owned(),
                    waiting: [waiting].into(),
                };
                if again {
                    self.lines.push_front(line);
                } else {
                    self.lines.push_back(line);
                }
            }
        }
        Some(Joined { ticket, displaced })
    }

    /// Gives a place up. Whether the call still had one.
    pub fn leave(&mut self, ticket: Ticket) -> bool {
        for line in &mut self.lines {
            let Some(at) = line.waiting.iter().position(|held| held.ticket == ticket) else {
                continue;
            };
            if let Some(left) = line.waiting.remove(at) {
                self.calls -= 1;
                self.bytes -= left.bytes;
            }
            self.lines.retain(|line| !line.waiting.is_empty());
            if self.calls == 0 {
                // Whoever comes next need not pay for what others met.
                self.troubles = self.troubles.min(1);
            }
            return true;
        }
        false
    }

    /// The next call to let through, if there is room. It is under way.
    pub fn release(&mut self) -> Option<Ticket> {
        if self.shut || self.under_way >= self.room {
            return None;
        }
        let mut line = self.lines.pop_front()?;
        let released = line.waiting.pop_front()?;
        if !line.waiting.is_empty() {
            self.lines.push_back(line);
        }
        self.calls -= 1;
        self.bytes -= released.bytes;
        self.under_way += 1;
        Some(released.ticket)
    }

    // === what became of calls under way ===

    /// The model answers a call, which may still be under way.
    pub fn served(&mut self) {
        self.shut = false;
        self.troubles = 0;
        self.room = if self.calls == 0 {
            self.room.max(self.under_way)
        } else {
            self.room + 1
        };
    }

    /// A call ended, however it did.
    pub fn ended(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// A call ended because no address took it.
    pub fn unreachable(&mut self) {
        self.ended();
        self.shut();
    }

    /// A call ended because the model has too many: those still under way are what it takes.
    pub fn overloaded(&mut self) {
        self.ended();
        if self.under_way == 0 {
            self.shut();
        }
        self.room = self.under_way.max(1);
    }

    /// An address answers again. `first` calls may go at once; after trouble that a mere look at the
    /// address does not see, one.
    pub fn opened(&mut self, first: usize) {
        self.shut = false;
        self.room = if self.troubles <= 1 { first.max(1) } else { 1 };
    }

    fn shut(&mut self) {
        if !self.shut {
            self.shut = true;
            self.troubles = self.troubles.saturating_add(1);
        }
    }

    // === what is known ===

    pub fn is_shut(&self) -> bool {
        self.shut
    }

    pub fn troubles(&self) -> u32 {
        self.troubles
    }

    pub fn calls(&self) -> usize {
        self.calls
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Who must go so that a call fits. A caller makes room only for one with less in the queue.
    fn give_way(&self, caller: &str, bytes: usize) -> Option<Vec<Ticket>> {
        let (mut calls_over, mut bytes_over) = (
            (self.calls + 1).saturating_sub(self.bounds.calls),
            (self.bytes + bytes).saturating_sub(self.bounds.bytes),
        );
        if calls_over == 0 && bytes_over == 0 {
            return Some(Vec::new());
        }
        let own = self.lines.iter().find(|line| line.caller == caller);
        let (own_calls, own_bytes) = own.map_or((0, 0), |line| (line.waiting.len(), line.bytes()));
        let mut others: Vec<(Vec<Waiting>, usize)> = self
            .lines
            .iter()
            .filter(|line| line.caller != caller)
            .map(|line| (line.waiting.iter().copied().collect(), line.bytes()))
            .collect();
        let mut displaced = Vec::new();
        while calls_over > 0 || bytes_over > 0 {
            let (waiting, held) = if calls_over > 0 {
                others
                    .iter_mut()
                    .filter(|(waiting, _)| waiting.len() > own_calls + 1)
                    .max_by_key(|(waiting, _)| waiting.len())?
            } else {
                others
                    .iter_mut()
                    .filter(|(_, held)| *held > own_bytes + bytes)
                    .max_by_key(|(_, held)| *held)?
            };
            let newest = waiting.pop()?;
            *held -= newest.bytes;
            calls_over = calls_over.saturating_sub(1);
            bytes_over = bytes_over.saturating_sub(newest.bytes);
            displaced.push(newest.ticket);
        }
        Some(displaced)
    }
}

impl Line {
    fn bytes(&self) -> usize {
        self.waiting.iter().map(|waiting| waiting.bytes).sum()
    }
}

#[cfg(test)]
mod tests;
