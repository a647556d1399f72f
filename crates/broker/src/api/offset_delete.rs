//! OffsetDelete (47): forgets a group's offsets of topics it is not subscribed to (KIP-496).

use std::ops::RangeInclusive;

use tidelog_wire::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

use super::set::distinct_partitions;
use super::{Api, Context, groups};
use crate::coordinator_host::Access;

pub(crate) struct OffsetDelete;

impl Api for OffsetDelete {
    type Request = OffsetDeleteRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=0;

    async fn answer(context: Context, mut request: OffsetDeleteRequest) -> OffsetDeleteResponse {
        request.topics = distinct_partitions(
            request.topics,
            |topic| topic.name.clone(),
            |topic| &mut topic.partitions,
            |partition| partition.partition_index,
        );
        let deleted =
            groups::ask(&context, &request.group_id, Access::Writes, |coordinator, now_ms, topics, caller| {
                coordinator.offset_delete(now_ms, topics, caller, &request)
            });
        deleted
            .await
            .unwrap_or_else(|error_code| OffsetDeleteResponse { error_code, ..OffsetDeleteResponse::default() })
    }
}
