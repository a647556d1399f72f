//! CreatePartitions (37), decided by the controller.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use tidelog_metadata::{Request, Response};
use tidelog_wire::ErrorCode;
use tidelog_wire::messages::create_partitions_response::CreatePartitionsTopicResult;
use tidelog_wire::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

use super::controller::{Undecided, wait_visible};
use super::{Api, Context};

pub(crate) struct CreatePartitions;

impl Api for CreatePartitions {
    type Request = CreatePartitionsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=3;

    async fn answer(context: Context, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
        match context.shard.controller.submit(Request::CreatePartitions(request.clone())).await {
            Ok(Response::CreatePartitions(response)) => {
                if !request.validate_only {
                    wait_grown(&context, &request, &response).await;
                }
                response
            }
            answer => undecided(&request, &answer.into()),
        }
    }
}

async fn wait_grown(context: &Context, request: &CreatePartitionsRequest, response: &CreatePartitionsResponse) {
    let done = response.results.iter().filter(|topic| topic.error_code == ErrorCode::NONE);
    let done: HashSet<_> = done.map(|topic| &topic.name).collect();
    let grown: Vec<_> = request.topics.iter().filter(|topic| done.contains(&topic.name)).collect();
    wait_visible(context, |image| {
        grown.iter().all(|wanted| {
            image.topic(&wanted.name).is_none_or(|topic| topic.partition_count() as i64 >= i64::from(wanted.count))
        })
    })
    .await;
}

fn undecided(request: &CreatePartitionsRequest, reason: &Undecided) -> CreatePartitionsResponse {
    let results = request.topics.iter().map(|topic| CreatePartitionsTopicResult {
        name: topic.name.clone(),
        error_code: reason.code,
        error_message: Some(reason.message.clone()),
    });
    CreatePartitionsResponse { results: results.collect(), ..CreatePartitionsResponse::default() }
}
