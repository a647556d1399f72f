//! DeleteRecords (21): moves the log start of partitions up.
//!
//! v2 flexible. Topics of the cluster's own and those that are only compacted are refused, as in Kafka. Answered once every in-sync replica has moved its own log start, so that no later leader shows the records
//! again.

use std::ops::RangeInclusive;
use std::time::Duration;

use tidelog_metadata::is_internal_topic;
use tidelog_wire::ErrorCode;
use tidelog_wire::messages::delete_records_request::DeleteRecordsPartition;
use tidelog_wire::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use tidelog_wire::messages::{DeleteRecordsRequest, DeleteRecordsResponse};
use tidelog_wire::types::{Offset, PartitionIndex};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::set::distinct_partitions;
use super::{Api, Context};
use crate::pace::Pace;
use crate::partition::{TrimError, fetch_error_code};

/// Kafka's "everything that is committed".
const HIGH_WATERMARK: i64 = -1;

pub(crate) struct DeleteRecords;

impl Api for DeleteRecords {
    type Request = DeleteRecordsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=2;

    async fn answer(context: Context, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
        let deadline = Instant::now() + Duration::from_millis(request.timeout_ms.max(0) as u64);
        // All are begun before the first is waited for.
        let asked = distinct_partitions(
            request.topics,
            |topic| topic.name.clone(),
            |topic| &mut topic.partitions,
            |partition| partition.partition_index,
        );
        let (mut begun, mut pace) = (Vec::with_capacity(asked.len()), Pace::start());
        for topic in asked {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for asked in topic.partitions {
                pace.step().await;
                partitions.push((asked.partition_index, begin(&context, &topic.name, &asked)));
            }
            begun.push((topic.name, partitions));
        }
        let mut topics = Vec::with_capacity(begun.len());
        for (name, partitions) in begun {
            let mut results = Vec::with_capacity(partitions.len());
            for (partition_index, begun) in partitions {
                results.push(finish(partition_index, begun, deadline).await);
            }
            topics.push(DeleteRecordsTopicResult { name, partitions: results });
        }
        DeleteRecordsResponse { topics, ..DeleteRecordsResponse::default() }
    }
}

fn begin(
    context: &Context,
    topic: &str,
    asked: &DeleteRecordsPartition,
) -> Result<oneshot::Receiver<Offset>, ErrorCode> {
    if is_internal_topic(topic) {
        return Err(ErrorCode::INVALID_TOPIC_EXCEPTION);
    }
    let host = context.shard.partition(topic, PartitionIndex(asked.partition_index))?;
    host.check_leader(None).map_err(fetch_error_code)?;
    let offset = (asked.offset != HIGH_WATERMARK).then_some(Offset(asked.offset));
    host.delete_records(&context.shard, offset).map_err(|error| match error {
        TrimError::OnlyCompacted => ErrorCode::POLICY_VIOLATION,
        TrimError::OutOfRange => ErrorCode::OFFSET_OUT_OF_RANGE,
        TrimError::Storage => ErrorCode::KAFKA_STORAGE_ERROR,
    })
}

async fn finish(
    partition_index: i32,
    begun: Result<oneshot::Receiver<Offset>, ErrorCode>,
    deadline: Instant,
) -> DeleteRecordsPartitionResult {
    let trimmed = match begun {
        Ok(trimmed) => match timeout_at(deadline, trimmed).await {
            Ok(Ok(low_watermark)) => Ok(low_watermark),
            Ok(Err(_)) => Err(ErrorCode::NOT_LEADER_OR_FOLLOWER),
            Err(_) => Err(ErrorCode::REQUEST_TIMED_OUT),
        },
        Err(code) => Err(code),
    };
    DeleteRecordsPartitionResult {
        partition_index,
        low_watermark: trimmed.map_or(-1, Offset::get),
        error_code: trimmed.err().unwrap_or(ErrorCode::NONE),
    }
}
