//! Heartbeat (12): a member of a classic group is alive, and hears whether its group rebalances.
//!
//! v3 static members, v4 flexible.

use std::ops::RangeInclusive;

use tidelog_wire::messages::{HeartbeatRequest, HeartbeatResponse};

use super::{Api, Context, groups};
use crate::coordinator_host::Access;

pub(crate) struct Heartbeat;

impl Api for Heartbeat {
    type Request = HeartbeatRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=4;

    async fn answer(context: Context, request: HeartbeatRequest) -> HeartbeatResponse {
        let heard = groups::ask(&context, &request.group_id, Access::Reads, |coordinator, now_ms, topics, caller| {
            coordinator.heartbeat(now_ms, topics, caller, &request)
        });
        heard.await.unwrap_or_else(|error_code| HeartbeatResponse { error_code, ..HeartbeatResponse::default() })
    }
}
