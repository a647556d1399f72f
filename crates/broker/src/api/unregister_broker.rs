//! UnregisterBroker (64), decided by the controller.

use std::ops::RangeInclusive;

use tidelog_metadata::{Request, Response};
use tidelog_wire::ErrorCode;
use tidelog_wire::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};
use tidelog_wire::types::BrokerId;

use super::controller::{Undecided, wait_visible};
use super::{Api, Context};

pub(crate) struct UnregisterBroker;

impl Api for UnregisterBroker {
    type Request = UnregisterBrokerRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=0;

    async fn answer(context: Context, request: UnregisterBrokerRequest) -> UnregisterBrokerResponse {
        let broker_id = BrokerId(request.broker_id);
        match context.shard.controller.submit(Request::UnregisterBroker(request)).await {
            Ok(Response::UnregisterBroker(response)) => {
                if response.error_code == ErrorCode::NONE {
                    wait_visible(&context, |image| image.broker(broker_id).is_none()).await;
                }
                response
            }
            answer => {
                let Undecided { code, message } = answer.into();
                UnregisterBrokerResponse {
                    error_code: code,
                    error_message: Some(message),
                    ..UnregisterBrokerResponse::default()
                }
            }
        }
    }
}
