//! Consumers that name their rack are sent to a replica there (KIP-392).

use tidelog_wire::messages::FetchRequest;
use tidelog_wire::{ErrorCode, Str};
use tokio::time::{Duration, Instant, sleep};

use crate::harness::{Cluster, DEADLINE, batch, fetch_request, produce, rack_of};

const NOBODY: i32 = -1;

#[tokio::test]
async fn a_consumer_reads_from_the_replica_in_its_rack() {
    let cluster = Cluster::start_serving_nearby(2).await;
    let leader = cluster.create_topic("near", 2, &[]).await;
    let follower = 3 - leader.node;
    let (at_leader, at_follower) = (cluster.connect(leader.node).await, cluster.connect(follower).await);
    let ask = |rack: String, offset, max_wait_ms| FetchRequest {
        rack_id: Str::from(rack),
        ..fetch_request(leader.topic_id, offset, 1, max_wait_ms)
    };
    produce(&at_leader, leader.topic_id, batch("a"), -1).await;
    let deadline = Instant::now() + DEADLINE;
    let sent = loop {
        let answer = at_leader.send(&ask(rack_of(follower), 0, 0)).await.expect("an answer");
        let partition = answer.responses[0].partitions[0].clone();
        if partition.preferred_read_replica != NOBODY {
            break partition;
        }
        // The follower's fetch, by which the leader knows what it has, may still be on its way.
        assert!(Instant::now() < deadline, "not sent to the follower in time");
        sleep(Duration::from_millis(10)).await;
    };
    assert_eq!((sent.error_code, sent.preferred_read_replica), (ErrorCode::NONE, follower));
    assert!(sent.records.is_none_or(|records| records.is_empty()), "the records are over there");

    let read = at_follower.send(&ask(rack_of(follower), 0, 20_000)).await.expect("an answer");
    let read = &read.responses[0].partitions[0];
    assert_eq!((read.error_code, read.preferred_read_replica), (ErrorCode::NONE, NOBODY));
    assert_eq!(read.records.as_ref().map(|records| records.len()), Some(batch("a").len()));

    let poll = at_follower.start(&ask(rack_of(follower), 1, 20_000)).expect("is sent");
    produce(&at_leader, leader.topic_id, batch("b"), -1).await;
    let woken = tokio::time::timeout(DEADLINE / 3, poll).await.expect("long before its time").expect("an answer");
    assert_eq!(woken.responses[0].partitions[0].records.as_ref().map(|records| records.len()), Some(batch("b").len()));

    for rack in [rack_of(leader.node), "elsewhere".to_owned(), String::new()] {
        let read = at_leader.send(&ask(rack.clone(), 0, 0)).await.expect("an answer");
        assert_eq!(read.responses[0].partitions[0].preferred_read_replica, NOBODY, "{rack:?}");
    }
}

#[tokio::test]
async fn without_a_selector_the_leader_serves_everybody() {
    let cluster = Cluster::start(2).await;
    let leader = cluster.create_topic("far", 2, &[]).await;
    let connection = cluster.connect(leader.node).await;
    produce(&connection, leader.topic_id, batch("a"), -1).await;
    let rack_id = Str::from(rack_of(3 - leader.node));
    let request = FetchRequest { rack_id, ..fetch_request(leader.topic_id, 0, 1, 0) };
    let read = connection.send(&request).await.expect("an answer");
    let read = &read.responses[0].partitions[0];
    assert_eq!((read.error_code, read.preferred_read_replica), (ErrorCode::NONE, NOBODY));
}
