//! Policies and texts to test and measure by: the profile that speed is measured with, and business
//! writing with known faults, texts that are made to cost. Data and plain functions; it knows the schema of rules, no engine.

pub mod business;
pub mod outside;
pub mod profile;
pub mod random;
pub mod score;
pub mod traps;
mod values;
