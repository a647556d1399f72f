//! OffsetCommit 2-10: stores how far a group has read.
//!
//! 2-4 may ask for a retention time of their own; 6 adds the leader epoch, 7 static members, 9 members of KIP-848
//! groups (their epoch in place of the generation) and GROUP_ID_NOT_FOUND, 10 topic ids.

use tidelog_wire::messages::OffsetCommitRequest;
use tidelog_wire::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use tidelog_wire::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use tidelog_wire::{ErrorCode, Str};

use super::resolve::{self, Topic};
use super::{CommittedOffset, Offsets, record};
use crate::group::{Groups, Kind, classic};
use crate::turn::Turn;
use crate::{Caller, Response};

/// Text in the log has a length of two bytes.
const METADATA_BYTES_MAX: usize = i16::MAX as usize;

pub(crate) fn commit(groups: &mut Groups, turn: &mut Turn, caller: &Caller, request: &OffsetCommitRequest) {
    let topics = match may_commit(groups, turn, caller, request) {
        Ok(()) => store(groups, turn, caller, request),
        Err(error_code) => request.topics.iter().map(|topic| answer(topic, |_| error_code)).collect(),
    };
    let response = OffsetCommitResponse { topics, ..Default::default() };
    turn.outcome.reply(caller.request, Response::OffsetCommit(response));
}

/// Whether the caller is a member of the present generation, or no member of a group that has none.
fn may_commit(
    groups: &mut Groups,
    turn: &mut Turn,
    caller: &Caller,
    request: &OffsetCommitRequest,
) -> Result<(), ErrorCode> {
    let epoch = request.generation_id_or_member_epoch;
    let Some(group) = groups.get_mut(&request.group_id) else {
        return match epoch {
            ..0 => Ok(()),
            _ if caller.version >= 9 => Err(ErrorCode::GROUP_ID_NOT_FOUND),
            _ => Err(ErrorCode::ILLEGAL_GENERATION),
        };
    };
    match &mut group.kind {
        Kind::Classic(group) => {
            group.may_commit(&request.member_id, request.group_instance_id.as_deref(), epoch)?;
            classic::heard_of(group, turn, &request.member_id);
            Ok(())
        }
        Kind::Consumer(group) => group.may_commit(&request.member_id, epoch, caller.version),
    }
}

fn store(
    groups: &mut Groups,
    turn: &mut Turn,
    caller: &Caller,
    request: &OffsetCommitRequest,
) -> Vec<OffsetCommitResponseTopic> {
    let expire_timestamp_ms =
        (request.retention_time_ms >= 0).then(|| turn.now_ms.saturating_add(request.retention_time_ms));
    let group_id = &request.group_id;
    let offsets = &mut groups.get_or_create(group_id).offsets;
    let answers = request.topics.iter().map(|topic| {
        match resolve::topic(turn.topics, caller.version, &topic.name, topic.topic_id) {
            Err(error_code) => answer(topic, |_| error_code),
            Ok(resolved) => answer(topic, |partition| {
                store_one(offsets, turn, group_id, &resolved, partition, expire_timestamp_ms)
                    .err()
                    .unwrap_or(ErrorCode::NONE)
            }),
        }
    });
    let answers = answers.collect();
    groups.remove_if_unused(group_id);
    answers
}

fn store_one(
    offsets: &mut Offsets,
    turn: &mut Turn,
    group_id: &Str,
    topic: &Topic,
    partition: &OffsetCommitRequestPartition,
    expire_timestamp_ms: Option<i64>,
) -> Result<(), ErrorCode> {
    let index = partition.partition_index;
    // More than Kafka checks: a group's memory is bounded by the partitions that exist.
    if !(0..turn.topics.partition_count(topic.id).unwrap_or(0)).contains(&index) {
        return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    }
    let metadata = partition.committed_metadata.clone().unwrap_or_default();
    if metadata.len() > turn.config.offset_metadata_max_bytes.min(METADATA_BYTES_MAX) {
        return Err(ErrorCode::OFFSET_METADATA_TOO_LARGE);
    }
    let committed = CommittedOffset {
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: record::kept(&metadata),
        commit_timestamp_ms: turn.now_ms,
        expire_timestamp_ms,
        topic_id: topic.id,
    };
    turn.outcome.records.push(record::committed(group_id, &topic.name, index, &committed));
    offsets.insert(&topic.name, index, committed);
    Ok(())
}

fn answer(
    topic: &OffsetCommitRequestTopic,
    mut judge: impl FnMut(&OffsetCommitRequestPartition) -> ErrorCode,
) -> OffsetCommitResponseTopic {
    let partitions = topic.partitions.iter().map(|partition| OffsetCommitResponsePartition {
        partition_index: partition.partition_index,
        error_code: judge(partition),
    });
    OffsetCommitResponseTopic { name: topic.name.clone(), topic_id: topic.topic_id, partitions: partitions.collect() }
}
