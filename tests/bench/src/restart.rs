//! Row 20: a node with gigabytes of log is killed with -9 and started again; how long until it is in every ISR again.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use clap::Args;
use tidelog_client::{Client, ClientOptions, Producer, ProducerOptions};
use tidelog_cluster_tests::{Cluster, Spec, Target};
use tidelog_wire::record::Record;

use crate::spread::Spread;

const TOPIC: &str = "held";
const PARTITIONS: i32 = 16;
const BATCH_BYTES: usize = 512 << 10;

#[derive(Args)]
pub struct Options {
    /// MiB of log on each node
    #[arg(long, default_value_t = 2048)]
    log_mib: usize,
    #[arg(long, default_value_t = 5)]
    repeat: usize,
}

pub fn run(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut cluster = Cluster::start(Target::from_environment()?, &Spec::brokers(3))?;
    cluster.create_topic(TOPIC, PARTITIONS)?;
    runtime.block_on(fill(&cluster.bootstrap(), options.log_mib << 20))?;
    let mut taken = Spread::default();
    for round in 0..options.repeat {
        let victim = cluster.ids().nth(round % 3).context("a cluster of three")?;
        cluster.kill(victim)?;
        cluster.wait_in_sync(TOPIC, PARTITIONS, 2)?;
        let started = Instant::now();
        cluster.start_node(victim)?;
        cluster.wait_in_sync(TOPIC, PARTITIONS, 3)?;
        taken.add("until back in every ISR", started.elapsed());
    }
    let report = serde_json::json!({ "bench": "restart", "log_mib": options.log_mib, "in_sync_ms": taken.to_json() });
    println!("{report}");
    Ok(())
}

/// Appends batches of one record each to all partitions until they hold `bytes` together.
async fn fill(bootstrap: &str, bytes: usize) -> Result<()> {
    let patient = ClientOptions { retry_for: Duration::from_secs(60), ..ClientOptions::default() };
    let client = Client::connect(bootstrap, patient).await?;
    let mut producer = Producer::new(client, TOPIC, ProducerOptions::default()).await?;
    let record = Record { value: Some(Bytes::from(vec![7; BATCH_BYTES])), ..Record::default() };
    let round: Vec<_> = (0..PARTITIONS).map(|partition| (partition, vec![record.clone()])).collect();
    let rounds = bytes.div_ceil(BATCH_BYTES * PARTITIONS as usize);
    for done in 0..rounds {
        for delivered in producer.send_each(&round).await {
            delivered?;
        }
        if done % 32 == 0 {
            eprintln!("filled {} %", done * 100 / rounds);
        }
    }
    Ok(())
}
