//! Fetch: long polls, sessions, limits, and who may call itself a replica.

use std::time::Duration;

use tidelog_wire::ErrorCode;
use tidelog_wire::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use tidelog_wire::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use tidelog_wire::messages::fetch_request::ReplicaState;
use tidelog_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use tidelog_wire::messages::{
    AlterPartitionReassignmentsRequest, DeleteRecordsRequest, FetchRequest, ListOffsetsRequest,
};
use tokio::time::{Instant, timeout};

use crate::harness::{Cluster, DEADLINE, batch, fetch, fetch_request, now_ms, produce};

#[tokio::test]
async fn a_long_poll_is_woken_by_the_append() {
    let cluster = Cluster::start(1).await;
    let leader = cluster.create_topic("poll", 1, &[]).await;
    let (reader, writer) = (cluster.connect(leader.node).await, cluster.connect(leader.node).await);
    let poll = reader.start(&fetch_request(leader.topic_id, 0, 1, 20_000)).expect("is sent");
    produce(&writer, leader.topic_id, batch("a"), -1).await;
    let answer =
        timeout(Duration::from_secs(10), poll).await.expect("long before its time is over").expect("an answer");
    assert_eq!(answer.responses[0].partitions[0].records.as_ref().map(|r| r.len()), Some(batch("a").len()));
}

#[tokio::test]
async fn min_bytes_gathers_several_appends() {
    let cluster = Cluster::start(1).await;
    let leader = cluster.create_topic("gather", 1, &[]).await;
    let (reader, writer) = (cluster.connect(leader.node).await, cluster.connect(leader.node).await);
    let one = batch("a").len();
    let poll = reader.start(&fetch_request(leader.topic_id, 0, 3 * one as i32, 20_000)).expect("is sent");
    for _ in 0..3 {
        produce(&writer, leader.topic_id, batch("a"), -1).await;
    }
    let answer = timeout(Duration::from_secs(10), poll).await.expect("in time").expect("an answer");
    assert_eq!(answer.responses[0].partitions[0].records.as_ref().map(|r| r.len()), Some(3 * one));
}

#[tokio::test]
async fn an_empty_poll_ends_with_its_time() {
    let cluster = Cluster::start(1).await;
    let leader = cluster.create_topic("empty", 1, &[]).await;
    let connection = cluster.connect(leader.node).await;
    let began = Instant::now();
    let answer = fetch(&connection, leader.topic_id, 0, 100).await;
    assert_eq!((answer.error_code, answer.high_watermark), (ErrorCode::NONE, 0));
    assert!(began.elapsed() >= Duration::from_millis(100));
    let beyond = fetch(&connection, leader.topic_id, 5, 0).await;
    assert_eq!(beyond.error_code, ErrorCode::OFFSET_OUT_OF_RANGE);
}

#[tokio::test]
async fn a_session_answers_only_what_changed() {
    let cluster = Cluster::start(1).await;
    let leader = cluster.create_topic("session", 1, &[]).await;
    let connection = cluster.connect(leader.node).await;
    produce(&connection, leader.topic_id, batch("a"), -1).await;
    let full = FetchRequest { session_epoch: 0, ..fetch_request(leader.topic_id, 0, 1, 0) };
    let first = connection.send(&full).await.expect("an answer");
    assert!(first.session_id != 0 && first.responses.len() == 1);
    let next = |session_epoch| FetchRequest {
        session_id: first.session_id,
        session_epoch,
        ..fetch_request(leader.topic_id, 1, 1, 0)
    };
    let quiet = connection.send(&next(1)).await.expect("an answer");
    assert!(quiet.responses.is_empty());
    produce(&connection, leader.topic_id, batch("b"), -1).await;
    // The session remembers the partition and its offset.
    let news = connection.send(&FetchRequest { topics: Vec::new(), ..next(2) }).await.expect("an answer");
    assert_eq!(news.responses[0].partitions[0].high_watermark, 2);
    let wrong = connection.send(&next(2)).await.expect("an answer");
    assert_eq!(wrong.error_code, ErrorCode::INVALID_FETCH_SESSION_EPOCH);
}

/// Whoever asks a broker that has just started comes before its partitions do.
#[tokio::test]
async fn a_session_hears_of_a_partition_that_came_after_it_was_named() {
    let cluster = Cluster::start(2).await;
    let leader = cluster.create_topic("late", 1, &[]).await;
    let next = 3 - leader.node;
    let connection = cluster.connect(next).await;
    let full = FetchRequest { session_epoch: 0, ..fetch_request(leader.topic_id, 0, 1, 0) };
    let first = connection.send(&full).await.expect("an answer");
    assert_eq!(first.responses[0].partitions[0].error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    let partitions = vec![ReassignablePartition { partition_index: 0, replicas: Some(vec![next]) }];
    let topics = vec![ReassignableTopic { name: "late".into(), partitions }];
    let moved = connection.send(&AlterPartitionReassignmentsRequest { topics, ..Default::default() }).await;
    assert_eq!(moved.expect("an answer").error_code, ErrorCode::NONE);
    cluster.leader_where("late", |leader| leader.node == next).await;

    let in_session = |session_epoch, topics, max_wait_ms| FetchRequest {
        session_id: first.session_id,
        session_epoch,
        topics,
        ..fetch_request(leader.topic_id, 0, 1, max_wait_ms)
    };
    let writer = cluster.connect(next).await;
    let named = fetch_request(leader.topic_id, 0, 1, 0).topics;
    // It is there when the session is looked at, and has nothing when it is named.
    for (session_epoch, topics) in [(1, Vec::new()), (2, named)] {
        connection.send(&in_session(session_epoch, topics, 0)).await.expect("an answer");
    }
    let poll = connection.start(&in_session(3, Vec::new(), 20_000)).expect("is sent");
    assert_eq!(produce(&writer, leader.topic_id, batch("a"), -1).await.error_code, ErrorCode::NONE);
    let answer = timeout(Duration::from_secs(10), poll).await.expect("woken by the append").expect("an answer");
    assert_eq!(answer.responses[0].partitions[0].high_watermark, 1);
}

/// H22: nobody becomes a follower by saying so.
#[tokio::test]
async fn a_forged_replica_fetch_is_refused() {
    let cluster = Cluster::start(1).await;
    let leader = cluster.create_topic("forged", 1, &[]).await;
    let connection = cluster.connect(leader.node).await;
    for (replica_id, replica_epoch) in [(1, -1), (1, 999), (2, 0)] {
        let request = FetchRequest {
            replica_state: ReplicaState { replica_id, replica_epoch },
            ..fetch_request(leader.topic_id, 0, 1, 0)
        };
        let answer = connection.send(&request).await.expect("an answer");
        assert_eq!(answer.error_code, ErrorCode::STALE_BROKER_EPOCH);
    }
}

#[tokio::test]
async fn offsets_are_found_by_time_and_by_name() {
    let cluster = Cluster::start(1).await;
    let leader = cluster.create_topic("offsets", 1, &[]).await;
    let connection = cluster.connect(leader.node).await;
    let before = now_ms();
    for value in ["a", "b", "c"] {
        produce(&connection, leader.topic_id, batch(value), -1).await;
    }
    let delete = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: "offsets".into(),
            partitions: vec![DeleteRecordsPartition { partition_index: 0, offset: 1 }],
        }],
        timeout_ms: DEADLINE.as_millis() as i32,
    };
    let deleted = connection.send(&delete).await.expect("an answer");
    assert_eq!(deleted.topics[0].partitions[0].low_watermark, 1);
    for (timestamp, offset) in [(-1, 3), (-2, 1), (-4, 1), (-5, -1), (before, 1), (before + 1_000_000, -1)] {
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: vec![ListOffsetsTopic {
                name: "offsets".into(),
                partitions: vec![ListOffsetsPartition { timestamp, ..ListOffsetsPartition::default() }],
            }],
            ..ListOffsetsRequest::default()
        };
        let found = connection.send(&request).await.expect("an answer").topics[0].partitions[0].clone();
        assert_eq!((found.error_code, found.offset), (ErrorCode::NONE, offset), "timestamp {timestamp}");
    }
    let lost = fetch(&connection, leader.topic_id, 0, 0).await;
    assert_eq!((lost.error_code, lost.log_start_offset), (ErrorCode::OFFSET_OUT_OF_RANGE, 1));
}

/// Java's consumer takes nothing from a full answer that leaves a partition out, and asks the same again.
#[tokio::test]
async fn a_full_answer_names_the_partitions_for_which_it_had_no_room() {
    let cluster = Cluster::start(1).await;
    let value = "x".repeat(1000);
    let mut topics = Vec::new();
    for name in ["one", "two", "three"] {
        let leader = cluster.create_topic(name, 1, &[]).await;
        let connection = cluster.connect(leader.node).await;
        assert_eq!(produce(&connection, leader.topic_id, batch(&value), -1).await.error_code, ErrorCode::NONE);
        topics.extend(fetch_request(leader.topic_id, 0, 1, 0).topics);
    }
    let request = FetchRequest {
        session_epoch: 0,
        max_bytes: 1500,
        max_wait_ms: 500,
        min_bytes: 1,
        topics,
        ..FetchRequest::default()
    };
    let response = cluster.connect(1).await.send(&request).await.expect("an answer");
    let sizes = response.responses.iter().flat_map(|topic| &topic.partitions);
    let mut sizes: Vec<_> = sizes.map(|data| data.records.as_ref().map_or(0, |records| records.len())).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [0, 0, batch(&value).len()]);
}
