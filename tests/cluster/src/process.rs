//! Child processes that cannot outlive the test process.
//!
//! The kernel kills each child when the thread that started it ends, so all of them are started by one
//! thread that lives as long as the test process: a panicking or killed test leaves nothing behind.

use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};

use crate::wait;

const TAIL_BYTES: usize = 8_000;

type SpawnOrder = (Command, Sender<std::io::Result<Child>>);

static SPAWNER: LazyLock<Sender<SpawnOrder>> = LazyLock::new(|| {
    let (orders, inbox) = mpsc::channel::<SpawnOrder>();
    thread::spawn(move || {
        for (mut command, reply) in inbox {
            // The receiver is gone only if its test is: then the child dies by `Child`'s owner below.
            let _ = reply.send(command.spawn());
        }
    });
    orders
});

/// Starts a command whose process the kernel kills when the test process ends.
pub fn spawn(mut command: Command) -> Result<Child> {
    // SAFETY: the closure runs between fork and exec and makes one async-signal-safe system call.
    unsafe {
        command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
    }
    let what = format!("{command:?}");
    let (reply, answer) = mpsc::channel();
    SPAWNER.send((command, reply)).map_err(|_| anyhow!("the spawning thread is gone"))?;
    answer.recv()?.with_context(|| format!("cannot start {what}"))
}

/// A server process: its output goes to a file, and it is killed when dropped.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Appends to `log`, so that a node's incarnations are told in one file.
    pub fn start(mut command: Command, log: &Path) -> Result<Process> {
        let out = File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        Ok(Process { child: spawn(command)?, log: log.to_path_buf() })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.child.id() as i32).context("process id")?;
        Ok(kill_process(pid, signal)?)
    }

    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// kill -9, and waits for the end.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, and waits for the end.
    pub fn terminate(self, limit: Duration) -> Result<ExitStatus> {
        self.wait_orderly(limit)?;
        self.signal(Signal::TERM)?;
        self.wait_end(limit)
    }

    /// A process that has only just begun dies of SIGTERM, and did nothing yet that it could end in good order.
    fn wait_orderly(&self, limit: Duration) -> Result<()> {
        wait::for_condition("the process handles SIGTERM", limit, || {
            let caught = u64::from_str_radix(&self.status_line("SigCgt:")?, 16)?;
            Ok(caught & (1 << (Signal::TERM.as_raw() - 1)) != 0)
        })
    }

    pub fn wait_end(mut self, limit: Duration) -> Result<ExitStatus> {
        wait::until("the process ends", limit, || Ok(self.child.try_wait()?))
    }

    /// Resident memory in bytes.
    pub fn resident_bytes(&self) -> Result<u64> {
        Ok(self.status_line("VmRSS:")?.parse::<u64>()? * 1024)
    }

    /// The first word after `name` in what the kernel says of the process.
    fn status_line(&self, name: &str) -> Result<String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
        Ok(line.split_whitespace().next().with_context(|| format!("{name} without a value"))?.to_owned())
    }

    pub fn log(&self) -> &Path {
        &self.log
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A paused process dies of SIGKILL as well; both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a finished command printed.
#[derive(Debug)]
pub struct Output {
    pub stdout: String,
    pub stderr: String,
    pub status: ExitStatus,
}

impl Output {
    /// Both streams, for tools that mix them.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// The end of both streams, short enough for an error message.
    fn tail(&self) -> String {
        let text = self.text();
        let start = text.len().saturating_sub(TAIL_BYTES);
        text[text.ceil_char_boundary(start)..].to_owned()
    }
}

/// Runs a command to its end; fails if it exits with another code than 0 or takes longer than `limit`.
pub fn run(command: Command, input: &str, limit: Duration) -> Result<Output> {
    let what = format!("{command:?}");
    let output = run_any(command, input, limit)?;
    if !output.status.success() {
        bail!("{what} ended with {}:\n{}", output.status, output.tail());
    }
    Ok(output)
}

/// Runs a command to its end, whatever its exit code; fails only if it takes longer than `limit`.
pub fn run_any(mut command: Command, input: &str, limit: Duration) -> Result<Output> {
    let what = format!("{command:?}");
    let dir = tempfile::tempdir()?;
    let [stdin, stdout, stderr] = ["in", "out", "err"].map(|name| dir.path().join(name));
    fs::write(&stdin, input)?;
    command.stdin(File::open(&stdin)?).stdout(File::create(&stdout)?).stderr(File::create(&stderr)?);
    let mut child = spawn(command)?;
    let ended = wait::until("the command ends", limit, || Ok(child.try_wait()?));
    if ended.is_err() {
        child.kill()?;
        child.wait()?;
    }
    let read = |path: &Path| Ok::<_, anyhow::Error>(String::from_utf8_lossy(&fs::read(path)?).into_owned());
    let output = Output {
        stdout: read(&stdout)?,
        stderr: read(&stderr)?,
        status: ended.as_ref().copied().unwrap_or(ExitStatus::from_raw(0)),
    };
    ended.with_context(|| format!("{what} did not end; it printed:\n{}", output.tail()))?;
    Ok(output)
}
