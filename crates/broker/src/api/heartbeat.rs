//! Heartbeat (12): a member of a classic group is alive, and hears whether its group rebalances.
//!
//! v3 static members, v4 flexible.

use std::ops::RangeInclusive;

use tidelog_wire::ErrorCode;
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
        heard.await.unwrap_or_else(unheard)
    }
}

/// While the coordinator loads it is no news, as in Kafka: it will begin every member's session anew, and there are
/// clients whose member ends with any error that they do not know.
fn unheard(code: ErrorCode) -> HeartbeatResponse {
    let error_code = match code {
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS => ErrorCode::NONE,
        code => code,
    };
    HeartbeatResponse { error_code, ..HeartbeatResponse::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_does_not_hear_that_its_coordinator_loads() {
        let told = |code| unheard(code).error_code;
        assert_eq!(told(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS), ErrorCode::NONE);
        assert_eq!(told(ErrorCode::NOT_COORDINATOR), ErrorCode::NOT_COORDINATOR);
    }
}
