//! DescribeCluster (60): the brokers, and which of them answers for the controller.
//!
//! v1 may ask for controllers instead, which only a controller's listener lists; v2 may include fenced brokers.

use std::ops::RangeInclusive;

use tidelog_wire::messages::describe_cluster_response::DescribeClusterBroker;
use tidelog_wire::messages::{DescribeClusterRequest, DescribeClusterResponse};
use tidelog_wire::{ErrorCode, Str};

use super::{Api, CLUSTER_OPERATIONS, Context};

const ENDPOINT_BROKERS: i8 = 1;

pub(crate) struct DescribeCluster;

impl Api for DescribeCluster {
    type Request = DescribeClusterRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=2;

    async fn answer(context: Context, request: DescribeClusterRequest) -> DescribeClusterResponse {
        if request.endpoint_type != ENDPOINT_BROKERS {
            return DescribeClusterResponse {
                error_code: ErrorCode::MISMATCHED_ENDPOINT_TYPE,
                error_message: Some(Str::from("this listener is a broker's; it can describe brokers only")),
                endpoint_type: request.endpoint_type,
                ..DescribeClusterResponse::default()
            };
        }
        let image = context.shard.image();
        let listener = &context.connection.listener.name;
        let brokers = image
            .brokers()
            .filter(|broker| request.include_fenced_brokers || !broker.fenced)
            .filter_map(|broker| Some((broker, broker.endpoint(listener)?)))
            .map(|(broker, endpoint)| DescribeClusterBroker {
                broker_id: broker.id.get(),
                host: endpoint.host.clone(),
                port: i32::from(endpoint.port),
                rack: broker.rack.clone(),
                is_fenced: broker.fenced,
            });
        DescribeClusterResponse {
            endpoint_type: request.endpoint_type,
            cluster_id: image.cluster_id().cloned().unwrap_or_default(),
            controller_id: context.shard.controller_id(),
            brokers: brokers.collect(),
            cluster_authorized_operations: match request.include_cluster_authorized_operations {
                true => CLUSTER_OPERATIONS,
                false => i32::MIN,
            },
            ..DescribeClusterResponse::default()
        }
    }
}
