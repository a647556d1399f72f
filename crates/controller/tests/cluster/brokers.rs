//! Registration, fencing and sessions.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use tidelog_controller::BrokerHealth;
use tidelog_internal_api::controller::controller_client::ControllerClient;
use tidelog_internal_api::controller::{BrokerFrame, SessionStart, broker_frame, controller_frame};
use tidelog_metadata::{CreateOrigin, Endpoint, Image, Request};
use tidelog_wire::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use tidelog_wire::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
use tidelog_wire::messages::{AlterPartitionReassignmentsRequest, CreateTopicsRequest};
use tidelog_wire::types::{BrokerId, PartitionIndex};
use tidelog_wire::{ErrorCode, Str};

use super::nodes::{Cluster, active_of, eventually};
use super::{create_topic, error_of, healthy, registration, serve_all, serve_as_broker};

fn is_fenced(image: &Arc<Image>, broker: i32) -> bool {
    image.broker(BrokerId(broker)).is_some_and(|broker| broker.fenced)
}

fn is_unfenced(image: &Arc<Image>, broker: i32) -> bool {
    image.broker(BrokerId(broker)).is_some_and(|broker| !broker.fenced)
}

#[tokio::test]
async fn a_killed_broker_is_fenced_and_its_next_incarnation_gets_a_higher_epoch() {
    let mut cluster = Cluster::new(3);
    let mut nodes = cluster.start_all();
    let mut sessions = serve_all(&nodes).await;
    let victim = (active_of(&nodes).await + 1) % 3;
    let killed = nodes.remove(victim);
    let epoch = sessions.remove(victim).state().borrow().broker_epoch.unwrap();
    let id = killed.id();
    killed.kill();
    for node in &nodes {
        node.sees("the dead broker fenced", |image| is_fenced(image, id)).await;
    }
    let back = cluster.start(id);
    let session = serve_as_broker(&back).await;
    assert!(session.state().borrow().broker_epoch.unwrap() > epoch);
    for node in &nodes {
        node.sees("the broker back", |image| is_unfenced(image, id)).await;
    }
}

#[tokio::test]
async fn the_broker_of_a_dead_controller_is_fenced_by_the_next_one_and_the_others_are_not() {
    let mut cluster = Cluster::new(3);
    let mut nodes = cluster.start_all();
    let mut sessions = serve_all(&nodes).await;
    let active = active_of(&nodes).await;
    let killed = nodes.remove(active);
    drop(sessions.remove(active));
    let id = killed.id();
    let epochs: Vec<_> = sessions.iter().map(|session| session.state().borrow().broker_epoch).collect();
    killed.kill();
    for node in &nodes {
        node.sees("the dead controller's broker fenced", |image| is_fenced(image, id)).await;
    }
    active_of(&nodes).await;
    let response = nodes[0].handle.submit(create_topic("after")).await.unwrap();
    assert_eq!(error_of(&response), ErrorCode::NONE);
    for (session, epoch) in sessions.iter().zip(epochs) {
        assert_eq!(session.state().borrow().broker_epoch, epoch, "a living broker had to register again");
        assert!(!session.state().borrow().fenced);
    }
}

/// The first listener is for clients behind an address of their own, where nobody listens on this machine.
#[tokio::test]
async fn a_next_controller_looks_for_brokers_where_other_brokers_find_them() {
    let mut cluster = Cluster::new(3);
    let mut nodes: Vec<_> = (1..=3)
        .map(|node_id| {
            let internal = |options: &mut tidelog_controller::ControllerOptions| {
                options.static_configs = [("inter.broker.listener.name", "INTERNAL")].into_iter().collect();
            };
            cluster.start_with(node_id, internal).unwrap()
        })
        .collect();
    let active = nodes.remove(active_of(&nodes).await);
    let mut sessions = Vec::new();
    for node in &nodes {
        let mut introduction = registration(node);
        let internal = Endpoint { listener: Str::from("INTERNAL"), ..introduction.endpoints[0].clone() };
        let external = Endpoint { listener: Str::from("EXTERNAL"), port: unused_port(), ..internal.clone() };
        introduction.endpoints = vec![external, internal];
        sessions.push(node.handle.open_session(introduction, healthy()));
        node.sees("the broker unfenced", |image| is_unfenced(image, node.id())).await;
    }
    for id in nodes.iter().map(|node| node.id()) {
        nodes[0].sees("both brokers unfenced", |image| is_unfenced(image, id)).await;
    }
    let ids: Vec<_> = nodes.iter().map(|node| node.id()).collect();
    let mut images = nodes[0].handle.image();
    let fenced = tokio::spawn(async move {
        let any_fenced = images.wait_for(|image| ids.iter().any(|id| is_fenced(image, *id)));
        tokio::time::timeout(Duration::from_secs(2), any_fenced).await.is_ok()
    });
    active.kill();
    let created = nodes[0].handle.submit(create_topic("after")).await.unwrap();
    assert_eq!(error_of(&created), ErrorCode::NONE);
    assert!(!fenced.await.unwrap(), "a living broker was fenced");
}

fn unused_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn a_goodbye_fences_at_once_and_controlled_shutdown_is_granted() {
    let mut cluster = Cluster::new(3);
    let nodes = cluster.start_all();
    let leaving = serve_as_broker(&nodes[1]).await;
    let _staying = serve_as_broker(&nodes[2]).await;
    leaving.request_controlled_shutdown().await;
    let mut state = leaving.state();
    tokio::time::timeout(super::nodes::DEADLINE, state.wait_for(|state| state.may_shut_down)).await.unwrap().unwrap();
    leaving.close().await;
    nodes[0].sees("the broker fenced", |image| is_fenced(image, 2)).await;
}

#[tokio::test]
async fn a_stuck_broker_is_fenced_although_it_beats_and_unfenced_when_it_moves_again() {
    let mut cluster = Cluster::new(1);
    let nodes = cluster.start_all();
    let stalled_ms = Arc::new(AtomicU64::new(0));
    let reported = Arc::clone(&stalled_ms);
    let probe = Arc::new(move || BrokerHealth { stalled_ms: reported.load(Ordering::Relaxed), starting: false });
    let session = nodes[0].handle.open_session(registration(&nodes[0]), probe);
    nodes[0].sees("the broker unfenced", |image| is_unfenced(image, 1)).await;
    stalled_ms.store(60_000, Ordering::Relaxed);
    nodes[0].sees("the stuck broker fenced", |image| is_fenced(image, 1)).await;
    stalled_ms.store(0, Ordering::Relaxed);
    nodes[0].sees("the broker unfenced again", |image| is_unfenced(image, 1)).await;
    drop(session);
}

#[tokio::test]
async fn a_session_that_was_never_accepted_closes_at_once() {
    let mut cluster = Cluster::new(3);
    let alone = cluster.start(1);
    let session = alone.handle.open_session(registration(&alone), healthy());
    session.request_controlled_shutdown().await;
    let mut state = session.state();
    tokio::time::timeout(super::nodes::DEADLINE, state.wait_for(|state| state.may_shut_down)).await.unwrap().unwrap();
    tokio::time::timeout(super::nodes::DEADLINE, session.close()).await.unwrap();
}

#[tokio::test]
async fn contact_with_the_controller_is_kept_up_to_date() {
    let mut cluster = Cluster::new(1);
    let nodes = cluster.start_all();
    let session = nodes[0].handle.open_session(registration(&nodes[0]), healthy());
    let first = contact(&session).await;
    eventually("a later contact", || async { contact(&session).await > first }).await;
}

async fn contact(session: &tidelog_controller::BrokerSession) -> tokio::time::Instant {
    let mut state = session.state();
    let state = state.wait_for(|state| state.last_contact.is_some()).await.unwrap();
    state.last_contact.unwrap()
}

#[tokio::test]
async fn a_session_closes_though_every_controller_is_gone() {
    let mut cluster = Cluster::new(1);
    let controller = cluster.start(1);
    let broker = cluster.start(7);
    let session = serve_as_broker(&broker).await;
    controller.kill();
    let mut state = session.state();
    session.request_controlled_shutdown().await;
    assert!(!state.borrow_and_update().may_shut_down, "nobody can grant it");
    // It looks for a controller all the time, and must hear the command all the same.
    let closed = tokio::time::timeout(super::nodes::DEADLINE, session.close()).await;
    assert!(closed.is_ok(), "the session never closes");
}

#[tokio::test]
async fn leaderships_return_to_preferred_replicas_by_themselves() {
    let mut cluster = Cluster::new(1);
    let controller = cluster.start_with(1, |options| {
        options.static_configs = [("leader.imbalance.check.interval.seconds", "1")].into_iter().collect();
    });
    let controller = controller.unwrap();
    let other = cluster.start(2);
    let _sessions = [serve_as_broker(&controller).await, serve_as_broker(&other).await];
    let assignments = vec![CreatableReplicaAssignment { partition_index: 0, broker_ids: vec![1, 2] }];
    let (name, unset) = (Str::from("moved"), -1);
    let topic = CreatableTopic {
        name: name.clone(),
        num_partitions: unset,
        replication_factor: unset as i16,
        assignments,
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
    controller.handle.submit(Request::CreateTopics { request, origin: CreateOrigin::Admin }).await.unwrap();
    let led_by =
        |image: &Arc<Image>| image.topic("moved").map(|topic| topic.partition(PartitionIndex(0)).unwrap().leader);
    controller.sees("the first replica leading", |image| led_by(image) == Some(BrokerId(1))).await;
    let other_order = ReassignablePartition { partition_index: 0, replicas: Some(vec![2, 1]) };
    let topics = vec![ReassignableTopic { name, partitions: vec![other_order] }];
    let request = AlterPartitionReassignmentsRequest { topics, ..Default::default() };
    controller.handle.submit(Request::AlterPartitionReassignments(request)).await.unwrap();
    controller.sees("the replica that is the first now leading", |image| led_by(image) == Some(BrokerId(2))).await;
}

/// What the node's controller says first to a stream that claims to be a broker's.
async fn claim(node: &super::Node, broker_id: i32, broker_epoch: i64) -> Option<controller_frame::Frame> {
    let address = format!("http://{}", node.handle.node().listening_on);
    let mut client = ControllerClient::connect(address).await.unwrap();
    let start = SessionStart { target: None, broker_id, broker_epoch };
    let frame = BrokerFrame { frame: Some(broker_frame::Frame::Start(start)) };
    // Left open by the claimant.
    let frames = futures::stream::iter([frame]).chain(futures::stream::pending());
    let mut answers = client.session(frames).await.unwrap().into_inner();
    answers.message().await.unwrap().and_then(|answer| answer.frame)
}

#[tokio::test]
async fn a_claim_to_be_a_later_incarnation_leaves_the_living_one_its_session() {
    let mut cluster = Cluster::new(3);
    let mut nodes = cluster.start_all();
    let mut sessions = serve_all(&nodes).await;
    let active = active_of(&nodes).await;
    let victim = (active + 1) % 3;
    let (id, epoch) = (nodes[victim].id(), sessions[victim].state().borrow().broker_epoch.unwrap());
    let answer = claim(&nodes[active], id, epoch.get() + 1000).await;
    assert!(matches!(answer, Some(controller_frame::Frame::Unregistered(_))), "{answer:?}");
    // Only a session that is still known can be seen to end.
    drop(sessions.remove(victim));
    nodes.remove(victim).kill();
    for node in &nodes {
        node.sees("the dead broker fenced", |image| is_fenced(image, id)).await;
    }
}
