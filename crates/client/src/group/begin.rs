//! Where a member begins to read: what its group has committed, and where nothing is, what its policy says.

use tidelog_wire::ErrorCode;
use tidelog_wire::messages::{OffsetFetchRequest, OffsetFetchResponse};

use super::member::{Partition, Partitions, Start, Starts, is_told_of};
use crate::client::Client;
use crate::consumer::StartFrom;
use crate::error::ClientError;

/// Asks once. `Err` inside: the answer was that code.
pub(super) async fn begin(
    client: Client,
    topic: String,
    wanted: Partitions,
    request: OffsetFetchRequest,
    or_from: StartFrom,
) -> Result<Result<Starts, ErrorCode>, ClientError> {
    if !is_topic(&client, &topic, &wanted).await? {
        return Ok(Err(ErrorCode::UNKNOWN_TOPIC_ID));
    }
    let group = request.groups.first().map(|group| group.group_id.to_string()).unwrap_or_default();
    let coordinator = client.coordinator(&group).await?;
    let answer = client.broker(coordinator).await?.send(&request).await?;
    let mut starts = match committed(&wanted, &answer) {
        Ok(starts) => starts,
        Err(code) => return Ok(Err(code)),
    };
    let missing: Vec<Partition> = wanted.into_iter().filter(|partition| !starts.contains_key(partition)).collect();
    if !missing.is_empty() {
        let indexes: Vec<i32> = missing.iter().map(|(_, index)| *index).collect();
        let offsets = client.offsets(&topic, &indexes, or_from).await?;
        let start = |next_offset: i64| Start { next_offset, is_committed: false };
        let found = missing.iter().filter_map(|partition| Some((*partition, start(*offsets.get(&partition.1)?))));
        starts.extend(found);
    }
    Ok(Ok(starts))
}

/// Whether the ids are those of the topic that has the name now.
async fn is_topic(client: &Client, topic: &str, wanted: &Partitions) -> Result<bool, ClientError> {
    let has = |topic_id| wanted.iter().all(|(wanted, _)| *wanted == topic_id);
    // Also partitions that are newer than what was last heard.
    let counts =
        |count: usize| wanted.iter().all(|(_, index)| usize::try_from(*index).is_ok_and(|index| index < count));
    let known = client.leaders(topic, false).await?;
    if has(known.topic_id) && counts(known.partitions.len()) {
        return Ok(true);
    }
    let known = client.refreshed_leaders(topic, false).await?;
    Ok(has(known.topic_id) && counts(known.partitions.len()))
}

fn committed(wanted: &Partitions, answer: &OffsetFetchResponse) -> Result<Starts, ErrorCode> {
    let group = answer.groups.first().ok_or(ErrorCode::UNKNOWN_SERVER_ERROR)?;
    group.error_code.ok()?;
    let mut starts = Starts::new();
    for topic in &group.topics {
        for found in &topic.partitions {
            found.error_code.ok()?;
            let is_meant = |asked: &&Partition| is_told_of(asked, topic.topic_id, found.partition_index);
            // -1 stands for no commit.
            let meant = wanted.iter().filter(is_meant).filter(|_| found.committed_offset >= 0);
            let start = Start { next_offset: found.committed_offset, is_committed: true };
            starts.extend(meant.map(|partition| (*partition, start)));
        }
    }
    Ok(starts)
}
