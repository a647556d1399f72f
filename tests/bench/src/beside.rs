//! What work in the background costs producers: the latency of a steady load alone, and beside compaction or a move.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use tidelog_client::{Client, ClientOptions, Producer, ProducerOptions};
use tidelog_cluster_tests::{Cluster, Spec, Target, wait};
use tidelog_compat_tests::command::tidelog;
use tidelog_wire::record::Record;
use tokio::time::MissedTickBehavior;

const LOADED: &str = "loaded";
const LOADED_PARTITIONS: i32 = 16;
/// One record to each partition of the load, so often: 1,000 records a second.
const TURN: Duration = Duration::from_millis(16);
const HEAVY: &str = "heavy";
const HEAVY_PARTITIONS: i32 = 4;
/// Only segments that are full are compacted.
const HEAVY_SEGMENT_BYTES: usize = 16 << 20;
const HEAVY_RECORD_BYTES: usize = 1024;
const HEAVY_BATCH_RECORDS: usize = 512;
const JOB_LIMIT: Duration = Duration::from_secs(1200);

#[derive(Args)]
pub struct Options {
    #[arg(long, value_enum)]
    job: Job,
    /// MiB that are compacted or moved; each of three nodes holds so much
    #[arg(long, default_value_t = 2048)]
    mib: usize,
    /// Of a move, per node
    #[arg(long, default_value = "50MiB")]
    throttle: String,
    /// How long the load is measured alone
    #[arg(long, default_value_t = 15)]
    seconds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Job {
    Compaction,
    Move,
}

pub fn run(options: &Options) -> Result<()> {
    let spec = match options.job {
        Job::Compaction => Spec::brokers(3).set("log.cleaner.backoff.ms", "500"),
        Job::Move => Spec::brokers(4),
    };
    let cluster = Cluster::start(Target::from_environment()?, &spec)?;
    cluster.create_topic(LOADED, LOADED_PARTITIONS)?;
    let create = format!("topic create {HEAVY} --partitions {HEAVY_PARTITIONS} --replication-factor 3");
    tidelog(&cluster, &format!("{create} --config segment.bytes={HEAVY_SEGMENT_BYTES}"), "", 0)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(fill(&cluster.bootstrap(), options.mib << 20))?;

    let is_over = AtomicBool::new(false);
    let (alone, beside, taken) = std::thread::scope(|scope| -> Result<_> {
        let load = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let alone =
                runtime.block_on(load(&cluster, Duration::from_secs(options.seconds), &AtomicBool::new(false)))?;
            let began = Instant::now();
            let beside = scope.spawn(|| {
                let done = work(&cluster, options);
                is_over.store(true, Ordering::Relaxed);
                done
            });
            let measured = runtime.block_on(load(&cluster, JOB_LIMIT, &is_over))?;
            beside.join().expect("the job")?;
            Ok((alone, measured, began.elapsed()))
        });
        load.join().expect("the load")
    })?;
    let ratio = percentile(&beside, 99.0) / percentile(&alone, 99.0);
    let report = json!({
        "bench": "beside",
        "job": format!("{:?}", options.job).to_lowercase(),
        "mib": options.mib,
        "throttle": (options.job == Job::Move).then_some(&options.throttle),
        "job_seconds": taken.as_secs_f64(),
        "alone_ms": percentiles(&alone),
        "beside_ms": percentiles(&beside),
        "p99_ratio": ratio,
    });
    println!("{report}");
    Ok(())
}

/// Keyed records, of whose keys each comes twice.
async fn fill(bootstrap: &str, bytes: usize) -> Result<()> {
    let patient = ClientOptions { retry_for: Duration::from_secs(60), ..ClientOptions::default() };
    let client = Client::connect(bootstrap, patient).await?;
    let mut producer = Producer::new(client, HEAVY, ProducerOptions::default()).await?;
    let rounds = bytes / (HEAVY_BATCH_RECORDS * HEAVY_RECORD_BYTES * HEAVY_PARTITIONS as usize);
    let record = |round: usize, number: usize| Record {
        key: Some(Bytes::from(format!("{}-{number}", round % (rounds / 2).max(1)))),
        value: Some(Bytes::from(vec![7; HEAVY_RECORD_BYTES])),
        ..Record::default()
    };
    for round in 0..rounds {
        let batch: Vec<Record> = (0..HEAVY_BATCH_RECORDS).map(|number| record(round, number)).collect();
        let batches: Vec<_> = (0..HEAVY_PARTITIONS).map(|partition| (partition, batch.clone())).collect();
        producer.send_each(&batches).await.into_iter().try_for_each(|sent| sent.map(drop))?;
        if round % 64 == 0 {
            eprintln!("filled {} %", round * 100 / rounds);
        }
    }
    Ok(())
}

/// Milliseconds from when a turn was due until all its records were acknowledged, of every turn until the time is over.
async fn load(cluster: &Cluster, limit: Duration, is_over: &AtomicBool) -> Result<Vec<f64>> {
    let client = Client::connect(&cluster.bootstrap(), ClientOptions::default()).await?;
    let mut producer = Producer::new(client, LOADED, ProducerOptions::default()).await?;
    let record = Record { value: Some(Bytes::from(vec![7; 1024])), ..Record::default() };
    let batches: Vec<_> = (0..LOADED_PARTITIONS).map(|partition| (partition, vec![record.clone()])).collect();
    let mut turns = tokio::time::interval(TURN);
    turns.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (began, mut taken) = (Instant::now(), Vec::new());
    while began.elapsed() < limit && !is_over.load(Ordering::Relaxed) {
        let due = turns.tick().await;
        producer.send_each(&batches).await.into_iter().try_for_each(|sent| sent.map(drop))?;
        taken.push(due.elapsed().as_secs_f64() * 1e3);
    }
    Ok(taken)
}

fn work(cluster: &Cluster, options: &Options) -> Result<()> {
    match options.job {
        Job::Compaction => compact(cluster),
        Job::Move => move_away(cluster, &options.throttle),
    }
}

/// Turns the filled topic into a compacted one, and waits until every node has compacted its replicas.
fn compact(cluster: &Cluster) -> Result<()> {
    let configs = ["cleanup.policy=compact", "min.cleanable.dirty.ratio=0.01"];
    let configs: Vec<String> = configs.iter().map(|config| format!("--config {config}")).collect();
    tidelog(cluster, &format!("topic alter {HEAVY} {}", configs.join(" ")), "", 0)?;
    let cleanings = |id: i32| -> Result<f64> {
        let metrics = cluster.metrics(id)?;
        let line = metrics.lines().find_map(|line| line.strip_prefix("kafka_log_logcleaner_cleanings_total "));
        Ok(line.context("no metric of the cleaner")?.parse()?)
    };
    wait::for_condition("every replica is compacted", JOB_LIMIT, || {
        let done: Vec<f64> = cluster.ids().map(cleanings).collect::<Result<_>>()?;
        Ok(done.iter().all(|count| *count >= f64::from(HEAVY_PARTITIONS)))
    })
}

fn move_away(cluster: &Cluster, throttle: &str) -> Result<()> {
    let plan = tidelog(cluster, &format!("topic reassign generate --topics {HEAVY} --to-brokers 2,3,4"), "", 0)?;
    let file = cluster.dir().join("plan.json");
    fs::write(&file, plan)?;
    tidelog(cluster, &format!("topic reassign execute {} --throttle {throttle}", file.display()), "", 0)?;
    wait::for_condition("everything has moved", JOB_LIMIT, || {
        let partitions = cluster.partitions(HEAVY)?;
        Ok(partitions.iter().all(|partition| !partition.replicas.contains(&1) && partition.in_sync.len() == 3))
    })
}

fn percentile(taken: &[f64], percent: f64) -> f64 {
    let mut sorted = taken.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let index = (sorted.len() as f64 * percent / 100.0) as usize;
    sorted.get(index.min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

fn percentiles(taken: &[f64]) -> Value {
    let of = |percent| (percentile(taken, percent) * 100.0).round() / 100.0;
    json!({ "turns": taken.len(), "p50": of(50.0), "p99": of(99.0), "max": of(100.0) })
}
