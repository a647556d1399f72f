//! The quorum as its users see it: whole nodes with sockets and disks, founded, killed, wiped, restarted.

mod brokers;
mod failover;
mod founding;
mod hostile;
mod membership;
mod nodes;

use std::sync::Arc;

use tidelog_controller::{BrokerHealth, BrokerSession, HealthProbe};
use tidelog_metadata::{BrokerRegistration, CreateOrigin, Endpoint, Request, Response};
use tidelog_wire::messages::CreateTopicsRequest;
use tidelog_wire::messages::create_topics_request::CreatableTopic;
use tidelog_wire::types::{BrokerEpoch, BrokerId};
use tidelog_wire::{ErrorCode, Str, Uuid};

use nodes::Node;

/// One partition, one replica: enough to see that the metadata works.
pub fn create_topic(name: &str) -> Request {
    let topic = CreatableTopic {
        name: Str::from(name.to_owned()),
        num_partitions: 1,
        replication_factor: 1,
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
    Request::CreateTopics { request, origin: CreateOrigin::Admin }
}

pub fn error_of(response: &Response) -> ErrorCode {
    match response {
        Response::CreateTopics(response) => response.topics[0].error_code,
        other => panic!("not an answer to CreateTopics: {other:?}"),
    }
}

/// What a broker of this node would register with. As its client listener it names the node's gRPC listener,
/// which is there exactly as long as the node lives: that is what the controller's probe is after.
pub fn registration(node: &Node) -> BrokerRegistration {
    let port = node.handle.node().listening_on.port();
    let endpoint =
        Endpoint { listener: Str::from("PLAINTEXT"), host: Str::from("127.0.0.1"), port, security_protocol: 0 };
    BrokerRegistration {
        broker_id: BrokerId(node.id()),
        cluster_id: None,
        incarnation_id: Uuid::from_u128(rand::random()),
        directory_id: Uuid::from_u128(node.id() as u128 + 1000),
        endpoints: vec![endpoint],
        rack: None,
        previous_broker_epoch: BrokerEpoch(-1),
        replicas: Vec::new(),
        may_lack_logs: false,
    }
}

pub fn healthy() -> HealthProbe {
    Arc::new(BrokerHealth::default)
}

/// Registers the node's broker and waits until it is unfenced in its own image.
pub async fn serve_as_broker(node: &Node) -> BrokerSession {
    let session = node.handle.open_session(registration(node), healthy());
    let mut state = session.state();
    let unfenced = tokio::time::timeout(nodes::DEADLINE, state.wait_for(|state| !state.fenced)).await;
    assert!(matches!(unfenced, Ok(Ok(_))), "broker {} stays fenced", node.id());
    session
}

pub async fn serve_all(nodes: &[Node]) -> Vec<BrokerSession> {
    let mut sessions = Vec::new();
    for node in nodes {
        sessions.push(serve_as_broker(node).await);
    }
    sessions
}
