//! AlterPartitionReassignments (45), decided by the controller (KIP-455).
//!
//! v1 may forbid that the replication factor changes; v0 allows it.

use std::ops::RangeInclusive;

use tidelog_metadata::{Image, Request, Response};
use tidelog_wire::ErrorCode;
use tidelog_wire::messages::alter_partition_reassignments_request::ReassignablePartition;
use tidelog_wire::messages::{AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse};
use tidelog_wire::types::{BrokerId, PartitionIndex};

use super::controller::{Undecided, wait_visible};
use super::{Api, Context};

pub(crate) struct AlterPartitionReassignments;

impl Api for AlterPartitionReassignments {
    type Request = AlterPartitionReassignmentsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=1;

    async fn answer(
        context: Context,
        request: AlterPartitionReassignmentsRequest,
    ) -> AlterPartitionReassignmentsResponse {
        match context.shard.controller.submit(Request::AlterPartitionReassignments(request.clone())).await {
            Ok(Response::AlterPartitionReassignments(response)) => {
                wait_begun(&context, &request, &response).await;
                response
            }
            answer => {
                let Undecided { code, message } = answer.into();
                AlterPartitionReassignmentsResponse {
                    error_code: code,
                    error_message: Some(message),
                    ..AlterPartitionReassignmentsResponse::default()
                }
            }
        }
    }
}

/// Whoever lists the moves next finds what was begun here.
async fn wait_begun(
    context: &Context,
    request: &AlterPartitionReassignmentsRequest,
    response: &AlterPartitionReassignmentsResponse,
) {
    let accepted = |topic: &str, index: i32| {
        let topic = response.responses.iter().find(|answered| answered.name.as_str() == topic);
        let partition = topic.and_then(|topic| topic.partitions.iter().find(|done| done.partition_index == index));
        partition.is_some_and(|partition| partition.error_code == ErrorCode::NONE)
    };
    wait_visible(context, |image| {
        request.topics.iter().all(|topic| {
            let accepted = topic.partitions.iter().filter(|wanted| accepted(&topic.name, wanted.partition_index));
            accepted.into_iter().all(|wanted| shows(image, &topic.name, wanted))
        })
    })
    .await;
}

fn shows(image: &Image, topic: &str, wanted: &ReassignablePartition) -> bool {
    let Some(partition) = image.topic(topic).and_then(|topic| topic.partition(PartitionIndex(wanted.partition_index)))
    else {
        return true;
    };
    match &wanted.replicas {
        Some(target) => partition.target_replicas().eq(target.iter().copied().map(BrokerId)),
        None => !partition.is_reassigning(),
    }
}
