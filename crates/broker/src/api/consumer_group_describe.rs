//! ConsumerGroupDescribe (69): state and members of consumer groups (KIP-848).
//!
//! v1 tells which members still use the classic protocol.

use std::ops::RangeInclusive;

use tidelog_wire::messages::consumer_group_describe_response::DescribedGroup;
use tidelog_wire::messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse};
use tidelog_wire::{ErrorCode, Str};

use super::set::distinct;
use super::{Api, Context, groups};
use crate::coordinator_host::Access;

pub(crate) struct ConsumerGroupDescribe;

impl Api for ConsumerGroupDescribe {
    type Request = ConsumerGroupDescribeRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=1;

    async fn answer(context: Context, request: ConsumerGroupDescribeRequest) -> ConsumerGroupDescribeResponse {
        let asked = distinct(request.group_ids, Str::clone);
        let mut described = groups::each(&asked, |group| describe(&context, group)).await;
        let operations = groups::group_operations(request.include_authorized_operations);
        for group in described.iter_mut().filter(|group| group.error_code == ErrorCode::NONE) {
            group.authorized_operations = operations;
        }
        ConsumerGroupDescribeResponse { groups: described, ..ConsumerGroupDescribeResponse::default() }
    }
}

async fn describe(context: &Context, group_id: &Str) -> DescribedGroup {
    let described = groups::ask(context, group_id, Access::Reads, |coordinator, now_ms, topics, caller| {
        coordinator.consumer_group_describe(now_ms, topics, caller, group_id)
    });
    described.await.unwrap_or_else(|error_code| DescribedGroup {
        error_code,
        group_id: group_id.clone(),
        ..DescribedGroup::default()
    })
}
