//! SyncGroup (14): a member of a classic group asks for its assignment; the leader brings everybody's.
//!
//! v3 static members, v4 flexible, v5 protocol type and name. Answered when the leader has come.

use std::ops::RangeInclusive;

use tidelog_wire::messages::{SyncGroupRequest, SyncGroupResponse};

use super::{Api, Context, groups};
use crate::coordinator_host::Access;

pub(crate) struct SyncGroup;

impl Api for SyncGroup {
    type Request = SyncGroupRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=5;

    async fn answer(context: Context, request: SyncGroupRequest) -> SyncGroupResponse {
        let synced = groups::ask(&context, &request.group_id, Access::Writes, |coordinator, now_ms, topics, caller| {
            coordinator.sync_group(now_ms, topics, caller, &request)
        });
        synced.await.unwrap_or_else(|error_code| SyncGroupResponse { error_code, ..SyncGroupResponse::default() })
    }
}
