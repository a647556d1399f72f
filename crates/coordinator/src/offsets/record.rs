//! Committed offsets as records of the log.

use bytes::Bytes;
use tidelog_wire::Str;
use tidelog_wire::messages::{OffsetCommitKey, OffsetCommitValue};

use super::CommittedOffset;
use crate::Record;
use crate::group::Groups;
use crate::record::{RecordKind, ReplayError, decode_value};

/// The only value version with an expiry of its own.
const WITH_EXPIRY: i16 = 1;
/// What Kafka writes where it has no topic id.
const WITHOUT_TOPIC_ID: i16 = 3;
const WITH_TOPIC_ID: i16 = 4;

pub(super) fn committed(group_id: &Str, topic: &Str, partition: i32, offset: &CommittedOffset) -> Record {
    let version = match offset.expire_timestamp_ms {
        Some(_) => WITH_EXPIRY,
        None if offset.topic_id.is_zero() => WITHOUT_TOPIC_ID,
        None => WITH_TOPIC_ID,
    };
    let value = OffsetCommitValue {
        offset: offset.offset,
        leader_epoch: offset.leader_epoch,
        metadata: offset.metadata.clone(),
        commit_timestamp: offset.commit_timestamp_ms,
        expire_timestamp: offset.expire_timestamp_ms.unwrap_or(-1),
        topic_id: offset.topic_id,
    };
    Record::new(RecordKind::OffsetCommit, &key(group_id, topic, partition), version, &value)
}

pub(super) fn tombstone(group_id: &Str, topic: &Str, partition: i32) -> Record {
    Record::tombstone(RecordKind::OffsetCommit, &key(group_id, topic, partition))
}

fn key(group_id: &Str, topic: &Str, partition: i32) -> OffsetCommitKey {
    OffsetCommitKey { group: group_id.clone(), topic: topic.clone(), partition }
}

pub(crate) fn replay(groups: &mut Groups, key: OffsetCommitKey, value: Option<Bytes>) -> Result<(), ReplayError> {
    match value {
        Some(value) => {
            let value: OffsetCommitValue = decode_value(value)?;
            groups.get_or_create(&key.group).offsets.insert(&key.topic, key.partition, value.into());
        }
        None => {
            if let Some(group) = groups.get_mut(&key.group) {
                group.offsets.remove(&key.topic, key.partition);
                groups.remove_if_unused(&key.group);
            }
        }
    }
    Ok(())
}

impl From<OffsetCommitValue> for CommittedOffset {
    fn from(value: OffsetCommitValue) -> Self {
        Self {
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: kept(&value.metadata),
            commit_timestamp_ms: value.commit_timestamp,
            expire_timestamp_ms: (value.expire_timestamp != -1).then_some(value.expire_timestamp),
            topic_id: value.topic_id,
        }
    }
}

/// Text that outlives the request it came in; nearly always it is empty and takes no memory.
pub(super) fn kept(metadata: &Str) -> Str {
    if metadata.is_empty() { Str::default() } else { metadata.detached() }
}
