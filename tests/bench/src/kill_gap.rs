//! Row 21: the longest time without an acknowledgement on any partition when a node is killed or frozen.
//!
//! The writer is librdkafka on its default settings with acks=all; each repeat has a cluster of its own.
//! `TIDELOG_TEST_TARGET=kafka` takes the same figures of Apache Kafka.

use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use tidelog_cluster_tests::writer::Load;
use tidelog_cluster_tests::{Cluster, Spec, Target, Writer};

use crate::spread::Spread;

const TOPIC: &str = "gap";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Victim {
    Leader,
    Follower,
    Controller,
}

#[derive(Args)]
pub struct Options {
    #[arg(long, value_enum, default_value_t = Victim::Leader)]
    victim: Victim,
    /// Freeze with SIGSTOP instead of kill -9
    #[arg(long)]
    freeze: bool,
    #[arg(long, default_value_t = 16)]
    partitions: i32,
    #[arg(long, default_value_t = 5)]
    repeat: usize,
    #[arg(long, default_value_t = 2000)]
    records_per_second: u32,
    /// Settings of librdkafka, as key=value
    #[arg(long)]
    client: Vec<String>,
}

pub fn run(options: &Options) -> Result<()> {
    let mut gaps = Spread::default();
    for _ in 0..options.repeat {
        gaps.add("longest gap", Duration::from_millis(once(options)?.unsigned_abs()));
    }
    let report = serde_json::json!({
        "bench": "kill_gap",
        "victim": format!("{:?}", options.victim).to_lowercase(),
        "signal": if options.freeze { "STOP" } else { "KILL" },
        "partitions": options.partitions,
        "gap_ms": gaps.to_json(),
    });
    println!("{report}");
    Ok(())
}

fn once(options: &Options) -> Result<i64> {
    let mut cluster = Cluster::start(Target::from_environment()?, &Spec::brokers(3))?;
    cluster.create_topic(TOPIC, options.partitions)?;
    let victim = choose(&cluster, options.victim)?;
    let load = Load { name: "gap", records_per_second: options.records_per_second, value_bytes: 1024 };
    let settings: Vec<&str> = options.client.iter().map(String::as_str).collect();
    let writer = Writer::confluent(&cluster, TOPIC, load, &settings)?;
    let second = options.records_per_second as usize;
    writer.wait_acked(2 * second)?;
    if options.freeze {
        cluster.pause(victim)?;
    } else {
        cluster.kill(victim)?;
    }
    // Long enough for every partition to be written to again.
    writer.wait_acked(4 * second)?;
    if options.freeze {
        cluster.resume(victim)?;
    }
    Ok(writer.stop()?.longest_gap_ms())
}

fn choose(cluster: &Cluster, victim: Victim) -> Result<i32> {
    let controller = cluster.controller()?;
    match victim {
        Victim::Leader => cluster.leader(TOPIC, 0),
        Victim::Controller => Ok(controller),
        Victim::Follower => cluster.ids().find(|id| *id != controller).context("a cluster of one node"),
    }
}
