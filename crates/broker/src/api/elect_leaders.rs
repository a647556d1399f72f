//! ElectLeaders (43), decided by the controller.
//!
//! v0 elects preferred leaders only; v1 has the election type (KIP-460).

use std::ops::RangeInclusive;

use tidelog_metadata::{Request, Response};
use tidelog_wire::messages::{ElectLeadersRequest, ElectLeadersResponse};

use super::controller::Undecided;
use super::{Api, Context};

pub(crate) struct ElectLeaders;

impl Api for ElectLeaders {
    type Request = ElectLeadersRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=2;

    async fn answer(context: Context, request: ElectLeadersRequest) -> ElectLeadersResponse {
        match context.shard.controller.submit(Request::ElectLeaders(request)).await {
            Ok(Response::ElectLeaders(response)) => response,
            answer => {
                let error_code = Undecided::from(answer).code;
                ElectLeadersResponse { error_code, ..ElectLeadersResponse::default() }
            }
        }
    }
}
