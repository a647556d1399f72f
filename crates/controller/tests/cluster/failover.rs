//! Losing leaders and quorums while requests are on their way.

use std::time::Duration;

use tidelog_controller::SubmitError;
use tidelog_wire::ErrorCode;

use super::nodes::{Cluster, active_of};
use super::{create_topic, error_of, serve_all, serve_as_broker};

#[tokio::test]
async fn a_topic_created_on_any_node_appears_on_all() {
    let mut cluster = Cluster::new(3);
    let nodes = cluster.start_all();
    let _session = serve_as_broker(&nodes[0]).await;
    for (node, name) in nodes.iter().zip(["a", "b", "c"]) {
        let response = node.handle.submit(create_topic(name)).await.unwrap();
        assert_eq!(error_of(&response), ErrorCode::NONE, "{name}");
    }
    for node in &nodes {
        node.sees("all topics", |image| ["a", "b", "c"].iter().all(|name| image.topic(name).is_some())).await;
    }
}

#[tokio::test]
async fn requests_under_way_when_the_leader_dies_are_carried_out_exactly_once() {
    let mut cluster = Cluster::new(3);
    let mut nodes = cluster.start_all();
    let _sessions = serve_all(&nodes).await;
    let leader = nodes.remove(active_of(&nodes).await);
    let submits = (0..40).map(|number| {
        let handle = nodes[number % 2].handle.clone();
        tokio::spawn(async move { handle.submit(create_topic(&format!("topic-{number}"))).await })
    });
    let submits: Vec<_> = submits.collect();
    leader.kill();
    for submit in submits {
        // A retried creation that was carried out twice would say TOPIC_ALREADY_EXISTS.
        let response = submit.await.unwrap().unwrap();
        assert_eq!(error_of(&response), ErrorCode::NONE);
    }
    for node in &nodes {
        node.sees("the topics", |image| image.topic_count() == 40).await;
    }
}

#[tokio::test]
async fn a_dead_leader_is_replaced_long_before_an_election_timeout() {
    let mut cluster = Cluster::new(3);
    // Timers that would take a minute: only the broken connections can bring the new leader.
    let slow = |options: &mut tidelog_controller::ControllerOptions| {
        options.timing.election_timeout_min = Duration::from_secs(60);
        options.timing.election_timeout_max = Duration::from_secs(90);
    };
    let mut nodes: Vec<_> = (1..=3).map(|node_id| cluster.start_with(node_id, slow).unwrap()).collect();
    let leader = nodes.remove(active_of(&nodes).await);
    for node in &nodes {
        node.sees("the cluster id", |image| image.cluster_id().is_some()).await;
    }
    settle_watchers(&nodes).await;
    leader.kill();
    active_of(&nodes).await;
}

/// Lets the followers' watch streams open: a few round trips through the leader.
async fn settle_watchers(nodes: &[super::Node]) {
    for _ in 0..5 {
        for node in nodes {
            node.handle.quorum().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_leader_that_stops_in_good_order_hands_over() {
    let mut cluster = Cluster::new(3);
    let mut nodes = cluster.start_all();
    let leader = nodes.remove(active_of(&nodes).await);
    let term = leader.handle.status().borrow().term;
    leader.stop().await;
    let next = active_of(&nodes).await;
    assert!(nodes[next].handle.status().borrow().term > term);
}

#[tokio::test]
async fn a_leader_without_a_quorum_commits_nothing() {
    let mut cluster = Cluster::new(3);
    let short = |options: &mut tidelog_controller::ControllerOptions| options.timing.submit = Duration::from_secs(2);
    let mut nodes: Vec<_> = (1..=3).map(|node_id| cluster.start_with(node_id, short).unwrap()).collect();
    let session = serve_as_broker(&nodes[0]).await;
    let leader = nodes.remove(active_of(&nodes).await);
    nodes.into_iter().for_each(super::Node::kill);
    let refused = leader.handle.submit(create_topic("nowhere")).await.unwrap_err();
    assert!(matches!(refused, SubmitError::TimedOut { .. }), "{refused}");
    assert!(leader.handle.image().borrow().topic("nowhere").is_none());
    drop(session);
}
