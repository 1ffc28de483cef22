//! A network namespace in which nothing is but what is measured and what measures it.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

/// As root, else as one who is root in a namespace of users.
const WAYS: [&[&str]; 2] = [&["--net"], &["--net", "--map-root-user"]];
/// Its loopback is down at first.
const UP: &str = "ip link set lo up && exec \"$@\"";
/// Names the namespace in the results; kept by who is started in it.
const KIND: &str = "AIOS_BENCH_NETWORK";

/// How one is made on this machine.
pub struct Alone {
    way: &'static [&'static str],
}

/// None where none can be made.
pub async fn alone() -> Option<Alone> {
    for way in WAYS {
        let alone = Alone { way };
        let mut tried = alone.command(&["true"]);
        tried.stdout(Stdio::null()).stderr(Stdio::null());
        if tried.status().await.is_ok_and(|status| status.success()) {
            return Some(alone);
        }
    }
    None
}

/// Which this process is in.
pub fn kind() -> String {
    std::env::var(KIND).unwrap_or_else(|_| "shared".to_owned())
}

impl Alone {
    /// Runs this very command there, with another argument.
    ///
    /// # Errors
    /// When it fails; it has said why.
    pub async fn again(&self, with: &str) -> Result<()> {
        let program = std::env::current_exe()?;
        let program = program.to_str().context("the program has an odd path")?;
        let mut again = self.command(&[program]);
        again.args(std::env::args_os().skip(1)).arg(with);
        again.env(KIND, "own");
        let status = again.status().await?;
        ensure!(status.success(), "the benchmark in its namespace failed");
        Ok(())
    }

    /// It is told to end when who started it does.
    fn command(&self, program: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command.args(self.way);
        command.args(["setpriv", "--pdeathsig", "TERM"]);
        command.args(["sh", "-c", UP, "sh"]).args(program);
        command
    }
}
