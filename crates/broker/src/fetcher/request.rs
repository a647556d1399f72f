//! The replica Fetch on the wire: what is named, and what an answer says.

use bytes::Bytes;
use tidelog_replication::{EpochEnd, FetchPosition, FetchResponse};
use tidelog_wire::messages::FetchRequest;
use tidelog_wire::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic, ReplicaState};
use tidelog_wire::messages::fetch_response::PartitionData;
use tidelog_wire::types::{LeaderEpoch, Offset, PartitionIndex};
use tidelog_wire::{ErrorCode, Uuid};

use crate::shard::Shard;

/// Spoken between brokers. Has everything this broker's own answers use.
pub(super) const VERSION: i16 = 17;

/// A request for `named`, sorted by topic so that each topic stands there once.
pub(super) fn build(
    shard: &Shard,
    session: (i32, i32),
    mut named: Vec<(Uuid, PartitionIndex, FetchPosition)>,
    mut forgotten: Vec<(Uuid, PartitionIndex)>,
) -> FetchRequest {
    let replica = &shard.options.replica;
    named.sort_unstable_by_key(|(topic_id, index, _)| (topic_id.0, *index));
    forgotten.sort_unstable_by_key(|(topic_id, index)| (topic_id.0, *index));
    FetchRequest {
        replica_state: ReplicaState {
            replica_id: shard.node_id().get(),
            replica_epoch: shard.broker_epoch.get().get(),
        },
        max_wait_ms: replica.fetch_wait_max.as_millis() as i32,
        min_bytes: 1,
        max_bytes: replica.fetch_response_max_bytes,
        session_id: session.0,
        session_epoch: session.1,
        topics: named
            .chunk_by(|a, b| a.0 == b.0)
            .map(|topic| FetchTopic {
                topic_id: topic[0].0,
                partitions: topic.iter().map(|(_, index, at)| fetch_partition(shard, *index, at)).collect(),
                ..FetchTopic::default()
            })
            .collect(),
        forgotten_topics_data: forgotten
            .chunk_by(|a, b| a.0 == b.0)
            .map(|topic| ForgottenTopic {
                topic_id: topic[0].0,
                partitions: topic.iter().map(|(_, index)| index.get()).collect(),
                ..ForgottenTopic::default()
            })
            .collect(),
        ..FetchRequest::default()
    }
}

fn fetch_partition(shard: &Shard, index: PartitionIndex, at: &FetchPosition) -> FetchPartition {
    FetchPartition {
        partition: index.get(),
        current_leader_epoch: at.leader_epoch.get(),
        fetch_offset: at.fetch_offset.get(),
        last_fetched_epoch: at.last_fetched_epoch.get(),
        log_start_offset: at.log_start.get(),
        partition_max_bytes: shard.options.replica.fetch_max_bytes,
        ..FetchPartition::default()
    }
}

/// One partition's answer in the protocol's terms, and its records.
pub(super) fn read(data: PartitionData) -> (FetchResponse, Bytes) {
    let log_start = Offset(data.log_start_offset);
    let records = data.records.unwrap_or_default();
    let response = match data.error_code {
        ErrorCode::NONE if data.diverging_epoch.epoch >= 0 => FetchResponse::Diverging(EpochEnd {
            leader_epoch: LeaderEpoch(data.diverging_epoch.epoch),
            end_offset: Offset(data.diverging_epoch.end_offset),
        }),
        ErrorCode::NONE => FetchResponse::Ok {
            high_watermark: Offset(data.high_watermark),
            log_start,
            has_records: !records.is_empty(),
        },
        ErrorCode::OFFSET_OUT_OF_RANGE => {
            FetchResponse::OffsetOutOfRange { log_start: (log_start >= Offset::ZERO).then_some(log_start) }
        }
        _ => FetchResponse::Refused,
    };
    (response, records)
}
