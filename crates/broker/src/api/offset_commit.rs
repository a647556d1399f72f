//! OffsetCommit (8): stores a group's offsets.
//!
//! Up to v4 a retention time, which the broker's own replaced in v5; v6 leader epochs, v7 static members, v8 flexible, v9
//! members of consumer groups (KIP-848), v10 topic ids. Answered when the offsets are committed like any record.

use std::ops::RangeInclusive;

use tidelog_wire::ErrorCode;
use tidelog_wire::messages::offset_commit_request::OffsetCommitRequestTopic;
use tidelog_wire::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use tidelog_wire::messages::{OffsetCommitRequest, OffsetCommitResponse};

use super::set::distinct_partitions;
use super::{Api, Context, groups};
use crate::coordinator_host::Access;

pub(crate) struct OffsetCommit;

impl Api for OffsetCommit {
    type Request = OffsetCommitRequest;
    const VERSIONS: RangeInclusive<i16> = 2..=10;

    async fn answer(context: Context, mut request: OffsetCommitRequest) -> OffsetCommitResponse {
        request.topics = distinct_partitions(
            request.topics,
            |topic| (topic.name.clone(), topic.topic_id),
            |topic| &mut topic.partitions,
            |partition| partition.partition_index,
        );
        let committed =
            groups::ask(&context, &request.group_id, Access::Writes, |coordinator, now_ms, topics, caller| {
                coordinator.offset_commit(now_ms, topics, caller, &request)
            });
        match committed.await {
            Ok(response) => {
                context.shard.metrics.offset_commits.add(1);
                response
            }
            Err(code) => refused(&request.topics, code),
        }
    }
}

fn refused(topics: &[OffsetCommitRequestTopic], error_code: ErrorCode) -> OffsetCommitResponse {
    let topics = topics.iter().map(|topic| OffsetCommitResponseTopic {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| OffsetCommitResponsePartition { partition_index: partition.partition_index, error_code })
            .collect(),
    });
    OffsetCommitResponse { topics: topics.collect(), ..OffsetCommitResponse::default() }
}
