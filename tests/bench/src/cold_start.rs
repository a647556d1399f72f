//! Row 19: three nodes from empty directories to the first acks=all acknowledgement of a record, topic creation included.
//!
//! Each repeat has a cluster of its own. For Kafka the formatting of its directories is not counted.

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use tidelog_client::{Client, ClientOptions, Producer, ProducerOptions};
use tidelog_cluster_tests::{Cluster, Spec, Target};
use tidelog_wire::record::Record;

use crate::spread::Spread;

/// How often a client that finds nobody asks again.
const ASK_AGAIN: Duration = Duration::from_millis(5);

#[derive(Args)]
pub struct Options {
    #[arg(long, default_value_t = 5)]
    repeat: usize,
}

pub fn run(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut taken = Spread::default();
    for _ in 0..options.repeat {
        let mut cluster = Cluster::prepare(Target::from_environment()?, &Spec::brokers(3))?;
        let started = Instant::now();
        cluster.start_all()?;
        runtime.block_on(first_acknowledgement(&cluster.bootstrap()))?;
        taken.add("until the first acknowledgement", started.elapsed());
    }
    println!("{}", serde_json::json!({ "bench": "cold_start", "first_ack_ms": taken.to_json() }));
    Ok(())
}

async fn first_acknowledgement(bootstrap: &str) -> Result<()> {
    let impatient = ClientOptions { back_off_min: ASK_AGAIN, back_off_max: ASK_AGAIN, ..ClientOptions::default() };
    let client = Client::unconnected(bootstrap, impatient)?;
    let mut producer = Producer::new(client, "first", ProducerOptions::default()).await?;
    let record = Record { value: Some("first".into()), ..Record::default() };
    producer.send(0, &[record]).await?;
    Ok(())
}
