//! The policy engine beside a floor of the same patterns and beside guardrail products: an e-mail, long
//! texts, compilation, and how well it finds the faults of the test set. No cluster, one core.

mod contender;
mod floor;
mod outside;
mod peers;
mod quality;
mod stream;

use std::{hint::black_box, path::PathBuf, time::Instant};

use aios_crds::policy_set::Rule;
use aios_e2e::files;
use aios_policy_testset::profile::{self, Email};
use anyhow::Result;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use self::{contender::Judge, floor::Floor, quality::Quality, stream::Stream};
use crate::{
    measure::median,
    report::{self, Bound, Machine, Results, Target},
};

const ASCII_US: f64 = 50.0;
const MIXED_US: f64 = 120.0;
const COMPILE_MS: f64 = 100.0;
const LONG_MB_S: f64 = 100.0;
const FLOOR: f64 = 3.0;
/// Bytes of a long text.
const LONG: usize = 1 << 20;
/// Bytes of texts that are judged while they are written.
const STREAM_SHORT: usize = 8 << 10;
const STREAM_LONG: usize = 512 << 10;
/// A late byte costs at most so many times an early one.
const STREAM: f64 = 1.5;
/// Policies that the terms are divided among.
const POLICIES: usize = 20;
/// Evaluations of an e-mail that are timed together.
const BATCH: u32 = 200;

#[derive(clap::Args)]
pub struct Options {
    /// Rounds of each measurement; the median counts
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Without the products that pip installs
    #[arg(long)]
    alone: bool,
    /// Takes no other sizes: there is one
    #[arg(long, hide = true)]
    full: bool,
    /// Folder of the results file
    #[arg(long, default_value = "bench/results")]
    results: PathBuf,
}

/// One turn of everything that is timed.
#[derive(Debug, Serialize)]
struct Round {
    ascii: Times,
    mixed: Times,
    compile_ms: f64,
    /// Of the ASCII e-mail under the terms alone: all in one policy, and divided among many.
    terms_us: f64,
    divided_us: f64,
    /// Nanoseconds a byte of a text that is judged while it is written.
    stream_short_ns: f64,
    stream_long_ns: f64,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Rounds {
    speed: Vec<Round>,
    quality: Vec<Quality>,
}

/// Of one e-mail's text.
#[derive(Debug, Serialize)]
struct Times {
    email_us: f64,
    floor_us: f64,
    long_mb_s: f64,
    floor_long_mb_s: f64,
}

pub fn run(options: &Options) -> Result<()> {
    let judge = Judge::new(profile::TERMS)?;
    let floor = Floor::new(&profile::terms(profile::TERMS))?;
    let stream = Stream::new()?;
    let (terms, divided) = (Judge::of_terms(1)?, Judge::of_terms(POLICIES)?);
    let many = profile::rules(profile::MOST_TERMS)?;
    let mut rounds = Vec::with_capacity(options.rounds);
    for _ in 0..options.rounds {
        rounds.push(Round {
            ascii: times(&judge, &floor, profile::ASCII)?,
            mixed: times(&judge, &floor, profile::MIXED)?,
            compile_ms: compile_ms(&many)?,
            terms_us: email_us(&terms)?,
            divided_us: email_us(&divided)?,
            stream_short_ns: stream.ns_a_byte(STREAM_SHORT)?,
            stream_long_ns: stream.ns_a_byte(STREAM_LONG)?,
        });
    }
    let mut targets = speed(&rounds);
    let mut versions = json!({"aios": env!("CARGO_PKG_VERSION")});
    if !options.alone {
        let peers = peers::measure(options.rounds)?;
        targets.extend(peers.targets(middle(&rounds, |round| round.ascii.email_us)));
        let (measured, sets) = outside::measure()?;
        targets.extend(measured);
        versions =
            json!({"aios": env!("CARGO_PKG_VERSION"), "peers": peers.versions, "sets": sets});
    }
    let quality = quality::measure()?;
    targets.extend(quality.iter().flat_map(Quality::targets));
    let results = Results {
        benchmark: "policy",
        at: Timestamp::now().to_string(),
        machine: Machine::this(),
        versions,
        settings: json!({"rounds": options.rounds, "terms": profile::TERMS, "longBytes": LONG}),
        rounds: vec![Rounds {
            speed: rounds,
            quality,
        }],
        targets,
    };
    println!("{}", report::table(&results.targets));
    let path = results.write(&files::repository().join(&options.results))?;
    println!("Every round: {}", path.display());
    Ok(())
}

fn times(judge: &Judge, floor: &Floor, email: Email) -> Result<Times> {
    let document = contender::document(email.subject, email.text)?;
    judge.check(&document, email)?;
    let text = profile::long(email, LONG);
    let long = contender::document(email.subject, &text)?;
    let megabytes = text.len() as f64 / 1e6;
    Ok(Times {
        email_us: seconds(BATCH, || judge.verdict(&document, email)) * 1e6,
        floor_us: seconds(BATCH, || {
            floor.count(email.subject) + floor.count(email.text)
        }) * 1e6,
        long_mb_s: megabytes / seconds(1, || judge.verdict(&long, email)),
        floor_long_mb_s: megabytes / seconds(1, || floor.count(&text)),
    })
}

fn email_us(judge: &Judge) -> Result<f64> {
    let email = profile::ASCII;
    let document = contender::document(email.subject, email.text)?;
    judge.check(&document, email)?;
    Ok(seconds(BATCH, || judge.verdict(&document, email)) * 1e6)
}

fn compile_ms(rules: &[Rule]) -> Result<f64> {
    let begun = Instant::now();
    black_box(contender::compile("profile", rules)?);
    Ok(begun.elapsed().as_secs_f64() * 1e3)
}

/// Of one call.
fn seconds<T>(calls: u32, mut call: impl FnMut() -> T) -> f64 {
    let begun = Instant::now();
    for _ in 0..calls {
        black_box(call());
    }
    begun.elapsed().as_secs_f64() / f64::from(calls)
}

fn middle(rounds: &[Round], value: fn(&Round) -> f64) -> f64 {
    (median(rounds.iter().map(value).collect()) * 10.0).round() / 10.0
}

fn speed(rounds: &[Round]) -> Vec<Target> {
    let middle = |value| middle(rounds, value);
    let peer = "bare aho-corasick and regex";
    let add = |measure: &str, ours, theirs, bound| Target::new(measure, ours, peer, theirs, bound);
    let (ascii, ascii_floor) = (middle(|r| r.ascii.email_us), middle(|r| r.ascii.floor_us));
    let (mixed, mixed_floor) = (middle(|r| r.mixed.email_us), middle(|r| r.mixed.floor_us));
    let mut targets = vec![
        add(
            "ASCII e-mail, us",
            ascii,
            ascii_floor,
            Bound::AtMost(ASCII_US),
        ),
        add(
            "ASCII e-mail by the floor",
            ascii,
            ascii_floor,
            Bound::Ratio(FLOOR),
        ),
        add(
            "mixed scripts, us",
            mixed,
            mixed_floor,
            Bound::AtMost(MIXED_US),
        ),
        add(
            "mixed scripts by the floor",
            mixed,
            mixed_floor,
            Bound::Ratio(FLOOR),
        ),
        add(
            "long ASCII text, MB/s",
            middle(|r| r.ascii.long_mb_s),
            middle(|r| r.ascii.floor_long_mb_s),
            Bound::AtLeast(LONG_MB_S),
        ),
        add(
            "long text of mixed scripts, MB/s",
            middle(|r| r.mixed.long_mb_s),
            middle(|r| r.mixed.floor_long_mb_s),
            Bound::Shown,
        ),
    ];
    let compile = middle(|round| round.compile_ms);
    targets.push(Target::new(
        "10,000 terms compiled, ms",
        compile,
        "",
        0.0,
        Bound::AtMost(COMPILE_MS),
    ));
    targets.push(Target::new(
        "ASCII e-mail, a thousand terms of 20 policies, us",
        middle(|round| round.divided_us),
        "the same of one policy",
        middle(|round| round.terms_us),
        Bound::Shown,
    ));
    targets.push(Target::new(
        "streamed text of 512 kB, ns a byte",
        middle(|round| round.stream_long_ns),
        "the same of 8 kB",
        middle(|round| round.stream_short_ns),
        Bound::Ratio(STREAM),
    ));
    targets
}
