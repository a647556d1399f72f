//! ElectLeaders (43), decided by the controller.
//!
//! v0 elects preferred leaders only; v1 has the election type (KIP-460).

use std::ops::RangeInclusive;

use tidelog_metadata::{Request, Response};
use tidelog_wire::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use tidelog_wire::messages::{ElectLeadersRequest, ElectLeadersResponse};
use tidelog_wire::{ErrorCode, Str};

use super::controller::Undecided;
use super::{Api, Context};

pub(crate) struct ElectLeaders;

impl Api for ElectLeaders {
    type Request = ElectLeadersRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=2;

    async fn answer(context: Context, request: ElectLeadersRequest) -> ElectLeadersResponse {
        match context.shard.controller.submit(Request::ElectLeaders(request.clone())).await {
            Ok(Response::ElectLeaders(response)) => response,
            answer => {
                let Undecided { code, message } = answer.into();
                match context.version {
                    0 => undecided_each(&context, &request, code, &message),
                    _ => ElectLeadersResponse { error_code: code, ..ElectLeadersResponse::default() },
                }
            }
        }
    }
}

/// v0 has no error for the whole request: each partition asked for gets it.
fn undecided_each(
    context: &Context,
    request: &ElectLeadersRequest,
    error_code: ErrorCode,
    message: &Str,
) -> ElectLeadersResponse {
    let asked = match &request.topic_partitions {
        Some(topics) => topics.iter().map(|topic| (topic.topic.clone(), topic.partitions.clone())).collect(),
        None => every_partition(context),
    };
    let result = |partition_id| PartitionResult { partition_id, error_code, error_message: Some(message.clone()) };
    let results = asked.into_iter().map(|(topic, partitions)| ReplicaElectionResult {
        topic,
        partition_result: partitions.into_iter().map(result).collect(),
    });
    ElectLeadersResponse { replica_election_results: results.collect(), ..ElectLeadersResponse::default() }
}

fn every_partition(context: &Context) -> Vec<(Str, Vec<i32>)> {
    let image = context.shard.image();
    image.topics().map(|topic| (topic.name.clone(), (0..topic.partition_count() as i32).collect())).collect()
}
