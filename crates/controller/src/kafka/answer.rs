//! One answer of the controller's port to a Kafka client.

use std::io;
use std::ops::RangeInclusive;

use bytes::Bytes;
use tidelog_metadata::operations::CLUSTER_OPERATIONS;
use tidelog_wire::frame::{self, RequestFrame};
use tidelog_wire::messages::api_versions_response::ApiVersion;
use tidelog_wire::messages::describe_cluster_response::DescribeClusterBroker;
use tidelog_wire::messages::{
    ApiVersionsRequest, ApiVersionsResponse, DescribeClusterRequest, DescribeClusterResponse, DescribeQuorumRequest,
};
use tidelog_wire::{ApiKey, ErrorCode, Message, Request, Str};

use super::describe_quorum::describe_quorum;
use crate::forward::Forwarder;
use crate::shared::Shared;

const API_VERSIONS: RangeInclusive<i16> = 0..=4;
/// What a controller is asked, and in which versions it is served.
const SERVED: [(ApiKey, RangeInclusive<i16>); 3] =
    [(ApiKey::ApiVersions, API_VERSIONS), (ApiKey::DescribeQuorum, 0..=2), (ApiKey::DescribeCluster, 0..=2)];

const ENDPOINT_CONTROLLERS: i8 = 2;

/// Fails for what is not served: the connection is then closed, as a broker does.
pub(super) async fn answer(shared: &Shared, request: RequestFrame) -> io::Result<Vec<Bytes>> {
    let (key, version, id) = (request.api_key, request.api_version, request.correlation_id);
    let is_served = SERVED.iter().any(|(served, versions)| *served == key && versions.contains(&version));
    match key {
        // In version 0, by which clients find one that both know (KIP-511).
        ApiKey::ApiVersions if !is_served => encoded(key, 0, id, &unsupported_version()),
        ApiKey::ApiVersions => encoded(key, version, id, &api_versions(shared)),
        ApiKey::DescribeQuorum if is_served => {
            let request = decoded::<DescribeQuorumRequest>(request)?;
            let forwarder = Forwarder::new(shared.clone());
            encoded(key, version, id, &describe_quorum(request, version, forwarder.quorum()).await)
        }
        ApiKey::DescribeCluster if is_served => {
            let request = decoded::<DescribeClusterRequest>(request)?;
            encoded(key, version, id, &describe_cluster(shared, &request))
        }
        _ => Err(io::Error::other(format!("a controller does not serve {key} version {version}"))),
    }
}

fn decoded<R: Request>(request: RequestFrame) -> io::Result<R> {
    request.decode().map_err(io::Error::other)
}

fn encoded(key: ApiKey, version: i16, correlation_id: i32, response: &impl Message) -> io::Result<Vec<Bytes>> {
    frame::encode_response(key, version, correlation_id, response).map_err(io::Error::other)
}

fn api_versions(shared: &Shared) -> ApiVersionsResponse {
    let applied = shared.applied.borrow().clone();
    let api_keys = SERVED.iter().map(advertised).collect();
    applied.image.describe_features(
        (applied.last_batch > 0).then_some(applied.last_batch),
        ApiVersionsResponse { api_keys, ..Default::default() },
    )
}

fn unsupported_version() -> ApiVersionsResponse {
    let api_keys = vec![advertised(&(ApiVersionsRequest::KEY, API_VERSIONS))];
    ApiVersionsResponse { error_code: ErrorCode::UNSUPPORTED_VERSION, api_keys, ..Default::default() }
}

fn advertised((key, versions): &(ApiKey, RangeInclusive<i16>)) -> ApiVersion {
    ApiVersion { api_key: key.code(), min_version: *versions.start(), max_version: *versions.end() }
}

/// The controllers in the place of brokers (KIP-919).
fn describe_cluster(shared: &Shared, request: &DescribeClusterRequest) -> DescribeClusterResponse {
    if request.endpoint_type != ENDPOINT_CONTROLLERS {
        return DescribeClusterResponse {
            error_code: ErrorCode::MISMATCHED_ENDPOINT_TYPE,
            error_message: Some(Str::from_static("this listener is a controller's; it can describe controllers only")),
            endpoint_type: ENDPOINT_CONTROLLERS,
            ..DescribeClusterResponse::default()
        };
    }
    let metrics = shared.metrics();
    let membership = metrics.membership_config.membership();
    let voters = membership.voter_ids().filter_map(|id| Some((id, membership.get_node(&id)?)));
    let controllers = voters.map(|(id, node)| DescribeClusterBroker {
        broker_id: id.id,
        host: Str::from(node.host.clone()),
        port: node.port.into(),
        ..DescribeClusterBroker::default()
    });
    DescribeClusterResponse {
        endpoint_type: ENDPOINT_CONTROLLERS,
        cluster_id: shared.image.borrow().cluster_id().cloned().unwrap_or_default(),
        controller_id: shared.leader().map_or(-1, |(id, _)| id.id),
        brokers: controllers.collect(),
        cluster_authorized_operations: match request.include_cluster_authorized_operations {
            true => CLUSTER_OPERATIONS,
            false => i32::MIN,
        },
        ..DescribeClusterResponse::default()
    }
}
