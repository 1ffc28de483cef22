//! Keeps what model calls cost within a budget, without I/O: the book of what is granted, which stands
//! with the operator, and the purse that spends a part of it, which stands at the calls. What was granted
//! counts as spent until its holder says otherwise, so that no failure of either makes a budget overrun.
#![forbid(unsafe_code)]

mod allowance;
mod book;
mod period;
mod purse;

pub use allowance::Allowance;
pub use book::{Ask, Book, Grant, Refusal};
pub use period::{Period, PeriodError};
pub use purse::{Hold, Purse, Short};
