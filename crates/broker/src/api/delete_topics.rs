//! DeleteTopics (20), decided by the controller.
//!
//! Up to v5 topics are named in a list of their own; v6 takes names or ids (KIP-516).

use std::ops::RangeInclusive;

use tidelog_metadata::{Request, Response};
use tidelog_wire::ErrorCode;
use tidelog_wire::messages::delete_topics_request::DeleteTopicState;
use tidelog_wire::messages::delete_topics_response::DeletableTopicResult;
use tidelog_wire::messages::{DeleteTopicsRequest, DeleteTopicsResponse};

use super::controller::{Undecided, wait_visible};
use super::{Api, Context};

pub(crate) struct DeleteTopics;

impl Api for DeleteTopics {
    type Request = DeleteTopicsRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=6;

    async fn answer(context: Context, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
        let request = in_newest_form(request);
        match context.shard.controller.submit(Request::DeleteTopics(request.clone())).await {
            Ok(Response::DeleteTopics(response)) => {
                let deleted: Vec<_> = response
                    .responses
                    .iter()
                    .filter(|topic| topic.error_code == ErrorCode::NONE)
                    .map(|topic| topic.topic_id)
                    .collect();
                wait_visible(&context, |image| deleted.iter().all(|id| image.topic_by_id(*id).is_none())).await;
                response
            }
            answer => undecided(&request, &answer.into()),
        }
    }
}

fn in_newest_form(mut request: DeleteTopicsRequest) -> DeleteTopicsRequest {
    let names = std::mem::take(&mut request.topic_names).into_iter();
    request.topics.extend(names.map(|name| DeleteTopicState { name: Some(name), ..DeleteTopicState::default() }));
    request
}

fn undecided(request: &DeleteTopicsRequest, reason: &Undecided) -> DeleteTopicsResponse {
    let responses = request.topics.iter().map(|topic| DeletableTopicResult {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        error_code: reason.code,
        error_message: Some(reason.message.clone()),
    });
    DeleteTopicsResponse { responses: responses.collect(), ..DeleteTopicsResponse::default() }
}
