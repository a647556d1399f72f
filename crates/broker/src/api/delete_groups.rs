//! DeleteGroups (42): groups without members go, with their offsets.
//!
//! v2 flexible.

use std::ops::RangeInclusive;

use tidelog_wire::Str;
use tidelog_wire::messages::delete_groups_response::DeletableGroupResult;
use tidelog_wire::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

use super::set::distinct;
use super::{Api, Context, groups};
use crate::coordinator_host::Access;

pub(crate) struct DeleteGroups;

impl Api for DeleteGroups {
    type Request = DeleteGroupsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=2;

    async fn answer(context: Context, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
        let asked = distinct(request.groups_names, Str::clone);
        let results = groups::each(&asked, |group| delete(&context, group)).await;
        DeleteGroupsResponse { results, ..DeleteGroupsResponse::default() }
    }
}

async fn delete(context: &Context, group_id: &Str) -> DeletableGroupResult {
    let deleted = groups::ask(context, group_id, Access::Writes, |coordinator, now_ms, topics, caller| {
        coordinator.delete_group(now_ms, topics, caller, group_id)
    });
    deleted.await.unwrap_or_else(|error_code| DeletableGroupResult { group_id: group_id.clone(), error_code })
}
