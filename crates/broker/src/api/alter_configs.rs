//! AlterConfigs (33), the older form that replaces all configs of a resource; decided by the controller.

use std::ops::RangeInclusive;

use tidelog_metadata::{Request, Response};
use tidelog_wire::messages::alter_configs_response::AlterConfigsResourceResponse;
use tidelog_wire::messages::{AlterConfigsRequest, AlterConfigsResponse};

use super::controller::Undecided;
use super::{Api, Context};

pub(crate) struct AlterConfigs;

impl Api for AlterConfigs {
    type Request = AlterConfigsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=2;

    async fn answer(context: Context, request: AlterConfigsRequest) -> AlterConfigsResponse {
        match context.shard.controller.submit(Request::AlterConfigs(request.clone())).await {
            Ok(Response::AlterConfigs(response)) => response,
            answer => undecided(&request, &answer.into()),
        }
    }
}

fn undecided(request: &AlterConfigsRequest, reason: &Undecided) -> AlterConfigsResponse {
    let responses = request.resources.iter().map(|resource| AlterConfigsResourceResponse {
        error_code: reason.code,
        error_message: Some(reason.message.clone()),
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
    });
    AlterConfigsResponse { responses: responses.collect(), ..AlterConfigsResponse::default() }
}
