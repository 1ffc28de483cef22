//! Processes: run one to its end, and name a running one so that nothing else
//! can be meant by it.

use std::fs;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};

/// One process: its id and when it started, since ids are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handle {
    pub pid: i32,
    /// Clock ticks after boot: field 22 of `/proc/PID/stat`, proc(5).
    pub started: u64,
}

impl Handle {
    pub fn of(pid: i32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let started =
            start_time(&stat).with_context(|| format!("/proc/{pid}/stat is not as expected"))?;
        Ok(Self { pid, started })
    }

    pub fn current() -> Result<Self> {
        Self::of(i32::try_from(std::process::id())?)
    }

    /// The handle in a file; none if there is no such file or it is not whole.
    pub fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    pub fn is_alive(self) -> bool {
        let Ok(stat) = fs::read_to_string(format!("/proc/{}/stat", self.pid)) else {
            return false;
        };
        start_time(&stat) == Some(self.started) && !is_zombie(&stat)
    }

    /// Signals this process and no later one that was given its id.
    pub fn signal(self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.pid).context("no process has id 0")?;
        let Ok(descriptor) = pidfd_open(pid, PidfdFlags::empty()) else {
            return Ok(());
        };
        if self.is_alive() {
            pidfd_send_signal(&descriptor, signal)?;
        }
        Ok(())
    }

    /// Waits until the process has ended; false if it has not by the deadline.
    pub async fn ended_within(self, deadline: Duration) -> bool {
        tokio::time::timeout(deadline, async {
            while self.is_alive() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .is_ok()
    }
}

/// The name of a process may hold spaces and brackets: count from the last `)`.
fn start_time(stat: &str) -> Option<u64> {
    stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

fn is_zombie(stat: &str) -> bool {
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| rest.starts_with('Z') || rest.starts_with('X'))
}

/// A child in a process group of its own, which ends with this value: an
/// interrupted build leaves no compiler behind.
pub struct Group(Child);

impl Group {
    pub fn spawn(command: &mut Command) -> Result<Self> {
        let program = command
            .as_std()
            .get_program()
            .to_string_lossy()
            .into_owned();
        let child = command
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        Ok(Self(child))
    }

    pub async fn wait(&mut self) -> Result<ExitStatus> {
        Ok(self.0.wait().await?)
    }

    /// Its process id; none once it has ended.
    pub fn id(&self) -> Option<u32> {
        self.0.id()
    }

    /// Kills all of it and waits until it has gone.
    pub async fn stop(mut self) -> Result<()> {
        self.kill();
        self.wait().await.map(drop)
    }

    fn kill(&self) {
        let pid = self
            .0
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a command to its end and returns what it printed.
///
/// # Errors
/// If it cannot be started, or fails: with what it said.
pub async fn output(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("cannot start: {shown}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{shown}: {} ({})", said.trim(), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command with its output in a file; a failure quotes the file's end.
pub async fn logged(command: &mut Command, log: &Path) -> Result<()> {
    let shown = shown(command);
    let file = fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    command
        .stdin(Stdio::null())
        .stderr(file.try_clone()?)
        .stdout(file);
    let status = Group::spawn(command)?.wait().await?;
    if !status.success() {
        bail!(
            "{shown} failed ({status}):\n{}\nThe whole log: {}",
            tail(log, 15),
            log.display()
        );
    }
    Ok(())
}

/// The last lines of a file; empty if it cannot be read.
pub fn tail(path: &Path, lines: usize) -> String {
    let text = fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..)
        .unwrap_or_default()
        .join("\n")
}

fn shown(command: &Command) -> String {
    let command = command.as_std();
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|part| part.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Standard input, which must be a pipe: reading it holds no thread.
pub fn piped_input() -> Result<pipe::Receiver> {
    pipe::OpenOptions::new()
        .open_receiver("/proc/self/fd/0")
        .context("standard input is no pipe")
}

/// Finds a program on the PATH or where administrators' tools are.
pub fn find_program(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(Into::into))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_time_is_read_past_a_name_with_brackets() {
        let stat = "12 (a) (b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(start_time(stat), Some(4711));
    }

    #[test]
    fn a_handle_means_one_process_only() {
        let current = Handle::current().unwrap();
        assert!(current.is_alive());
        assert!(
            !Handle {
                started: current.started + 1,
                ..current
            }
            .is_alive()
        );
    }

    #[tokio::test]
    async fn a_failure_quotes_what_was_said() {
        let error = output(Command::new("sh").args(["-c", "echo no such luck >&2; exit 3"]))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("no such luck"), "{error}");
    }
}
