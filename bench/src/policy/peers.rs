//! Presidio's and LLM Guard's scanners without models, installed by pip, over the same e-mail.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use aios_e2e::files;
use aios_policy_testset::profile;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::json;

use crate::report::{Bound, Target};

/// Installed without what it depends on: `bench/policy/requirements.txt` says why.
const LLM_GUARD: &str = "llm-guard==0.3.16";

/// What the script says.
#[derive(Debug, Deserialize)]
pub struct Peers {
    pub versions: BTreeMap<String, String>,
    measures: Vec<Measure>,
}

#[derive(Debug, Deserialize)]
struct Measure {
    peer: String,
    scanner: String,
    us: f64,
}

impl Peers {
    /// Our whole profile beside each scanner alone.
    pub fn targets(&self, ours_us: f64) -> Vec<Target> {
        let shown = self.measures.iter().map(|measure| {
            let peer = format!("{}: {}", measure.peer, measure.scanner);
            Target::new(
                "whole profile, ASCII e-mail, us",
                ours_us,
                &peer,
                measure.us,
                Bound::Shown,
            )
        });
        shown.collect()
    }
}

/// Installs them where they are not, under the cache, and times them.
pub fn measure(rounds: usize) -> Result<Peers> {
    let folder = files::repository().join("bench/policy");
    let python = installed(&folder)?;
    let mut script = Command::new(python)
        .arg(folder.join("peers.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the peers' Python")?;
    let asked = json!({
        "text": profile::ASCII.text,
        "terms": profile::terms(profile::TERMS),
        "rounds": rounds,
    });
    let mut input = script.stdin.take().context("no standard input")?;
    input.write_all(asked.to_string().as_bytes())?;
    drop(input);
    let output = script.wait_with_output()?;
    ensure!(
        output.status.success(),
        "peers.py failed: {}",
        output.status
    );
    serde_json::from_slice(&output.stdout).context("peers.py says something else than figures")
}

/// A virtual environment of its own, made anew where the requirements changed.
fn installed(folder: &Path) -> Result<PathBuf> {
    let home = files::cache()?.join("bench/policy-peers");
    let python = home.join("bin/python");
    let requirements = folder.join("requirements.txt");
    let wanted = fs::read_to_string(&requirements)? + LLM_GUARD;
    let mark = home.join("installed");
    if fs::read_to_string(&mark).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&home))?;
    let pip = || {
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--no-compile"]);
        pip
    };
    run(pip().arg("-r").arg(&requirements))?;
    run(pip().args(["--no-deps", LLM_GUARD]))?;
    fs::write(mark, wanted)?;
    Ok(python)
}

/// The same with what generates Presidio's own sentences and finds names in them.
pub fn with_sets(folder: &Path, packages: &[&str]) -> Result<PathBuf> {
    let python = installed(folder)?;
    let requirements = folder.join("requirements-sets.txt");
    let wanted = fs::read_to_string(&requirements)? + &packages.join("\n");
    let mark = files::cache()?.join("bench/policy-peers/installed-sets");
    if fs::read_to_string(&mark).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    let pip = || {
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--no-compile"]);
        pip
    };
    run(pip().arg("-r").arg(&requirements))?;
    run(pip().arg("--no-deps").args(packages))?;
    fs::write(mark, wanted)?;
    Ok(python)
}

fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {command:?}"))?;
    ensure!(
        status.success(),
        "{command:?} failed: {status}; `--alone` measures without the products that pip installs"
    );
    Ok(())
}
