//! ListGroups (16): the groups that this broker coordinates.
//!
//! v3 flexible, v4 states and a filter by them (KIP-518), v5 types and a filter by them (KIP-848). While any of this
//! broker's coordinators loads, the list would not be whole: it is refused.

use std::ops::RangeInclusive;

use tidelog_coordinator::Response;
use tidelog_wire::ErrorCode;
use tidelog_wire::messages::{ListGroupsRequest, ListGroupsResponse};

use super::{Api, Context, groups};
use crate::coordinator_host::{Access, Coordinators};

pub(crate) struct ListGroups;

impl Api for ListGroups {
    type Request = ListGroupsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=5;

    async fn answer(context: Context, request: ListGroupsRequest) -> ListGroupsResponse {
        let host = groups::client_host(&context);
        let asking = groups::asking(&context, &host, Access::Reads);
        let answers = Coordinators::ask_all(&context.shard, &asking, |coordinator, now_ms, topics, caller| {
            coordinator.list_groups(now_ms, topics, caller, &request)
        });
        let mut listed = Vec::new();
        for answer in answers.await {
            match answer {
                Ok(Response::ListGroups(groups)) => listed.extend(groups),
                // Another broker lists them.
                Err(ErrorCode::NOT_COORDINATOR) => {}
                Ok(_) => return refused(ErrorCode::UNKNOWN_SERVER_ERROR),
                Err(code) => return refused(code),
            }
        }
        ListGroupsResponse { groups: listed, ..ListGroupsResponse::default() }
    }
}

fn refused(error_code: ErrorCode) -> ListGroupsResponse {
    ListGroupsResponse { error_code, ..ListGroupsResponse::default() }
}
