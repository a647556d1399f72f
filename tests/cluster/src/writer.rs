//! Independent writers under load, and an independent reader.
//!
//! Each writer is an idempotent acks=all producer that says what was acknowledged as it happens. There is
//! one on librdkafka, one on the Java client and one on our own.

mod own_client;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::external;
use crate::history::{Acked, History, Placed};
use crate::process::spawn;
use crate::wait;

const WRITER_SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/writer.py");
/// How long a writer may take to get rid of what it has accepted.
const STOP_LIMIT: Duration = Duration::from_secs(130);
/// Padding of values, which is no part of the identity of a record.
const PADDING: char = '.';

/// How fast and how much a writer writes, and what its values begin with.
#[derive(Clone, Copy)]
pub struct Load {
    pub name: &'static str,
    pub records_per_second: u32,
    pub value_bytes: usize,
}

impl Load {
    /// For one of several writers on a topic.
    pub fn named(self, name: &'static str) -> Load {
        Load { name, ..self }
    }
}

impl Default for Load {
    fn default() -> Load {
        Load { name: "writer", records_per_second: 400, value_bytes: 200 }
    }
}

/// What a writer needs to know of the brokers it writes to.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    pub bootstrap: &'a str,
    /// Where it may leave its complaints.
    pub dir: &'a Path,
    /// How long the brokers may need to get over one fault.
    pub recovery_limit: Duration,
}

/// A writer that runs until [`Writer::stop`].
pub struct Writer {
    history: Arc<Mutex<History>>,
    source: Source,
    limit: Duration,
}

enum Source {
    Process { child: Child, listener: Option<JoinHandle<()>>, stops_by: StopsBy },
    Thread { stop: Arc<AtomicBool>, thread: Option<JoinHandle<Result<()>>> },
}

#[derive(Clone, Copy)]
pub(crate) enum StopsBy {
    EndOfInput,
    Signal,
}

impl Writer {
    /// librdkafka on its default settings, as far as idempotent acks=all allows; `settings` are `key=value`.
    pub fn confluent(cluster: &Cluster, topic: &str, load: Load, settings: &[&str]) -> Result<Writer> {
        let bootstrap = cluster.bootstrap();
        Writer::confluent_to(site(cluster, &bootstrap), topic, load, settings)
    }

    /// The same, to brokers that are no [`Cluster`].
    pub fn confluent_to(site: Site, topic: &str, load: Load, settings: &[&str]) -> Result<Writer> {
        let mut python = Command::new(external::python(external::CONFLUENT_KAFKA)?);
        python.args([
            WRITER_SCRIPT,
            topic,
            load.name,
            &load.records_per_second.to_string(),
            &load.value_bytes.to_string(),
        ]);
        python.arg(format!("bootstrap.servers={}", site.bootstrap)).args(settings);
        Writer::process(site, python, load.name, StopsBy::EndOfInput)
    }

    /// The Java client on its default settings, which are idempotent acks=all.
    pub fn java(cluster: &Cluster, topic: &str, load: Load) -> Result<Writer> {
        let bootstrap = cluster.bootstrap();
        let settings = cluster.dir().join("java-writer.properties");
        // The tool switches retries off, which is no default of the client's.
        std::fs::write(&settings, "retries=2147483647\nenable.idempotence=true\n")?;
        let mut java = external::kafka_class("org.apache.kafka.tools.VerifiableProducer", &["-Xmx128m"])?;
        java.args(["--topic", topic, "--bootstrap-server", &bootstrap, "--acks", "-1", "--repeating-keys", "64"]);
        java.args(["--throughput", &load.records_per_second.to_string(), "--command-config"]).arg(settings);
        Writer::process(site(cluster, &bootstrap), java, "java", StopsBy::Signal)
    }

    /// Our own producer: one batch at a time to each of `partitions`.
    pub fn own(cluster: &Cluster, topic: &str, partitions: i32) -> Writer {
        let (bootstrap, topic) = (cluster.bootstrap(), topic.to_owned());
        Writer::thread(cluster.target().recovery_limit(), move |stop, history| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(own_client::produce(&bootstrap, &topic, partitions, stop, history))
        })
    }

    pub(crate) fn process(site: Site, mut command: Command, name: &str, stops_by: StopsBy) -> Result<Writer> {
        let complaints = File::create(site.dir.join(format!("{name}-writer.log")))?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(complaints);
        let mut child = spawn(command)?;
        let output = BufReader::new(child.stdout.take().context("the writer's output")?);
        let history = Arc::new(Mutex::new(History::default()));
        let told = history.clone();
        let listener = thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                note(&mut told.lock().expect("history"), &line);
            }
        });
        let source = Source::Process { child, listener: Some(listener), stops_by };
        Ok(Writer { history, source, limit: site.recovery_limit })
    }

    /// Runs `produce` on a thread until it is asked to stop.
    fn thread(
        limit: Duration,
        produce: impl FnOnce(&AtomicBool, &Mutex<History>) -> Result<()> + Send + 'static,
    ) -> Writer {
        let history = Arc::new(Mutex::new(History::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let (told, asked) = (history.clone(), stop.clone());
        let thread = thread::spawn(move || produce(&asked, &told));
        Writer { history, source: Source::Thread { stop, thread: Some(thread) }, limit }
    }

    /// Records acknowledged so far.
    pub fn acked(&self) -> usize {
        self.history.lock().expect("history").acked.len()
    }

    /// Waits until `count` more records were acknowledged.
    pub fn wait_acked(&self, count: usize) -> Result<()> {
        let goal = self.acked() + count;
        wait::for_condition(&format!("{count} more records are acknowledged"), self.limit, || Ok(self.acked() >= goal))
    }

    /// Waits until nothing has been acknowledged for `silence`.
    pub fn wait_silent(&self, silence: Duration) -> Result<()> {
        let mut seen = (self.acked(), std::time::Instant::now());
        wait::for_condition("acknowledgements stop", self.limit, || {
            if self.acked() != seen.0 {
                seen = (self.acked(), std::time::Instant::now());
            }
            Ok(seen.1.elapsed() >= silence)
        })
    }

    /// Ends the writing, waits for what is under way, and tells what happened.
    pub fn stop(mut self) -> Result<History> {
        match &mut self.source {
            Source::Process { child, listener, stops_by } => {
                drop(child.stdin.take());
                if let StopsBy::Signal = stops_by {
                    kill_process(Pid::from_raw(child.id() as i32).context("process id")?, Signal::TERM)?;
                }
                wait::until("the writer ends", STOP_LIMIT, || Ok(child.try_wait()?))?;
                if let Some(listener) = listener.take() {
                    listener.join().expect("listener");
                }
            }
            Source::Thread { stop, thread } => {
                stop.store(true, Ordering::Relaxed);
                if let Some(thread) = thread.take() {
                    thread.join().expect("writing thread")?;
                }
            }
        }
        Ok(std::mem::take(&mut *self.history.lock().expect("history")))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        match &mut self.source {
            // Both fail only if it has ended already.
            Source::Process { child, .. } => {
                let _ = child.kill();
                let _ = child.wait();
            }
            Source::Thread { stop, .. } => stop.store(true, Ordering::Relaxed),
        }
    }
}

pub(crate) fn site<'a>(cluster: &'a Cluster, bootstrap: &'a str) -> Site<'a> {
    Site { bootstrap, dir: cluster.dir(), recovery_limit: cluster.target().recovery_limit() }
}

/// Takes a line of a writer's output: our script's and Kafka's VerifiableProducer's share no field names.
fn note(history: &mut History, line: &str) {
    let Ok(event) = serde_json::from_str::<Value>(line) else {
        return;
    };
    let value = event["value"].as_str().unwrap_or_default().to_owned();
    let at_ms = event["at_ms"].as_i64().or(event["timestamp"].as_i64()).unwrap_or_default();
    let place = (event["partition"].as_i64(), event["offset"].as_i64());
    if let (Some(partition), Some(offset)) = place {
        let record = Placed { partition: partition as i32, offset, value };
        history.acked.push(Acked { record, at_ms });
    } else if let Some(error) = event["error"].as_str().or(event["exception"].as_str()) {
        history.failed.push((value, error.to_owned()));
    }
}

/// Everything a topic holds, in the order of each partition's offsets, as kcat reads it.
pub fn read_all(cluster: &Cluster, topic: &str) -> Result<Vec<Placed>> {
    read_all_from(&cluster.bootstrap(), topic)
}

/// The same, from brokers that are no [`Cluster`].
pub fn read_all_from(bootstrap: &str, topic: &str) -> Result<Vec<Placed>> {
    let printed =
        external::kcat(&["-C", "-q", "-e", "-b", bootstrap, "-t", topic, "-o", "beginning", "-f", "%p %o %s\n"], "")?;
    let mut records = Vec::new();
    for line in printed.stdout.lines() {
        let mut words = line.splitn(3, ' ');
        let (Some(partition), Some(offset), Some(value)) = (words.next(), words.next(), words.next()) else {
            bail!("kcat printed {line:?}");
        };
        let value = value.trim_end_matches(PADDING).to_owned();
        records.push(Placed { partition: partition.parse()?, offset: offset.parse()?, value });
    }
    Ok(records)
}
