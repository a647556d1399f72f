//! Runs one scenario on a cluster of its own, shows the nodes' logs if it fails, and checks what holds always.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Condvar, Mutex};
use std::thread;

use anyhow::{Result, ensure};

use crate::cluster::{Cluster, Spec};
use crate::external::Missing;
use crate::target::Target;

const LOG_TAIL_LINES: usize = 60;

/// Clusters that may run at the same time: each keeps about two cores busy.
fn parallel_clusters() -> usize {
    thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))
}

static RUNNING: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

struct Turn;

impl Turn {
    fn wait() -> Turn {
        let running = RUNNING.0.lock().expect("turns");
        let mut running = RUNNING.1.wait_while(running, |running| *running >= parallel_clusters()).expect("turns");
        *running += 1;
        Turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *RUNNING.0.lock().expect("turns") -= 1;
        RUNNING.1.notify_one();
    }
}

/// Starts the cluster and runs `body` on it.
///
/// # Panics
/// If anything fails: this is the body of a test.
pub fn scenario(spec: Spec, body: impl FnOnce(&mut Cluster) -> Result<()>) {
    let _turn = Turn::wait();
    let run = || {
        let mut cluster = Cluster::start(Target::from_environment()?, &spec)?;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            body(&mut cluster)?;
            cluster.check_running()?;
            check_no_panic(&cluster)
        }));
        if !matches!(&outcome, Ok(Ok(()))) && !matches!(&outcome, Ok(Err(error)) if error.is::<Missing>()) {
            cluster.keep_dir();
            eprintln!("{}(everything: {})", cluster.log_tails(LOG_TAIL_LINES), cluster.dir().display());
        }
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    };
    finish(run());
}

/// Ends a test: passes, skips (fails where `CI=true`) or panics.
///
/// # Panics
/// If the outcome is an error other than [`Missing`].
pub fn finish(outcome: Result<()>) {
    match outcome {
        Ok(()) => {}
        Err(error) if error.is::<Missing>() && env::var("CI").as_deref() != Ok("true") => {
            report(&format!("skipped: {error}"))
        }
        Err(error) => panic!("{error:#}"),
    }
}

/// Ends a scenario that Kafka does not pass by design.
pub fn kafka_differs(cluster_or_target: Target, why: &str) -> bool {
    let differs = cluster_or_target == Target::Kafka;
    if differs {
        report(&format!("not run against Kafka: {why}"));
    }
    differs
}

/// Says something that is shown for passed tests too, which `println!` in a test is not.
pub fn report(what: &str) {
    let test = thread::current().name().unwrap_or("test").to_owned();
    // Nobody is left to tell if standard error is closed.
    let _ = writeln!(io::stderr(), "{test}: {what}");
}

fn check_no_panic(cluster: &Cluster) -> Result<()> {
    for id in cluster.ids() {
        let log = String::from_utf8_lossy(&fs::read(cluster.log_file(id))?).into_owned();
        let panic = log.lines().find(|line| line.contains("panicked at"));
        ensure!(panic.is_none(), "node {id}: {}", panic.unwrap_or_default());
    }
    Ok(())
}
