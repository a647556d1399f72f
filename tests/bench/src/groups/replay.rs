//! A new coordinator replays the log: many commits to one group, then kill -9 of its coordinator, until its offsets can be
//! fetched from another.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use tidelog_cluster_tests::{Cluster, Target};
use tidelog_wire::ErrorCode;

use super::brokers;
use super::wire::{block_on, commit, connect_to_coordinator, topic_id};

const TOPIC: &str = "replayed";
const GROUP: &str = "replayed";
const PARTITIONS: i32 = 100;
const IN_FLIGHT: usize = 16;
const LIMIT: Duration = Duration::from_secs(60);

#[derive(Args)]
pub struct Options {
    #[arg(long, default_value_t = 1_000_000)]
    commits: usize,
}

pub fn run(options: &Options) -> Result<()> {
    let mut cluster = Cluster::start(Target::from_environment()?, &brokers())?;
    cluster.create_topic(TOPIC, PARTITIONS)?;
    block_on(fill(&cluster, options.commits))?;
    let before = cluster.committed_offsets(GROUP, TOPIC, PARTITIONS)?;
    let victim = cluster.coordinator(GROUP)?;
    let killed = Instant::now();
    cluster.kill(victim)?;
    let after = cluster.committed_offsets(GROUP, TOPIC, PARTITIONS)?;
    let gap = killed.elapsed();
    ensure!(before == after, "offsets were {before:?} and are {after:?}");
    let loads: Vec<String> = cluster.ids().flat_map(|id| loads_of(&cluster, id)).collect();
    let report = serde_json::json!({
        "bench": "replay",
        "commits": options.commits,
        "until_offsets_are_fetched_ms": gap.as_millis() as u64,
        "largest_load": loads.iter().max_by_key(|line| records_in(line)),
    });
    println!("{report}");
    Ok(())
}

async fn fill(cluster: &Cluster, commits: usize) -> Result<()> {
    let topic_id = topic_id(cluster, TOPIC).await?;
    let connection = connect_to_coordinator(cluster, GROUP, LIMIT).await?;
    let mut in_flight = VecDeque::new();
    for number in 0..commits / PARTITIONS as usize {
        if in_flight.len() == IN_FLIGHT {
            settle(in_flight.pop_front()).await?;
        }
        in_flight.push_back(connection.start(&commit(GROUP, TOPIC, topic_id, PARTITIONS, number as i64))?);
    }
    while !in_flight.is_empty() {
        settle(in_flight.pop_front()).await?;
    }
    Ok(())
}

async fn settle(oldest: Option<tidelog_client::InFlight<tidelog_wire::messages::OffsetCommitRequest>>) -> Result<()> {
    let Some(oldest) = oldest else {
        return Ok(());
    };
    let response = oldest.await?;
    let codes = response.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code);
    for code in codes {
        ensure!(code == ErrorCode::NONE, "a commit failed with {code:?}");
    }
    Ok(())
}

/// What a node says of the groups it loaded.
fn loads_of(cluster: &Cluster, id: i32) -> Vec<String> {
    let log = std::fs::read_to_string(cluster.log_file(id)).unwrap_or_default();
    log.lines().filter(|line| line.contains("groups loaded")).map(str::to_owned).collect()
}

fn records_in(line: &str) -> usize {
    let count = line.split("records=").nth(1).and_then(|rest| rest.split_whitespace().next());
    count.and_then(|count| count.parse().ok()).unwrap_or(0)
}
