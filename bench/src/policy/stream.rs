//! A text that is judged while it is written: what a byte costs early in it, and late.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use aios_policy::{Inputs, PolicyStack, StreamScanner};
use aios_policy_testset::profile;
use anyhow::{Result, bail};

use super::contender::compile;

/// Rules of the profile that let a text flow.
const FLOWING: [&str; 3] = ["competitors", "personal-data", "secrets"];
/// Bytes of a push, as models write tokens.
const PUSH: usize = 5;

pub struct Stream(PolicyStack);

impl Stream {
    pub fn new() -> Result<Self> {
        let mut rules = profile::rules(profile::TERMS)?;
        rules.retain(|rule| FLOWING.contains(&rule.name.as_str()));
        let policy = Arc::new(compile("flowing", &rules)?);
        Ok(Self(PolicyStack::new(vec![policy])))
    }

    /// Nanoseconds a byte, over so many bytes of prose; the judging at the end is left out.
    pub fn ns_a_byte(&self, bytes: usize) -> Result<f64> {
        let text = profile::long(profile::ASCII, bytes);
        let (variables, labels) = (profile::variables(), BTreeMap::new());
        let inputs = Inputs {
            variables: &variables,
            labels: &labels,
            language: "en",
            passages: &[],
            template: &[],
            step: aios_policy::Step::Final,
        };
        let mut scanner = StreamScanner::new(&self.0, "text".parse()?, &inputs);
        let begun = Instant::now();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.floor_char_boundary(PUSH.min(rest.len())));
            scanner.push(piece);
            rest = after;
        }
        let taken = begun.elapsed().as_secs_f64();
        if scanner.released() < text.len() / 2 {
            bail!(
                "the text does not flow: {} bytes released",
                scanner.released()
            );
        }
        Ok(taken * 1e9 / text.len() as f64)
    }
}
