//! AlterPartitionReassignments (45), decided by the controller (KIP-455).
//!
//! v1 may forbid that the replication factor changes; v0 allows it.

use std::collections::HashSet;
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
    let answered = response.responses.iter().flat_map(|topic| {
        let done = topic.partitions.iter().filter(|partition| partition.error_code == ErrorCode::NONE);
        done.map(|partition| (&topic.name, partition.partition_index))
    });
    let accepted: HashSet<_> = answered.collect();
    let wanted = request.topics.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter().map(|wanted| (&topic.name, wanted));
        partitions.filter(|(topic, wanted)| accepted.contains(&(*topic, wanted.partition_index)))
    });
    let wanted: Vec<_> = wanted.collect();
    wait_visible(context, |image| wanted.iter().all(|(topic, wanted)| shows(image, topic, wanted))).await;
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
