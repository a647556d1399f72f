//! Reading and writing a group's committed offsets.

use std::collections::BTreeMap;

use tidelog_client::{Client, ClientError, Connection};
use tidelog_wire::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use tidelog_wire::messages::offset_fetch_request::OffsetFetchRequestGroup;
use tidelog_wire::messages::{OffsetCommitRequest, OffsetFetchRequest};
use tidelog_wire::{ErrorCode, Str};

use crate::exit::Failure;

/// A topic's name and a partition's index.
pub type TopicPartition = (String, i32);
pub type Offsets = BTreeMap<TopicPartition, i64>;

/// Newer versions name topics by id, which a topic that is gone does not have.
const NAMED_TOPICS_UNTIL: i16 = 9;
/// Older versions ask for one group.
const SEVERAL_GROUPS_FROM: i16 = 8;

/// Everything the group has committed; nothing for a group that does not exist.
pub async fn committed(client: &Client, group: &str) -> Result<Offsets, Failure> {
    let what = format!("cannot read the offsets of group {group}");
    let what = what.as_str();
    Ok(client.ask_coordinator(what, group, |connection| ask(connection, what, group)).await?)
}

async fn ask(connection: Connection, what: &str, group: &str) -> Result<Offsets, ClientError> {
    let group_id = Str::from(group.to_owned());
    let has_groups = connection.version::<OffsetFetchRequest>()? >= SEVERAL_GROUPS_FROM;
    let all_of = OffsetFetchRequestGroup { group_id: group_id.clone(), topics: None, ..Default::default() };
    let request = OffsetFetchRequest {
        group_id: if has_groups { Str::default() } else { group_id },
        topics: if has_groups { Some(Vec::new()) } else { None },
        groups: if has_groups { vec![all_of] } else { Vec::new() },
        ..Default::default()
    };
    let response = connection.send_at_most(&request, NAMED_TOPICS_UNTIL).await?;
    let mut offsets = Offsets::new();
    let mut note = |name: &Str, partition: i32, offset: i64, code: ErrorCode| match code {
        ErrorCode::NONE => {
            // -1 stands for none.
            offsets.extend((offset >= 0).then(|| ((name.to_string(), partition), offset)));
            Ok(())
        }
        code => Err(ClientError::refused(format!("{what}, {name}-{partition}"), code)),
    };
    if !response.error_code.is_none() {
        return Err(ClientError::refused(what, response.error_code));
    }
    for topic in &response.topics {
        for found in &topic.partitions {
            note(&topic.name, found.partition_index, found.committed_offset, found.error_code)?;
        }
    }
    for found in &response.groups {
        if !found.error_code.is_none() {
            return Err(ClientError::refused(what, found.error_code));
        }
        for topic in &found.topics {
            for found in &topic.partitions {
                note(&topic.name, found.partition_index, found.committed_offset, found.error_code)?;
            }
        }
    }
    Ok(offsets)
}

/// Commits for a group without members. Repeating it changes nothing, so it may be asked again.
pub async fn commit(client: &Client, group: &str, offsets: &Offsets) -> Result<(), Failure> {
    let what = format!("cannot commit offsets for group {group}");
    let what = what.as_str();
    let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    for ((topic, partition_index), offset) in offsets {
        topics.entry(topic).or_default().push(OffsetCommitRequestPartition {
            partition_index: *partition_index,
            committed_offset: *offset,
            committed_metadata: Some(Str::default()),
            ..Default::default()
        });
    }
    let topic = |(name, partitions): (&str, _)| OffsetCommitRequestTopic {
        name: Str::from(name.to_owned()),
        partitions,
        ..Default::default()
    };
    let request = OffsetCommitRequest {
        group_id: Str::from(group.to_owned()),
        topics: topics.into_iter().map(topic).collect(),
        ..Default::default()
    };
    let request = &request;
    client
        .ask_coordinator(what, group, |connection| async move {
            let response = connection.send_at_most(request, NAMED_TOPICS_UNTIL).await?;
            let answers = response.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |p| (topic, p)));
            match answers.into_iter().find(|(_, partition)| !partition.error_code.is_none()) {
                None => Ok(()),
                Some((topic, partition)) => Err(ClientError::refused(
                    format!("{what}, {}-{}", topic.name, partition.partition_index),
                    partition.error_code,
                )),
            }
        })
        .await
        .map_err(|error| match &error {
            ClientError::Refused { code: ErrorCode::UNKNOWN_MEMBER_ID, .. } => {
                Failure::from(error).advising("has a consumer of the group started meanwhile? Stop it first")
            }
            _ => error.into(),
        })
}
