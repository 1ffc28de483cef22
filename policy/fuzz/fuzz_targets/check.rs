//! A target for each check, by its name: every one is this file.
#![no_main]

#[path = "../../tests/common/checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::any_check(env!("CARGO_BIN_NAME"), bytes));
