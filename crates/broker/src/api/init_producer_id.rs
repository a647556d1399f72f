//! InitProducerId (22): an identity for an idempotent producer.
//!
//! v2 flexible, v3 the producer may name its old identity (which matters to transactional ones only), v4 and v5 changed
//! error codes. A transactional id is refused: transactions are not served yet.

use std::ops::RangeInclusive;

use tidelog_wire::ErrorCode;
use tidelog_wire::messages::{InitProducerIdRequest, InitProducerIdResponse};

use super::{Api, Context};

pub(crate) struct InitProducerId;

impl Api for InitProducerId {
    type Request = InitProducerIdRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=5;

    async fn answer(context: Context, request: InitProducerIdRequest) -> InitProducerIdResponse {
        let shard = &context.shard;
        let allocated = match request.transactional_id {
            Some(id) if id.is_empty() => Err(ErrorCode::INVALID_REQUEST),
            Some(_) => Err(ErrorCode::UNSUPPORTED_VERSION),
            None => shard.producer_ids.next(shard).await,
        };
        match allocated {
            Ok(id) => {
                InitProducerIdResponse { producer_id: id.get(), producer_epoch: 0, ..InitProducerIdResponse::default() }
            }
            Err(error_code) => InitProducerIdResponse {
                error_code,
                producer_id: -1,
                producer_epoch: -1,
                ..InitProducerIdResponse::default()
            },
        }
    }
}
