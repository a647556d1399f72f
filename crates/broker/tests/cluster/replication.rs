//! Three brokers: acknowledgements that mean something, leaders that go and come back.

use std::os::unix::fs::FileExt;

use tidelog_metadata::LeaderRecovery;
use tidelog_wire::ErrorCode;
use tidelog_wire::messages::ElectLeadersRequest;
use tidelog_wire::messages::elect_leaders_request::TopicPartitions;
use tidelog_wire::types::PartitionIndex;
use tokio::time::Instant;

use crate::harness::{Cluster, DEADLINE, batch, fetch, produce};

#[tokio::test]
async fn acknowledged_records_survive_a_restart_of_every_broker_in_turn() {
    let mut cluster = Cluster::start(3).await;
    let created = cluster.create_topic("rolling", 3, &[]).await;
    for round in 0..3 {
        assert_eq!(cluster.produce_until_taken("rolling", "x").await, round);
        cluster.restart_node(round as i32 + 1).await;
        cluster.leader_where("rolling", |leader| leader.isr == 3).await;
    }
    let leader = cluster.leader_where("rolling", |_| true).await;
    let read = fetch(&cluster.connect(leader.node).await, created.topic_id, 0, 1000).await;
    assert_eq!(read.high_watermark, 3);
    assert_eq!(read.records.map(|records| records.len()), Some(3 * batch("x").len()));
}

#[tokio::test]
async fn a_stopped_leader_is_replaced_and_those_who_ask_elsewhere_are_told() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.create_topic("moved", 3, &[]).await;
    cluster.produce_until_taken("moved", "a").await;
    cluster.stop_node(leader.node).await;
    let next = cluster.leader_where("moved", |now| now.node != leader.node).await;
    assert_eq!(cluster.produce_until_taken("moved", "b").await, 1);
    let other = *cluster.nodes.keys().find(|node| **node != next.node).expect("two nodes are left");
    let refused = produce(&cluster.connect(other).await, leader.topic_id, batch("c"), -1).await;
    assert_eq!(refused.error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert_eq!(refused.current_leader.leader_id, next.node);
}

/// The device changed bytes of a leader that runs: whoever reads them has it lead no more, and it gets them anew.
#[tokio::test]
async fn a_leader_that_comes_upon_damaged_records_hands_over_and_is_repaired() {
    let cluster = Cluster::start(3).await;
    let leader = cluster.create_topic("rotten", 3, &[]).await;
    for round in 0..5 {
        assert_eq!(cluster.produce_until_taken("rotten", "x").await, round);
    }
    let size = batch("x").len();
    let path = cluster.log_file(leader.node, "rotten");
    let file = std::fs::File::options().write(true).open(&path).expect("the leader's segment");
    // The magic of the third batch.
    file.write_all_at(&[0x77], 2 * size as u64 + 16).expect("it is changed");
    let connection = cluster.connect(leader.node).await;
    assert_eq!(fetch(&connection, leader.topic_id, 1, 1000).await.error_code, ErrorCode::KAFKA_STORAGE_ERROR);
    let next = cluster.leader_where("rotten", |now| now.node != leader.node && now.isr == 3).await;
    let read = fetch(&cluster.connect(next.node).await, leader.topic_id, 0, 1000).await;
    let good = read.records.expect("records");
    assert_eq!(good.len(), 5 * size);
    assert_eq!(std::fs::read(&path).expect("the repaired segment")[..good.len()], good[..]);
}

/// Nobody else has what an only replica has damaged: it stays as it is, with all that follows, until somebody gives it up.
#[tokio::test]
async fn an_unclean_election_by_hand_gives_up_what_an_only_replica_has_damaged() {
    let cluster = Cluster::start(1).await;
    let leader = cluster.create_topic("only", 1, &[]).await;
    for round in 0..5 {
        assert_eq!(cluster.produce_until_taken("only", "x").await, round);
    }
    let size = batch("x").len();
    let file = std::fs::File::options().write(true).open(cluster.log_file(1, "only")).expect("the segment");
    // The magic of the third batch.
    file.write_all_at(&[0x77], 2 * size as u64 + 16).expect("it is changed");
    let connection = cluster.connect(1).await;
    assert_eq!(fetch(&connection, leader.topic_id, 1, 1000).await.error_code, ErrorCode::KAFKA_STORAGE_ERROR);
    let election = ElectLeadersRequest {
        election_type: 1,
        topic_partitions: Some(vec![TopicPartitions { topic: "only".into(), partitions: vec![0] }]),
        timeout_ms: 10_000,
    };
    let deadline = Instant::now() + DEADLINE;
    while fetch(&connection, leader.topic_id, 1, 1000).await.error_code != ErrorCode::NONE {
        // Not needed until the controller knows of the damage.
        connection.send(&election).await.expect("an answer");
        assert!(Instant::now() < deadline, "the damage stays");
    }
    assert_eq!(cluster.produce_until_taken("only", "y").await, 2);
    let read = fetch(&connection, leader.topic_id, 0, 1000).await;
    assert_eq!(read.records.map(|records| records.len()), Some(3 * size));
    let again = connection.send(&election).await.expect("an answer");
    let result = &again.replica_election_results[0].partition_result[0];
    assert_eq!(result.error_code, ErrorCode::ELECTION_NOT_NEEDED);
}

/// Nobody else can tell what an only replica had: whether it lost anything shows in how it was elected.
#[tokio::test]
async fn a_lost_log_does_not_pass_for_an_empty_one() {
    for (lost, recovery) in [
        (&[][..], LeaderRecovery::Recovered),
        (&["log"], LeaderRecovery::Recovering),
        (&["log", "marks"], LeaderRecovery::Recovering),
        (&["log", "other", "marks"], LeaderRecovery::Recovering),
    ] {
        let mut cluster = Cluster::start(1).await;
        for topic in ["log", "other"] {
            cluster.create_topic(topic, 1, &[]).await;
            cluster.produce_until_taken(topic, "x").await;
        }
        let log = cluster.log_file(1, "log").parent().expect("its directory").to_owned();
        let directory = log.parent().expect("the log directory").to_owned();
        cluster.stop_node(1).await;
        for name in lost {
            let removed = match *name {
                "marks" => std::fs::remove_file(directory.join("tidelog-marks")),
                topic => std::fs::remove_dir_all(directory.join(format!("{topic}-0"))),
            };
            removed.expect("it was there");
        }
        cluster.start_again(1).await;
        cluster.leader_where("log", |_| true).await;
        let image = cluster.nodes[&1].controller.image().borrow().clone();
        let partition = image.topic("log").and_then(|topic| topic.partition(PartitionIndex(0))).expect("it exists");
        assert_eq!(partition.leader_recovery, recovery, "without {lost:?}");
    }
}

#[tokio::test]
async fn without_enough_replicas_acks_all_is_refused_and_acks_1_is_not() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.create_topic("strict", 3, &[("min.insync.replicas", "3")]).await;
    let other = *cluster.nodes.keys().find(|node| **node != leader.node).expect("three nodes");
    cluster.stop_node(other).await;
    cluster.leader_where("strict", |leader| leader.isr == 2).await;
    let connection = cluster.connect(cluster.leader_where("strict", |_| true).await.node).await;
    let all = produce(&connection, leader.topic_id, batch("a"), -1).await;
    assert_eq!(all.error_code, ErrorCode::NOT_ENOUGH_REPLICAS);
    assert_eq!(produce(&connection, leader.topic_id, batch("a"), 1).await.error_code, ErrorCode::NONE);
}
