//! Starts the moves of a plan, throttled or not, and tidies up after them.

use std::collections::BTreeSet;

use clap::Args;
use tidelog_client::Client;

use super::cluster::{Submitted, ongoing, submit};
use super::plan::Assignment;
use super::throttle::{self, Throttle};
use crate::commands::size::parse_bytes;
use crate::exit::{Exit, Failure};

#[derive(Args, Debug)]
pub struct ThrottleArgs {
    /// Bytes per second that each broker may spend on these moves, for example 50MiB; taken away when they are done
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub throttle: Option<u64>,
}

/// Orders the moves; `planned` has only what changes. A throttle is there before the first byte moves, and goes again if
/// nothing was started.
pub async fn start(
    client: &Client,
    current: &Assignment,
    planned: &Assignment,
    bytes_per_second: Option<u64>,
) -> Result<(), Failure> {
    let throttle = Throttle::of(current, planned);
    if let Some(bytes_per_second) = bytes_per_second {
        throttle.set(client, bytes_per_second).await?;
    }
    let orders = planned.iter().map(|(partition, replicas)| (partition.clone(), Some(replicas.clone()))).collect();
    let submitted = submit(client, &orders).await;
    let has_started = matches!(&submitted, Ok(answers) if answers.iter().any(|(_, answer)| answer.is_ok()));
    if !has_started && bytes_per_second.is_some() {
        let topics = throttle.topics.keys().cloned().collect();
        throttle::remove(client, &topics, &throttle.brokers).await?;
    }
    refusals(submitted?)
}

/// One failure for all partitions that were refused.
pub fn refusals(submitted: Submitted) -> Result<(), Failure> {
    let count = submitted.len();
    let mut refused: Vec<Failure> = submitted.into_iter().filter_map(|(_, answer)| answer.err()).collect();
    match refused.len() {
        0 => Ok(()),
        1 => Err(refused.remove(0)),
        failed => {
            let all: Vec<String> = refused.iter().map(ToString::to_string).collect();
            let message = format!("{failed} of {count} partitions were refused\n  {}", all.join("\n  "));
            Err(Failure::new(Exit::Failed, message))
        }
    }
}

/// Takes the throttles away after moves. The brokers' rates serve all moves, so they go only when none is under way.
pub async fn tidy_up(client: &Client, topics: &BTreeSet<String>) -> Result<bool, Failure> {
    let under_way = ongoing(client).await?;
    let still_moving: BTreeSet<&String> = under_way.keys().map(|(topic, _)| topic).collect();
    let topics = topics.iter().filter(|topic| !still_moving.contains(topic)).cloned().collect();
    let brokers = match under_way.is_empty() {
        true => client.metadata(Some(&[]), false).await?.brokers.iter().map(|broker| broker.node_id).collect(),
        false => BTreeSet::new(),
    };
    throttle::remove(client, &topics, &brokers).await
}
