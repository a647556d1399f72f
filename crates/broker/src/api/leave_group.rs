//! LeaveGroup (13): members leave a classic group, or are removed from it by an administrator.
//!
//! Up to v2 one member, v3 several, static ones by instance id (KIP-345), v4 flexible, v5 reasons.

use std::ops::RangeInclusive;

use tidelog_wire::messages::{LeaveGroupRequest, LeaveGroupResponse};

use super::{Api, Context, groups};
use crate::coordinator_host::Access;

pub(crate) struct LeaveGroup;

impl Api for LeaveGroup {
    type Request = LeaveGroupRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=5;

    async fn answer(context: Context, request: LeaveGroupRequest) -> LeaveGroupResponse {
        let left = groups::ask(&context, &request.group_id, Access::Writes, |coordinator, now_ms, topics, caller| {
            coordinator.leave_group(now_ms, topics, caller, &request)
        });
        left.await.unwrap_or_else(|error_code| LeaveGroupResponse { error_code, ..LeaveGroupResponse::default() })
    }
}
