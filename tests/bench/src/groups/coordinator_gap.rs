//! The longest time in which a group of librdkafka members reads nothing when its coordinator is killed, and until it
//! commits again.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use tidelog_cluster_tests::writer::Load;
use tidelog_cluster_tests::{Cluster, Target, Writer, wait};
use tidelog_compat_tests::client::Client;
use tidelog_compat_tests::event::What;
use tidelog_compat_tests::group::{Commit, Group, partitions_of};

use super::brokers;
use crate::spread::Spread;

const TOPIC: &str = "coordinator-gap";

#[derive(Args)]
pub struct Options {
    #[arg(long, default_value_t = 3)]
    members: usize,
    #[arg(long, default_value_t = 6)]
    partitions: i32,
    #[arg(long, default_value_t = 5)]
    repeat: usize,
    #[arg(long, default_value_t = 500)]
    records_per_second: u32,
    /// Members use the protocol of KIP-848
    #[arg(long)]
    consumer_protocol: bool,
}

pub fn run(options: &Options) -> Result<()> {
    let (mut reading, mut committing) = (Spread::default(), Spread::default());
    for _ in 0..options.repeat {
        let (read_gap, commit_gap) = once(options)?;
        reading.add("longest time without a record", read_gap);
        committing.add("until commits again", commit_gap);
    }
    let report = serde_json::json!({
        "bench": "coordinator_gap",
        "members": options.members,
        "partitions": options.partitions,
        "read_gap_ms": reading.to_json(),
        "commit_gap_ms": committing.to_json(),
    });
    println!("{report}");
    Ok(())
}

fn once(options: &Options) -> Result<(Duration, Duration)> {
    let mut cluster = Cluster::start(Target::from_environment()?, &brokers())?;
    cluster.create_topic(TOPIC, options.partitions)?;
    let load = Load { name: "gap", records_per_second: options.records_per_second, value_bytes: 100 };
    let writer = Writer::confluent(&cluster, TOPIC, load, &[])?;
    let settings: &[&str] = if options.consumer_protocol { &["protocol=consumer"] } else { &[] };
    let client = Client::confluent("gap", Vec::leak(settings.to_vec()));
    let mut group = Group::new(&cluster, client, "gap", TOPIC);
    for member in 0..options.members {
        group.start(&member.to_string(), Commit::ByHand)?;
    }
    group.wait_shared(&partitions_of(TOPIC, options.partitions))?;
    group.wait_reading()?;
    let victim = cluster.coordinator("gap")?;
    let killed = Instant::now();
    cluster.kill(victim)?;
    let committed = || -> Result<i64> { Ok(cluster.committed_offsets("gap", TOPIC, options.partitions)?.iter().sum()) };
    let first = committed()?;
    wait::for_condition("commits go on", cluster.target().recovery_limit(), || Ok(committed()? > first))?;
    let commit_gap = killed.elapsed();
    group.wait_reading()?;
    writer.stop()?;
    group.leave_all()?;
    Ok((longest_read_gap(&group)?, commit_gap))
}

/// Of any one partition, whoever reads it.
fn longest_read_gap(group: &Group) -> Result<Duration> {
    let mut read: Vec<(&str, i64)> = Vec::new();
    for event in group.stories()?.iter().flat_map(|story| &story.events) {
        if let What::Record { partition, .. } = &event.what {
            read.push((partition, event.at_ms));
        }
    }
    read.sort_unstable();
    let pairs = read.windows(2).filter(|pair| pair[0].0 == pair[1].0);
    let longest_ms = pairs.map(|pair| pair[1].1 - pair[0].1).max().context("nothing was read")?;
    Ok(Duration::from_millis(longest_ms.unsigned_abs()))
}
