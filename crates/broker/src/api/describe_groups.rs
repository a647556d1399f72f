//! DescribeGroups (15): state and members of classic groups.
//!
//! v3 operations that the caller may do, v4 static members, v5 flexible, v6 a group that does not exist is an error.

use std::ops::RangeInclusive;

use tidelog_wire::ErrorCode;
use tidelog_wire::Str;
use tidelog_wire::messages::describe_groups_response::DescribedGroup;
use tidelog_wire::messages::{DescribeGroupsRequest, DescribeGroupsResponse};

use super::set::distinct;
use super::{Api, Context, groups};
use crate::coordinator_host::Access;

pub(crate) struct DescribeGroups;

impl Api for DescribeGroups {
    type Request = DescribeGroupsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=6;

    async fn answer(context: Context, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
        let asked = distinct(request.groups, Str::clone);
        let mut described = groups::each(&asked, |group| describe(&context, group)).await;
        let operations = groups::group_operations(request.include_authorized_operations);
        for group in described.iter_mut().filter(|group| group.error_code == ErrorCode::NONE) {
            group.authorized_operations = operations;
        }
        DescribeGroupsResponse { groups: described, ..DescribeGroupsResponse::default() }
    }
}

async fn describe(context: &Context, group_id: &Str) -> DescribedGroup {
    let described = groups::ask(context, group_id, Access::Reads, |coordinator, now_ms, topics, caller| {
        coordinator.describe_group(now_ms, topics, caller, group_id)
    });
    described.await.unwrap_or_else(|error_code| DescribedGroup {
        error_code,
        group_id: group_id.clone(),
        ..DescribedGroup::default()
    })
}
