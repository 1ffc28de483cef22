//! Policies and texts to test and measure by: the profile that speed is measured with, and business
//! writing with known faults. Data and plain functions; it knows the schema of rules, no engine.

pub mod business;
pub mod outside;
pub mod profile;
pub mod random;
pub mod score;
mod values;
