//! ListOffsets (2): offsets by time, and the ends of a log.
//!
//! v1 one offset per partition, v2 isolation level, v4 leader epochs, v7 the record with the greatest timestamp (-3, KIP-734),
//! v8 earliest local (-4, KIP-405), v9 latest tiered (-5, KIP-1005), v10 a timeout, v11 earliest pending upload (-6).
//! Nothing is tiered here, so -4 is the log's start and -5 and -6 have no answer.

use std::ops::RangeInclusive;

use tidelog_commitlog::ReadError;
use tidelog_replication::FetchError;
use tidelog_wire::ErrorCode;
use tidelog_wire::messages::list_offsets_request::ListOffsetsPartition;
use tidelog_wire::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use tidelog_wire::messages::{ListOffsetsRequest, ListOffsetsResponse};
use tidelog_wire::types::{LeaderEpoch, Offset, PartitionIndex};

use super::set::distinct_partitions;
use super::{Api, Context};
use crate::pace::Pace;
use crate::partition::{PartitionHandle, fetch_error_code, read_error_code};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// Each begins again because the log lost a segment during the one before.
const SEARCHES_MAX: usize = 5;

pub(crate) struct ListOffsets;

impl Api for ListOffsets {
    type Request = ListOffsetsRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=11;

    async fn answer(context: Context, request: ListOffsetsRequest) -> ListOffsetsResponse {
        let asked = distinct_partitions(
            request.topics,
            |topic| topic.name.clone(),
            |topic| &mut topic.partitions,
            |partition| partition.partition_index,
        );
        let (mut topics, mut pace) = (Vec::with_capacity(asked.len()), Pace::start());
        for topic in asked {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                pace.step().await;
                partitions.push(answer(&context, &topic.name, partition).await);
            }
            topics.push(ListOffsetsTopicResponse { name: topic.name, partitions });
        }
        ListOffsetsResponse { topics, ..ListOffsetsResponse::default() }
    }
}

async fn answer(context: &Context, topic: &str, asked: &ListOffsetsPartition) -> ListOffsetsPartitionResponse {
    let found = match context.shard.partition(topic, PartitionIndex(asked.partition_index)) {
        Ok(host) => find(context, &host, asked).await,
        Err(code) => Err(code),
    };
    let found = found.unwrap_or_else(Found::error);
    ListOffsetsPartitionResponse {
        partition_index: asked.partition_index,
        error_code: found.error_code,
        timestamp: found.timestamp_ms,
        offset: found.offset.get(),
        leader_epoch: if context.version >= 4 { found.leader_epoch.get() } else { LeaderEpoch::NONE.get() },
    }
}

struct Found {
    error_code: ErrorCode,
    timestamp_ms: i64,
    offset: Offset,
    leader_epoch: LeaderEpoch,
}

impl Found {
    const NOTHING: Self =
        Self { error_code: ErrorCode::NONE, timestamp_ms: -1, offset: Offset(-1), leader_epoch: LeaderEpoch::NONE };

    fn at(offset: Offset, leader_epoch: LeaderEpoch) -> Self {
        Self { offset, leader_epoch, ..Self::NOTHING }
    }

    fn error(error_code: ErrorCode) -> Self {
        Self { error_code, ..Self::NOTHING }
    }
}

async fn find(context: &Context, host: &PartitionHandle, asked: &ListOffsetsPartition) -> Result<Found, ErrorCode> {
    let epoch = Some(LeaderEpoch(asked.current_leader_epoch)).filter(|epoch| *epoch >= LeaderEpoch(0));
    let view = host.consumer_view(epoch).map_err(|error| refusal(context, error))?;
    match asked.timestamp {
        // Without transactions the last stable offset is the high watermark: both isolation levels agree.
        LATEST => Ok(Found::at(view.high_watermark, view.leader_epoch)),
        EARLIEST | EARLIEST_LOCAL => {
            let epoch = host.epoch_for_offset(view.log_start).unwrap_or(view.leader_epoch);
            Ok(Found::at(view.log_start, epoch))
        }
        MAX_TIMESTAMP => search(context, host, None, view.high_watermark).await,
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok(Found::NOTHING),
        timestamp_ms if timestamp_ms >= 0 => search(context, host, Some(timestamp_ms), view.high_watermark).await,
        _ => Err(ErrorCode::INVALID_REQUEST),
    }
}

/// On a disk thread: what clients wrote decides how much it reads.
async fn search(
    context: &Context,
    host: &PartitionHandle,
    timestamp_ms: Option<i64>,
    below: Offset,
) -> Result<Found, ErrorCode> {
    for _ in 0..SEARCHES_MAX {
        let search = host.search_timestamp(timestamp_ms, below).map_err(|error| read_error_code(&error.into()))?;
        let Some(search) = search else {
            return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        };
        match context.shard.disk.run(move || search.run()).await {
            Ok(Ok(None)) => return Ok(Found::NOTHING),
            Ok(Ok(Some(found))) => {
                return Ok(Found { timestamp_ms: found.timestamp_ms, ..Found::at(found.offset, found.leader_epoch) });
            }
            // Retention or compaction took a segment away meanwhile.
            Ok(Err(ReadError::Replaced)) => {}
            Ok(Err(error)) => return Err(read_error_code(&error)),
            // The disk thread gave up, and has said why.
            Err(_) => return Err(ErrorCode::KAFKA_STORAGE_ERROR),
        }
    }
    Err(ErrorCode::KAFKA_STORAGE_ERROR)
}

fn refusal(context: &Context, error: FetchError) -> ErrorCode {
    match error {
        // Clients before v5 do not know the newer code (KIP-207).
        FetchError::OffsetNotAvailable if context.version < 5 => ErrorCode::LEADER_NOT_AVAILABLE,
        error => fetch_error_code(error),
    }
}
