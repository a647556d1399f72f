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

pub(crate) struct JoinGroup;

impl Api for JoinGroup {
    type Request = JoinGroupRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=9;

    async fn answer(context: Context, request: JoinGroupRequest) -> JoinGroupResponse {
        let joined = groups::ask(&context, &request.group_id, Access::Writes, |coordinator, now_ms, topics, caller| {
            coordinator.join_group(now_ms, topics, caller, &request)
        });
        joined.await.unwrap_or_else(|code| refused(context.version, request.member_id, code))
    }
}

fn refused(version: i16, member_id: Str, error_code: ErrorCode) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code,
        generation_id: -1,
        protocol_name: (version < 7).then(Str::default),
        member_id,
        ..JoinGroupResponse::default()
    }
}
