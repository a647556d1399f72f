//! Replicas that come to a broker which cannot take them at once.

use tidelog_wire::ErrorCode;
use tidelog_wire::messages::DeleteTopicsRequest;
use tidelog_wire::messages::delete_topics_request::DeleteTopicState;

use crate::harness::{Cluster, batch, produce};

/// Its log stands where the new topic's is to be.
#[tokio::test]
async fn a_broker_that_missed_a_topics_end_hosts_the_next_one_of_its_name() {
    let mut cluster = Cluster::start(3).await;
    let first = cluster.create_topic("again", 3, &[]).await;
    let connection = cluster.connect(first.node).await;
    assert_eq!(produce(&connection, first.topic_id, batch("a"), -1).await.error_code, ErrorCode::NONE);
    cluster.stop_node(3).await;
    cluster.leader_where("again", |leader| leader.isr == 2).await;
    let request = DeleteTopicsRequest {
        topics: vec![DeleteTopicState { name: Some("again".into()), ..DeleteTopicState::default() }],
        timeout_ms: 10_000,
        ..DeleteTopicsRequest::default()
    };
    let deleted = cluster.connect(1).await.send(&request).await.expect("an answer");
    assert_eq!(deleted.responses[0].error_code, ErrorCode::NONE);
    let second = cluster.create_topic_on("again", &[1, 2, 3], &[]).await;
    assert_ne!(second.topic_id, first.topic_id);
    cluster.start_again(3).await;
    cluster.leader_where("again", |leader| leader.isr == 3).await;
    let leader = cluster.leader_where("again", |_| true).await;
    let answer = produce(&cluster.connect(leader.node).await, leader.topic_id, batch("b"), -1).await;
    assert_eq!((answer.error_code, answer.base_offset), (ErrorCode::NONE, 0));
}

#[tokio::test]
async fn a_log_that_cannot_be_opened_is_led_elsewhere_and_tried_again() {
    let cluster = Cluster::start(3).await;
    let obstacle = cluster.log_file(1, "blocked").parent().expect("the log's directory").to_owned();
    std::fs::write(&obstacle, "a file where the directory is to be").expect("it is written");
    cluster.begin_topic_on("blocked", &[1, 2, 3], &[]).await;
    let leader = cluster.leader_where("blocked", |leader| leader.node != 1 && leader.isr == 2).await;
    let connection = cluster.connect(leader.node).await;
    assert_eq!(produce(&connection, leader.topic_id, batch("a"), -1).await.error_code, ErrorCode::NONE);
    std::fs::remove_file(&obstacle).expect("it is removed");
    cluster.leader_where("blocked", |leader| leader.isr == 3).await;
}

#[tokio::test]
async fn a_log_that_nobody_else_has_is_tried_again_where_it_is() {
    let cluster = Cluster::start(1).await;
    let obstacle = cluster.log_file(1, "alone").parent().expect("the log's directory").to_owned();
    std::fs::write(&obstacle, "a file where the directory is to be").expect("it is written");
    let leader = cluster.create_topic("alone", 1, &[]).await;
    let connection = cluster.connect(1).await;
    let refused = produce(&connection, leader.topic_id, batch("a"), -1).await;
    assert_eq!(refused.error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    std::fs::remove_file(&obstacle).expect("it is removed");
    cluster.produce_until_taken("alone", "a").await;
}
