//! Fetches that wait: what ends the wait, and that everybody has a turn.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tidelog_client::Connection;
use tidelog_wire::messages::fetch_request::{FetchPartition, FetchTopic, ReplicaState};
use tidelog_wire::messages::{FetchRequest, FetchResponse};
use tidelog_wire::types::{BrokerId, PartitionIndex};
use tidelog_wire::{ErrorCode, Uuid};
use tokio::time::timeout;

use crate::harness::{Cluster, DEADLINE, Leader, batch, fetch_request, produce};

/// Long before a poll of [`LONG_MS`] ends by itself.
const SOON: Duration = Duration::from_secs(15);
const LONG_MS: i32 = 60_000;

#[tokio::test]
async fn a_fetch_that_names_nothing_is_answered_at_once() {
    let cluster = Cluster::start(1).await;
    let leader = cluster.create_topic("closed", 1, &[]).await;
    let connection = cluster.connect(1).await;
    let nothing = FetchRequest { session_epoch: -1, topics: Vec::new(), ..fetch_request(Uuid::ZERO, 0, 1, LONG_MS) };
    timeout(SOON, connection.send(&nothing)).await.expect("at once").expect("an answer");

    let full = FetchRequest { session_epoch: 0, ..fetch_request(leader.topic_id, 0, 1, 0) };
    let session_id = connection.send(&full).await.expect("an answer").session_id;
    let next = FetchRequest { session_id, session_epoch: 1, ..fetch_request(leader.topic_id, 0, 1, LONG_MS) };
    let poll = connection.start(&next).expect("is sent");
    let closing = connection.start(&FetchRequest { session_id, ..nothing }).expect("is sent");
    for answer in [poll, closing] {
        let answer = timeout(SOON, answer).await.expect("the session's end ends its poll too").expect("an answer");
        assert_eq!(answer.error_code, ErrorCode::NONE);
    }
}

#[tokio::test]
async fn in_a_session_a_full_partition_does_not_keep_the_others_waiting() {
    let cluster = Cluster::start(1).await;
    let connection = cluster.connect(1).await;
    let mut topics = Vec::new();
    for name in ["one", "two", "three"] {
        let leader = cluster.create_topic(name, 1, &[]).await;
        produce(&connection, leader.topic_id, batch("a"), -1).await;
        topics.extend(fetch_request(leader.topic_id, 0, 1, 0).topics);
    }
    let room_for_one = FetchRequest { max_bytes: 1, session_epoch: 0, topics, ..fetch_request(Uuid::ZERO, 0, 1, 0) };
    let mut answer = connection.send(&room_for_one).await.expect("an answer");
    let session_id = answer.session_id;
    let mut served: BTreeSet<Uuid> = received(&answer).into_keys().collect();
    for session_epoch in 1..3 {
        let next = FetchRequest { session_id, session_epoch, topics: Vec::new(), ..room_for_one.clone() };
        answer = connection.send(&next).await.expect("an answer");
        served.extend(received(&answer).into_keys());
    }
    assert_eq!(served.len(), 3, "three answers, each with the records of another topic");
}

/// A test that speaks for a broker which is down.
struct Follower {
    connection: Connection,
    state: ReplicaState,
    session: (i32, i32),
}

impl Follower {
    async fn of(cluster: &Cluster, leader: i32, replica: i32) -> Self {
        let image = cluster.nodes[&leader].controller.image().borrow().clone();
        let replica_epoch = image.broker(BrokerId(replica)).expect("it was registered").epoch.get();
        let state = ReplicaState { replica_id: replica, replica_epoch };
        Self { connection: cluster.connect(leader).await, state, session: (0, 0) }
    }

    fn request(&self, topics: Vec<FetchTopic>, max_bytes: i32) -> FetchRequest {
        FetchRequest {
            replica_state: self.state.clone(),
            session_id: self.session.0,
            session_epoch: self.session.1,
            max_wait_ms: 500,
            min_bytes: 1,
            max_bytes,
            topics,
            ..FetchRequest::default()
        }
    }

    async fn fetch(&mut self, topics: Vec<FetchTopic>, max_bytes: i32) -> BTreeMap<Uuid, usize> {
        let request = self.request(topics, max_bytes);
        let answer = timeout(DEADLINE, self.connection.send(&request)).await.expect("in time").expect("an answer");
        assert_eq!(answer.error_code, ErrorCode::NONE);
        self.session = (answer.session_id, self.session.1 + 1);
        received(&answer)
    }
}

/// Partition 0 of the topic from this offset on, as its follower asks for it.
fn following(cluster: &Cluster, leader: &Leader, topic: &str, fetch_offset: i64) -> FetchTopic {
    let image = cluster.nodes[&leader.node].controller.image().borrow().clone();
    let partition = image.topic(topic).and_then(|topic| topic.partition(PartitionIndex(0)).cloned());
    let asked = FetchPartition {
        current_leader_epoch: partition.expect("it is there").leader_epoch.get(),
        fetch_offset,
        last_fetched_epoch: -1,
        log_start_offset: 0,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    };
    FetchTopic { topic_id: leader.topic_id, partitions: vec![asked], ..FetchTopic::default() }
}

/// The leader reads what it has no position of, or no page in memory, on another thread: only there it is seen that the
/// first batch is larger than what the other partitions left of the answer.
#[tokio::test]
async fn a_follower_gets_a_batch_for_which_an_answer_had_no_room_with_the_next() {
    let mut cluster = Cluster::start(3).await;
    let configs = [("segment.bytes", "1048576"), ("min.insync.replicas", "1")];
    for name in ["warm", "cold"] {
        cluster.create_topic_on(name, &[1, 3], &configs).await;
    }
    cluster.stop_node(3).await;
    let warm = cluster.leader_where("warm", |leader| leader.isr == 1 && leader.node == 1).await;
    let cold = cluster.leader_where("cold", |leader| leader.isr == 1 && leader.node == 1).await;
    let connection = cluster.connect(1).await;
    produce(&connection, warm.topic_id, batch(&"x".repeat(60_000)), 1).await;
    for _ in 0..25 {
        produce(&connection, cold.topic_id, batch(&"x".repeat(100_000)), 1).await;
    }
    let mut follower = Follower::of(&cluster, 1, 3).await;
    let both = vec![following(&cluster, &warm, "warm", 0), following(&cluster, &cold, "cold", 3)];
    let first = follower.fetch(both, 110_000).await;
    assert_eq!(first.keys().collect::<Vec<_>>(), [&warm.topic_id], "the test wants the other one left out");
    let mut named = vec![following(&cluster, &warm, "warm", 1)];
    for _ in 0..5 {
        if follower.fetch(std::mem::take(&mut named), 110_000).await.contains_key(&cold.topic_id) {
            return;
        }
    }
    panic!("the leader has records for the partition and never sends them");
}

/// A follower whose disk is slow names nothing, and may take a leader that says nothing for dead.
#[tokio::test]
async fn a_followers_poll_ends_in_its_time_whatever_the_leader_appends_meanwhile() {
    let mut cluster = Cluster::start(3).await;
    cluster.create_topic_on("busy", &[1, 3], &[("min.insync.replicas", "1")]).await;
    cluster.stop_node(3).await;
    let busy = cluster.leader_where("busy", |leader| leader.isr == 1 && leader.node == 1).await;
    let writer = cluster.connect(1).await;
    produce(&writer, busy.topic_id, batch("a"), 1).await;
    let mut follower = Follower::of(&cluster, 1, 3).await;
    let first = follower.fetch(vec![following(&cluster, &busy, "busy", 0)], 1 << 20).await;
    assert!(first.contains_key(&busy.topic_id));
    let poll = follower.fetch(Vec::new(), 1 << 20);
    let appends = async {
        loop {
            produce(&writer, busy.topic_id, batch("b"), 1).await;
        }
    };
    let ended = async {
        tokio::select! {
            received = poll => received,
            () = appends => unreachable!("appends go on"),
        }
    };
    let received = timeout(SOON, ended).await.expect("it may wait for half a second");
    assert!(received.is_empty(), "it has not asked for more");
}

/// Half of the partitions have closed segments, and consumers have read elsewhere: the leader has nothing in memory of where
/// its follower stood.
#[tokio::test]
async fn every_partition_of_a_follower_that_was_away_catches_up() {
    let mut cluster = Cluster::start(3).await;
    let names: Vec<String> = (0..30).map(|number| format!("large-{number}")).collect();
    let has_closed_segments = |number: usize| number.is_multiple_of(2);
    for (number, name) in names.iter().enumerate() {
        let segment_bytes = if has_closed_segments(number) { "1048576" } else { "1073741824" };
        cluster.create_topic_on(name, &[1, 3], &[("segment.bytes", segment_bytes), ("min.insync.replicas", "1")]).await;
    }
    let connection = cluster.connect(1).await;
    for name in &names {
        let leader = cluster.leader_where(name, |leader| leader.isr == 2 && leader.node == 1).await;
        produce(&connection, leader.topic_id, batch(&"x".repeat(50_000)), -1).await;
    }
    cluster.stop_node(3).await;
    for (number, name) in names.iter().enumerate() {
        let leader = cluster.leader_where(name, |leader| leader.isr == 1 && leader.node == 1).await;
        let batches = if has_closed_segments(number) { 12 } else { 2 };
        for _ in 0..batches {
            let answer = produce(&connection, leader.topic_id, batch(&"x".repeat(400_000)), -1).await;
            assert_eq!(answer.error_code, ErrorCode::NONE);
        }
        for offset in (2..batches).rev() {
            let mut read = fetch_request(leader.topic_id, offset, 1, 0);
            read.topics[0].partitions[0].partition_max_bytes = 1;
            let read = connection.send(&read).await.expect("an answer");
            assert!(received(&read).contains_key(&leader.topic_id));
        }
    }
    cluster.start_again(3).await;
    for name in &names {
        cluster.leader_where(name, |leader| leader.isr == 2).await;
    }
}

/// Bytes of records by topic.
fn received(answer: &FetchResponse) -> BTreeMap<Uuid, usize> {
    let mut bytes = BTreeMap::new();
    for topic in &answer.responses {
        for data in &topic.partitions {
            assert_eq!(data.error_code, ErrorCode::NONE);
            *bytes.entry(topic.topic_id).or_default() += data.records.as_ref().map_or(0, |records| records.len());
        }
    }
    bytes.retain(|_, bytes| *bytes > 0);
    bytes
}
