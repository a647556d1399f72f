//! IncrementalAlterConfigs (44), decided by the controller (KIP-339).

use std::ops::RangeInclusive;

use tidelog_metadata::{Request, Response};
use tidelog_wire::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use tidelog_wire::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

use super::controller::Undecided;
use super::{Api, Context};

pub(crate) struct IncrementalAlterConfigs;

impl Api for IncrementalAlterConfigs {
    type Request = IncrementalAlterConfigsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=1;

    async fn answer(context: Context, request: IncrementalAlterConfigsRequest) -> IncrementalAlterConfigsResponse {
        match context.shard.controller.submit(Request::IncrementalAlterConfigs(request.clone())).await {
            Ok(Response::IncrementalAlterConfigs(response)) => response,
            answer => undecided(&request, &answer.into()),
        }
    }
}

fn undecided(request: &IncrementalAlterConfigsRequest, reason: &Undecided) -> IncrementalAlterConfigsResponse {
    let responses = request.resources.iter().map(|resource| AlterConfigsResourceResponse {
        error_code: reason.code,
        error_message: Some(reason.message.clone()),
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
    });
    IncrementalAlterConfigsResponse { responses: responses.collect(), ..IncrementalAlterConfigsResponse::default() }
}
