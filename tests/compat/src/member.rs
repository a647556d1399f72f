//! One member of a group: a client in a process of its own, and what it has told so far.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use tidelog_cluster_tests::process::spawn;
use tidelog_cluster_tests::wait;

use crate::event::{Event, Partition, What};

/// Closing takes a commit, a leave and whatever the client waits for besides.
const CLOSE_LIMIT: Duration = Duration::from_secs(30);

/// Kept after the member's end, for the checks.
#[derive(Clone, Debug)]
pub struct Story {
    pub name: String,
    pub events: Vec<Event>,
    /// When the process was gone; no event is later.
    pub ended_at_ms: i64,
}

/// Dropping it kills the process.
pub struct Member {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    told: Arc<Mutex<Vec<Event>>>,
    listener: Option<JoinHandle<()>>,
    complaints: PathBuf,
}

impl Member {
    /// Starts `command`; `dir` takes its standard error. It runs until its standard input ends.
    pub fn start(name: &str, mut command: Command, dir: &Path) -> Result<Member> {
        let complaints = dir.join(format!("{name}.log"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(&complaints)?);
        let mut child = spawn(command)?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("the member's output")?);
        let told: Arc<Mutex<Vec<Event>>> = Arc::default();
        let listener = {
            let told = told.clone();
            thread::spawn(move || {
                for line in output.lines().map_while(Result::ok) {
                    // A client's own logging may share the stream.
                    if let Ok(event) = Event::parse(&line) {
                        told.lock().expect("events").push(event);
                    }
                }
            })
        };
        Ok(Member { name: name.to_owned(), child, input, told, listener: Some(listener), complaints })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.told.lock().expect("events")
    }

    /// The partitions that are its own now.
    pub fn owned(&self) -> BTreeSet<Partition> {
        let mut owned = BTreeSet::new();
        for event in self.events().iter() {
            match &event.what {
                What::Assigned { partitions, .. } => owned.extend(partitions.iter().cloned()),
                What::Revoked { partitions } => owned.retain(|partition| !partitions.contains(partition)),
                What::Closed => owned.clear(),
                What::Generation { .. } | What::Record { .. } | What::Committed { .. } | What::Error { .. } => {}
            }
        }
        owned
    }

    /// Visits everything it has told, in order.
    pub fn each(&self, mut visit: impl FnMut(&What)) {
        self.events().iter().for_each(|event| visit(&event.what));
    }

    /// Counts events of one sort.
    pub fn count(&self, is_meant: impl Fn(&What) -> bool) -> usize {
        self.events().iter().filter(|event| is_meant(&event.what)).count()
    }

    /// Every partition it has given up so far, in that order.
    pub fn revoked(&self) -> Vec<Partition> {
        let mut all = Vec::new();
        self.each(|what| {
            if let What::Revoked { partitions } = what {
                all.extend(partitions.iter().cloned());
            }
        });
        all
    }

    pub fn records(&self) -> usize {
        self.count(|what| matches!(what, What::Record { .. }))
    }

    /// How often it was told of a rebalance.
    pub fn assignments(&self) -> usize {
        self.count(|what| matches!(what, What::Assigned { .. }))
    }

    /// Fails if it has ended by itself.
    pub fn check_running(&mut self) -> Result<()> {
        let ended = self.child.try_wait()?;
        ensure!(ended.is_none(), "{} ended by itself: {ended:?}\n{}", self.name, self.tail());
        Ok(())
    }

    /// Its last words, for a failed test.
    pub fn tail(&self) -> String {
        let complaints = fs::read(&self.complaints).unwrap_or_default();
        let complaints = String::from_utf8_lossy(&complaints).into_owned();
        let lines: Vec<&str> = complaints.lines().collect();
        let events = self.events();
        let notable: Vec<String> = events
            .iter()
            .filter(|event| !matches!(event.what, What::Record { .. } | What::Committed { .. }))
            .map(|event| format!("{event:?}"))
            .collect();
        format!(
            "--- {}: {} events, the last of all {:?}, the last notable ones\n{}\n--- its log\n{}",
            self.name,
            events.len(),
            events.last(),
            notable[notable.len().saturating_sub(12)..].join("\n"),
            lines[lines.len().saturating_sub(15)..].join("\n"),
        )
    }

    /// Has it leave the group and end.
    pub fn leave(mut self) -> Result<Story> {
        drop(self.input.take());
        let ended = wait::until("the member leaves and ends", CLOSE_LIMIT, || Ok(self.child.try_wait()?));
        let status = ended.with_context(|| self.tail())?;
        ensure!(status.success(), "{} ended with {status}\n{}", self.name, self.tail());
        let story = self.story()?;
        let closed = story.events.last().is_some_and(|event| event.what == What::Closed);
        ensure!(closed, "{} did not say that it closed", story.name);
        Ok(story)
    }

    /// kill -9.
    pub fn crash(mut self) -> Result<Story> {
        self.child.kill()?;
        self.child.wait()?;
        self.story()
    }

    fn story(&mut self) -> Result<Story> {
        if let Some(listener) = self.listener.take() {
            listener.join().expect("listener");
        }
        let events = std::mem::take(&mut *self.events());
        Ok(Story { name: self.name.clone(), events, ended_at_ms: now_ms() })
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// By the clock that the members use.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
