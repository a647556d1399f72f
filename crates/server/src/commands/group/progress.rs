//! Where a group stands in each partition: what it has committed, where the logs begin and end, when the next unread record
//! was written.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use futures::stream;
use tidelog_client::{Client, ClientError, OffsetOf};

use super::committed::{TopicPartition, committed};
use super::lag::{Position, lag_ms};
use super::state::GroupState;
use crate::commands::produce::now_ms;
use crate::exit::Failure;

/// Partitions whose next record is read to tell the lag in time: those furthest behind.
const RECORDS_READ_MAX: usize = 1_000;
const READS_IN_FLIGHT: usize = 16;

#[derive(Clone, Copy, Debug)]
pub struct Progress {
    pub position: Position,
    pub lag_ms: Option<i64>,
}

/// By partition: those with a commit, and those that a member owns.
pub async fn progress(client: &Client, state: &GroupState) -> Result<BTreeMap<TopicPartition, Progress>, Failure> {
    let offsets = committed(client, &state.group).await?;
    let mut partitions: BTreeSet<TopicPartition> = offsets.keys().cloned().collect();
    for (topic, owned) in state.members.iter().flat_map(|member| &member.assignment) {
        partitions.extend(owned.iter().map(|partition| (topic.clone(), *partition)));
    }
    let (starts, ends) = bounds(client, &partitions).await?;
    let known = |found: &Bounds, partition: &TopicPartition| match found.get(partition) {
        Some(Ok(offset)) => Some(*offset),
        _ => None,
    };
    let positions: BTreeMap<TopicPartition, Position> = partitions
        .into_iter()
        .map(|partition| {
            let position = Position {
                committed: offsets.get(&partition).copied(),
                log_start: known(&starts, &partition),
                log_end: known(&ends, &partition),
            };
            (partition, position)
        })
        .collect();
    let timestamps = next_timestamps(client, &positions).await;
    let now_ms = now_ms();
    let progress = |(partition, position)| {
        let lag_ms = lag_ms(&position, timestamps.get(&partition).copied(), now_ms);
        (partition, Progress { position, lag_ms })
    };
    Ok(positions.into_iter().map(progress).collect())
}

pub type Bounds = BTreeMap<TopicPartition, Result<i64, ClientError>>;

/// Where the logs begin and where they end.
pub async fn bounds(client: &Client, partitions: &BTreeSet<TopicPartition>) -> Result<(Bounds, Bounds), Failure> {
    let led = led(client, partitions).await?;
    Ok(tokio::join!(
        client.list_offsets(led.clone(), OffsetOf::Earliest),
        client.list_offsets(led.clone(), OffsetOf::Latest)
    ))
}

/// Those of `partitions` that have a leader: others would only be waited for. One question for all topics instead of one each.
async fn led(client: &Client, partitions: &BTreeSet<TopicPartition>) -> Result<BTreeSet<TopicPartition>, Failure> {
    let topics: BTreeSet<&str> = partitions.iter().map(|(topic, _)| topic.as_str()).collect();
    if topics.is_empty() {
        return Ok(BTreeSet::new());
    }
    let topics: Vec<&str> = topics.into_iter().collect();
    let metadata = client.metadata(Some(&topics), false).await?;
    let led = metadata.topics.iter().flat_map(|topic| {
        let name = topic.name.as_deref().unwrap_or_default();
        let led = topic.partitions.iter().filter(|partition| partition.leader_id >= 0);
        led.map(move |partition| (name.to_owned(), partition.partition_index))
    });
    Ok(led.filter(|partition| partitions.contains(partition)).collect())
}

/// When the next unread records were written. A record that cannot be read has no time here.
async fn next_timestamps(
    client: &Client,
    positions: &BTreeMap<TopicPartition, Position>,
) -> BTreeMap<TopicPartition, i64> {
    let mut behind: Vec<(&TopicPartition, &Position)> =
        positions.iter().filter(|(_, position)| position.next_unread().is_some()).collect();
    behind.sort_by_key(|(_, position)| std::cmp::Reverse(position.lag()));
    behind.truncate(RECORDS_READ_MAX);
    let reads = behind.into_iter().filter_map(|(partition, position)| {
        let offset = position.next_unread()?;
        Some(async move {
            let (topic, index) = partition;
            match client.read_record(topic, *index, offset).await {
                Ok(record) => record.map(|record| (partition.clone(), record.timestamp_ms)),
                Err(error) => {
                    tracing::debug!(topic, index, %error, "the next record cannot be read");
                    None
                }
            }
        })
    });
    stream::iter(reads).buffer_unordered(READS_IN_FLIGHT).filter_map(std::future::ready).collect().await
}
