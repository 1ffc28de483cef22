//! Counts what the checks do with a text, in bytes that are walked and candidates that are looked at, so that
//! tests can hold it to the size of the text. Outside of unit tests nothing is counted.

/// Notes so many bytes or candidates.
#[cfg(not(test))]
#[inline]
pub(crate) fn spend(_: usize) {}

#[cfg(test)]
pub(crate) use counting::{counted, spend};

#[cfg(test)]
mod counting {
    use std::cell::Cell;

    thread_local! {
        static SPENT: Cell<usize> = const { Cell::new(0) };
    }

    pub(crate) fn spend(work: usize) {
        SPENT.set(SPENT.get() + work);
    }

    /// What a computation spends.
    pub(crate) fn counted(run: impl FnOnce()) -> usize {
        SPENT.set(0);
        run();
        SPENT.get()
    }
}

#[cfg(test)]
mod tests;
