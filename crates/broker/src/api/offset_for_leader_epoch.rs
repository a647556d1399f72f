//! OffsetForLeaderEpoch (23): where an epoch ends in the leader's log, by which consumers notice truncation (KIP-320).
//!
//! v2 the client's own epoch, v3 replica id, v4 flexible.

use std::ops::RangeInclusive;

use tidelog_wire::ErrorCode;
use tidelog_wire::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use tidelog_wire::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use tidelog_wire::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};
use tidelog_wire::types::{LeaderEpoch, Offset, PartitionIndex};

use super::set::distinct_partitions;
use super::{Api, Context};
use crate::pace::Pace;
use crate::partition::{PartitionHandle, fetch_error_code};

pub(crate) struct OffsetForLeaderEpoch;

impl Api for OffsetForLeaderEpoch {
    type Request = OffsetForLeaderEpochRequest;
    const VERSIONS: RangeInclusive<i16> = 2..=4;

    async fn answer(context: Context, request: OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochResponse {
        let asked = distinct_partitions(
            request.topics,
            |topic| topic.topic.clone(),
            |topic| &mut topic.partitions,
            |partition| partition.partition,
        );
        let (mut topics, mut pace) = (Vec::with_capacity(asked.len()), Pace::start());
        for topic in asked {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for asked in &topic.partitions {
                pace.step().await;
                partitions.push(answer(&context, &topic.topic, asked));
            }
            topics.push(OffsetForLeaderTopicResult { topic: topic.topic, partitions });
        }
        OffsetForLeaderEpochResponse { topics, ..OffsetForLeaderEpochResponse::default() }
    }
}

fn answer(context: &Context, topic: &str, asked: &OffsetForLeaderPartition) -> EpochEndOffset {
    let host = context.shard.partition(topic, PartitionIndex(asked.partition));
    let (error_code, (epoch, end_offset)) = match host.and_then(|host| find(&host, asked)) {
        Ok(found) => (ErrorCode::NONE, found),
        Err(code) => (code, (LeaderEpoch::NONE, Offset(-1))),
    };
    EpochEndOffset { error_code, partition: asked.partition, leader_epoch: epoch.get(), end_offset: end_offset.get() }
}

fn find(host: &PartitionHandle, asked: &OffsetForLeaderPartition) -> Result<(LeaderEpoch, Offset), ErrorCode> {
    let current = Some(LeaderEpoch(asked.current_leader_epoch)).filter(|epoch| *epoch >= LeaderEpoch(0));
    host.check_leader(current).map_err(fetch_error_code)?;
    Ok(host.end_offset_for_epoch(LeaderEpoch(asked.leader_epoch)))
}
