//! DescribeQuorum (55): the metadata quorum, as its active controller sees it.

use std::ops::RangeInclusive;

use tidelog_controller::describe_quorum;
use tidelog_wire::messages::{DescribeQuorumRequest, DescribeQuorumResponse};

use super::{Api, Context};

pub(crate) struct DescribeQuorum;

impl Api for DescribeQuorum {
    type Request = DescribeQuorumRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=2;

    async fn answer(context: Context, request: DescribeQuorumRequest) -> DescribeQuorumResponse {
        describe_quorum(request, context.version, context.shard.controller.quorum()).await
    }
}
