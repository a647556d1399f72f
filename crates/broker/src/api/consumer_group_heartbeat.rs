//! ConsumerGroupHeartbeat (68): a member of a consumer group joins, lives, changes and leaves by it (KIP-848).
//!
//! v1 subscriptions by regular expression, and member ids that clients make themselves.

use std::ops::RangeInclusive;

use tidelog_wire::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use super::{Api, Context, groups};
use crate::coordinator_host::Access;

pub(crate) struct ConsumerGroupHeartbeat;

impl Api for ConsumerGroupHeartbeat {
    type Request = ConsumerGroupHeartbeatRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=1;

    async fn answer(context: Context, request: ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatResponse {
        // Most heartbeats change nothing, and a member must not be lost because records cannot be committed.
        let heard = groups::ask(&context, &request.group_id, Access::Reads, |coordinator, now_ms, topics, caller| {
            coordinator.consumer_group_heartbeat(now_ms, topics, caller, &request)
        });
        heard.await.unwrap_or_else(|error_code| ConsumerGroupHeartbeatResponse {
            error_code,
            ..ConsumerGroupHeartbeatResponse::default()
        })
    }
}
