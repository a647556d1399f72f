//! Commits per second, and the CPU time of all brokers that one of them costs.

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use tidelog_client::Connection;
use tidelog_cluster_tests::{Cluster, Target};
use tidelog_wire::{ErrorCode, Uuid};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::brokers;
use super::wire::{block_on, commit, connect_to_coordinator, topic_id};
use crate::processes::cpu_seconds;

const TOPIC: &str = "commits";
const LIMIT: Duration = Duration::from_secs(60);
const RETRY_AFTER: Duration = Duration::from_millis(50);

#[derive(Args)]
pub struct Options {
    /// Groups that commit at the same time, each on a connection of its own
    #[arg(long, default_value_t = 50)]
    groups: usize,
    /// Partitions named in each commit
    #[arg(long, default_value_t = 1)]
    partitions: i32,
    /// Unanswered commits of each group
    #[arg(long, default_value_t = 4)]
    in_flight: usize,
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

pub fn run(options: &Options) -> Result<()> {
    let cluster = Cluster::start(Target::from_environment()?, &brokers())?;
    cluster.create_topic(TOPIC, options.partitions)?;
    let pids: Vec<u32> = cluster.ids().map(|id| cluster.pid(id)).collect::<Result<_>>()?;
    let figures = block_on(load(&cluster, &pids, options))?;
    let per_second = figures.commits as f64 / options.seconds as f64;
    let report = serde_json::json!({
        "bench": "offset_commits",
        "groups": options.groups,
        "partitions": options.partitions,
        "in_flight": options.in_flight,
        "commits_per_second": per_second.round(),
        "broker_cpu_us_per_commit": figures.cpu_seconds * 1e6 / figures.commits as f64,
        "commits_per_broker_cpu_second": (figures.commits as f64 / figures.cpu_seconds).round(),
    });
    println!("{report}");
    Ok(())
}

struct Figures {
    commits: u64,
    cpu_seconds: f64,
}

async fn load(cluster: &Cluster, pids: &[u32], options: &Options) -> Result<Figures> {
    let topic_id = topic_id(cluster, TOPIC).await?;
    let mut members = Vec::new();
    for number in 0..options.groups {
        let group = format!("commits-{number}");
        let connection = ready_coordinator(cluster, &group, topic_id, options).await?;
        members.push((connection, group));
    }
    let cpu_before = cpu_seconds(pids);
    let until = Instant::now() + Duration::from_secs(options.seconds);
    let mut running = JoinSet::new();
    for (connection, group) in members {
        let options = Options { ..*options };
        running.spawn(async move { commit_until(&connection, &group, topic_id, &options, until).await });
    }
    let mut commits = 0;
    while let Some(done) = running.join_next().await {
        commits += done??;
    }
    Ok(Figures { commits, cpu_seconds: cpu_seconds(pids) - cpu_before })
}

/// A coordinator that has taken a first commit, which makes the group: Kafka names one before it is ready to be one.
async fn ready_coordinator(cluster: &Cluster, group: &str, topic_id: Uuid, options: &Options) -> Result<Connection> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let connection = connect_to_coordinator(cluster, group, LIMIT).await?;
        match commit_until(&connection, group, topic_id, options, Instant::now()).await {
            Ok(_) => return Ok(connection),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => tokio::time::sleep(RETRY_AFTER).await,
        }
    }
}

async fn commit_until(
    connection: &Connection,
    group: &str,
    topic_id: Uuid,
    options: &Options,
    until: Instant,
) -> Result<u64> {
    let mut in_flight = std::collections::VecDeque::new();
    let mut commits = 0;
    loop {
        let is_over = commits > 0 && Instant::now() >= until;
        while !is_over && in_flight.len() < options.in_flight {
            commits += 1;
            let request = commit(group, TOPIC, topic_id, options.partitions, commits as i64);
            in_flight.push_back(connection.start(&request)?);
        }
        let Some(oldest) = in_flight.pop_front() else {
            return Ok(commits);
        };
        let response = oldest.await?;
        let codes = response.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code);
        for code in codes {
            ensure!(code == ErrorCode::NONE, "a commit failed with {code:?}");
        }
    }
}
