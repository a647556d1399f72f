//! CreateTopics (19), decided by the controller.
//!
//! v4 takes -1 partitions or replicas for the defaults (KIP-464), v5 answers with the configs (KIP-525), v7 with the
//! topic's id.

use std::ops::RangeInclusive;

use tidelog_metadata::{CreateOrigin, Request, Response};
use tidelog_wire::ErrorCode;
use tidelog_wire::messages::create_topics_response::CreatableTopicResult;
use tidelog_wire::messages::{CreateTopicsRequest, CreateTopicsResponse};

use super::controller::{Undecided, wait_visible};
use super::{Api, Context};

pub(crate) struct CreateTopics;

impl Api for CreateTopics {
    type Request = CreateTopicsRequest;
    const VERSIONS: RangeInclusive<i16> = 2..=7;

    async fn answer(context: Context, request: CreateTopicsRequest) -> CreateTopicsResponse {
        let ask = Request::CreateTopics { request: request.clone(), origin: CreateOrigin::Admin };
        match context.shard.controller.submit(ask).await {
            Ok(Response::CreateTopics(response)) => {
                if !request.validate_only {
                    let created: Vec<_> =
                        response.topics.iter().filter(|topic| topic.error_code == ErrorCode::NONE).collect();
                    wait_visible(&context, |image| created.iter().all(|topic| image.topic(&topic.name).is_some()))
                        .await;
                }
                response
            }
            answer => undecided(&request, &answer.into()),
        }
    }
}

fn undecided(request: &CreateTopicsRequest, reason: &Undecided) -> CreateTopicsResponse {
    let topics = request.topics.iter().map(|topic| CreatableTopicResult {
        name: topic.name.clone(),
        error_code: reason.code,
        error_message: Some(reason.message.clone()),
        ..CreatableTopicResult::default()
    });
    CreateTopicsResponse { topics: topics.collect(), ..CreateTopicsResponse::default() }
}
