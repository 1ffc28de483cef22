//! Desired objects of a run. Pure.

mod job;

pub use job::job;

#[cfg(test)]
mod tests;
