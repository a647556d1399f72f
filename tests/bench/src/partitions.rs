//! Row 25 and row 17: how long many partitions take until every one has its leader and its replicas, and
//! what they cost when nothing happens.

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use tidelog_cluster_tests::{Cluster, Spec, Target};

use crate::processes::cpu_seconds;

#[derive(Args)]
pub struct Options {
    #[arg(long, default_value_t = 1)]
    topics: usize,
    /// Partitions of each topic
    #[arg(long, default_value_t = 1000)]
    partitions: i32,
    /// How long to watch the idle cluster afterwards
    #[arg(long, default_value_t = 10)]
    idle_seconds: u64,
}

pub fn run(options: &Options) -> Result<()> {
    let cluster = Cluster::start(Target::from_environment()?, &Spec::brokers(3))?;
    let pids: Vec<u32> = cluster.ids().map(|id| cluster.pid(id)).collect::<Result<_>>()?;
    let started = Instant::now();
    for topic in 0..options.topics {
        cluster.create_topic(&format!("many-{topic}"), options.partitions)?;
    }
    let created = started.elapsed();
    let cpu_before = cpu_seconds(&pids);
    std::thread::sleep(Duration::from_secs(options.idle_seconds));
    let cpu = cpu_seconds(&pids) - cpu_before;
    let resident_mib = cluster.ids().map(|id| Ok(cluster.resident_bytes(id)? >> 20)).collect::<Result<Vec<_>>>()?;
    let report = serde_json::json!({
        "bench": "partitions",
        "partitions": options.topics as i64 * i64::from(options.partitions),
        "created_s": created.as_secs_f64(),
        "idle_cpu_percent_of_a_core": cpu / options.idle_seconds as f64 * 100.0,
        "resident_mib": resident_mib,
    });
    println!("{report}");
    Ok(())
}
