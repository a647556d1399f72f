//! JoinGroup (11): enters a classic group, or its next generation.
//!
//! v1 rebalance timeout, v4 a first join is answered with a member id to join with (KIP-394), v5 static members, v6
//! flexible, v7 protocol type and name, v8 a reason, v9 the leader may be told to leave the assignment as it is (KIP-814).
//! Answered when the group has its next generation.

use std::ops::RangeInclusive;

use tidelog_wire::messages::{JoinGroupRequest, JoinGroupResponse};
use tidelog_wire::{ErrorCode, Str};

use super::{Api, Context, groups};
use crate::coordinator_host::Access;

/// Until then a refusal's protocol name is empty.
const NULL_PROTOCOL_FROM: i16 = 7;

pub(crate) struct JoinGroup;

impl Api for JoinGroup {
    type Request = JoinGroupRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=9;

    async fn answer(context: Context, request: JoinGroupRequest) -> JoinGroupResponse {
        let joined = groups::ask(&context, &request.group_id, Access::Writes, |coordinator, now_ms, topics, caller| {
            coordinator.join_group(now_ms, topics, caller, &request)
        });
        let mut response = joined.await.unwrap_or_else(|code| refused(request.member_id, code));
        if context.version < NULL_PROTOCOL_FROM {
            response.protocol_name.get_or_insert_default();
        }
        response
    }
}

fn refused(member_id: Str, error_code: ErrorCode) -> JoinGroupResponse {
    JoinGroupResponse { error_code, protocol_name: None, member_id, ..JoinGroupResponse::default() }
}
