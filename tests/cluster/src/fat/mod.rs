//! Storms over many fat partitions: small segments and large batches of several kinds of compression, a broker away for
//! most of the time, and everything that an administrator may do meanwhile: records deleted up to any offset, topics
//! deleted and recreated, partitions moved, configs changed; compaction and retention go on by themselves.
//!
//! What was acknowledged, asked for and shown stands in the [`ledger`]; [`check`] says what must be true of it at the end,
//! and what is wrong at once is noted there as it happens.

mod check;
mod ledger;
mod reader;
mod replicas;
mod steward;
mod topics;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tidelog_client::{Client, ClientOptions};
use tokio::task::LocalSet;

use crate::cluster::{Cluster, Spec};
use crate::nemesis::Nemesis;
use crate::scenario::{report, scenario};
use crate::wait;
use ledger::Ledger;
use topics::TOPICS;

const BROKERS: usize = 4;
/// After the storm, by then every partition is whole, led and written to, and every move is over.
const RECOVERY_LIMIT: Duration = Duration::from_secs(60);

/// What the actors share. Each has a client of its own, so that none waits behind another's large requests.
#[derive(Clone)]
struct Stage {
    bootstrap: String,
    ledger: Arc<Ledger>,
    act: Arc<AtomicU8>,
}

/// What is done in it, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
enum Act {
    /// Everything happens at once.
    Storm,
    /// Nothing new is asked of the cluster, and all that was is to end.
    Calm,
    /// Nobody writes.
    Over,
}

impl Stage {
    fn is_in(&self, act: Act) -> bool {
        self.act.load(Ordering::Relaxed) == act as u8
    }

    fn is_over(&self) -> bool {
        self.is_in(Act::Over)
    }

    fn client(&self) -> Result<Client> {
        let options = ClientOptions { retry_for: Duration::from_secs(5), ..ClientOptions::default() };
        Ok(Client::unconnected(&self.bootstrap, options)?)
    }
}

/// # Panics
/// If anything fails, with the seed: this is the body of a test.
pub fn fat_soak(seed: u64, storm: Duration) {
    let mut spec = Spec::brokers(BROKERS).gated_network();
    for (key, value) in [
        ("log.retention.check.interval.ms", "1000"),
        ("log.cleaner.backoff.ms", "500"),
        ("log.segment.delete.delay.ms", "1000"),
        ("auto.create.topics.enable", "false"),
    ] {
        spec = spec.set(key, value);
    }
    scenario(spec, |cluster| rage_and_check(cluster, seed, storm).with_context(|| format!("seed {seed}")));
}

fn rage_and_check(cluster: &mut Cluster, seed: u64, storm: Duration) -> Result<()> {
    let mut nemesis = Nemesis::new(seed).with_absence();
    report(&format!("seed {seed}: {:?}", nemesis.kinds()));
    let stage = Stage { bootstrap: cluster.bootstrap(), ledger: Arc::default(), act: Arc::default() };
    let actors = begin(stage.clone(), seed)?;
    let told = || stage.ledger.progress();
    wait::for_condition("every partition is written to", RECOVERY_LIMIT, || Ok(told().iter().all(|acked| *acked > 0)))?;
    nemesis.rage(cluster, storm)?;
    stage.act.store(Act::Calm as u8, Ordering::Relaxed);
    wait_whole(cluster, &stage)?;
    stage.act.store(Act::Over as u8, Ordering::Relaxed);
    actors.join().expect("the actors' thread")?;
    stage.ledger.check_no_breach()?;
    report(&stage.ledger.summary());
    check::check(cluster, &stage)
}

/// Makes the topics and starts everybody on a thread.
fn begin(stage: Stage, seed: u64) -> Result<JoinHandle<Result<()>>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = stage.client()?;
        for topic in &TOPICS {
            steward::create(&client, topic).await?;
        }
        Ok::<(), anyhow::Error>(())
    })?;
    Ok(thread::spawn(move || {
        let actors = LocalSet::new();
        let mut tasks = Vec::new();
        for topic in &TOPICS {
            for partition in 0..topic.partitions {
                tasks.push(actors.spawn_local(reader::read(stage.clone(), topic, partition)));
                let seed = seed.wrapping_mul(1_000_003) + tasks.len() as u64;
                tasks.push(actors.spawn_local(writer::write(stage.clone(), topic, partition, seed)));
            }
        }
        tasks.push(actors.spawn_local(steward::tend(stage, seed)));
        runtime.block_on(actors.run_until(async {
            for task in tasks {
                task.await??;
            }
            Ok(())
        }))
    }))
}

fn wait_whole(cluster: &Cluster, stage: &Stage) -> Result<()> {
    let before = stage.ledger.progress();
    let mut waiting = String::new();
    let whole = wait::for_condition("every partition is whole", RECOVERY_LIMIT, || {
        waiting = what_is_missing(cluster, stage, &before)?;
        Ok(waiting.is_empty())
    });
    // What led to it tells more.
    stage.ledger.check_no_breach()?;
    whole.with_context(|| waiting)
}

fn what_is_missing(cluster: &Cluster, stage: &Stage, before: &[usize]) -> Result<String> {
    for topic in &TOPICS {
        let partitions = cluster.partitions(topic.name)?;
        ensure!(partitions.len() == topic.partitions as usize, "{} has {} partitions", topic.name, partitions.len());
        for (index, partition) in partitions.iter().enumerate() {
            if partition.leader < 0
                || partition.in_sync.len() != topic.replicas()
                || partition.replicas.len() != topic.replicas()
            {
                return Ok(format!("liveness: {}-{index} is {partition:?}", topic.name));
            }
        }
    }
    let still = before.iter().zip(stage.ledger.progress()).position(|(before, now)| *before == now);
    Ok(still.map_or(String::new(), |at| {
        format!("liveness: nothing more is acknowledged of {}", topics::partition_name(at))
    }))
}
