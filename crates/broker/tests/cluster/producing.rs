//! Produce: acknowledgements, duplicates, refusals.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tidelog_wire::ErrorCode;
use tidelog_wire::compression::Compression;
use tidelog_wire::messages::delete_topics_request::DeleteTopicState;
use tidelog_wire::messages::{ApiVersionsRequest, DeleteTopicsRequest, InitProducerIdRequest, ProduceRequest};
use tidelog_wire::record::BatchBuilder;
use tidelog_wire::record_batch::BatchHeader;
use tidelog_wire::types::{ProducerEpoch, ProducerId};
use tokio::time::{Instant, sleep};

use crate::harness::{Cluster, DEADLINE, batch, fetch, now_ms, produce, produce_request};

#[tokio::test]
async fn every_kind_of_acknowledgement_stores_the_records_in_order() {
    let cluster = Cluster::start(1).await;
    let leader = cluster.create_topic("acks", 1, &[]).await;
    let connection = cluster.connect(leader.node).await;
    assert_eq!(produce(&connection, leader.topic_id, batch("a"), -1).await.base_offset, 0);
    connection.send_unanswered(&produce_request(leader.topic_id, batch("b"), 0)).expect("is sent");
    assert_eq!(produce(&connection, leader.topic_id, batch("c"), 1).await.base_offset, 2);
    // Only this answer says that all before it may be read.
    assert_eq!(produce(&connection, leader.topic_id, batch("d"), -1).await.base_offset, 3);
    let read = fetch(&connection, leader.topic_id, 0, 0).await;
    assert_eq!(read.records.expect("records").len(), 4 * batch("a").len());
}

#[tokio::test]
async fn a_retried_batch_is_answered_with_its_first_offset() {
    let cluster = Cluster::start(1).await;
    let leader = cluster.create_topic("idempotent", 1, &[]).await;
    let connection = cluster.connect(leader.node).await;
    let request = InitProducerIdRequest { transactional_id: None, ..InitProducerIdRequest::default() };
    let producer = connection.send(&request).await.expect("an answer");
    assert_eq!((producer.error_code, producer.producer_epoch), (ErrorCode::NONE, 0));
    let numbered = |sequence| {
        let mut batch =
            BatchBuilder::new(Compression::None).producer(ProducerId(producer.producer_id), ProducerEpoch(0), sequence);
        batch.append(now_ms(), None, Some(b"x"), &[]);
        batch.build().expect("a small batch")
    };
    for (sequence, offset) in [(0, 0), (1, 1), (0, 0), (1, 1), (2, 2)] {
        let answer = produce(&connection, leader.topic_id, numbered(sequence), -1).await;
        assert_eq!((answer.error_code, answer.base_offset), (ErrorCode::NONE, offset));
    }
    let gap = produce(&connection, leader.topic_id, numbered(9), -1).await;
    assert_eq!(gap.error_code, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused_with_its_code() {
    let cluster = Cluster::start(1).await;
    let leader = cluster.create_topic("rules", 1, &[("max.message.bytes", "200")]).await;
    let connection = cluster.connect(leader.node).await;
    let mut flipped = BytesMut::from(&batch("flipped")[..]);
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    let long = batch(&"x".repeat(300));
    let table = [
        (flipped.freeze(), ErrorCode::CORRUPT_MESSAGE),
        (long, ErrorCode::MESSAGE_TOO_LARGE),
        (Bytes::new(), ErrorCode::INVALID_RECORD),
    ];
    for (records, code) in table {
        assert_eq!(produce(&connection, leader.topic_id, records, -1).await.error_code, code);
    }
    let unknown = produce(&connection, tidelog_wire::Uuid([9; 16]), batch("a"), -1).await;
    assert_eq!(unknown.error_code, ErrorCode::UNKNOWN_TOPIC_ID);
    let acks = produce(&connection, leader.topic_id, batch("a"), 7).await;
    assert_eq!(acks.error_code, ErrorCode::INVALID_REQUIRED_ACKS);
    let request =
        ProduceRequest { transactional_id: Some("t".into()), ..produce_request(leader.topic_id, batch("a"), -1) };
    let refused = connection.send(&request).await.expect("an answer");
    assert_eq!(refused.responses[0].partition_responses[0].error_code, ErrorCode::UNSUPPORTED_VERSION);
}

/// Waiting for it would let an idempotent producer's next batch overtake this one, on its way to the topic's successor.
#[tokio::test]
async fn records_for_a_topic_that_was_deleted_are_refused_at_once() {
    let cluster = Cluster::start(1).await;
    let deleted = cluster.create_topic("deleted", 1, &[]).await.topic_id;
    let (connection, other) = (cluster.connect(1).await, cluster.connect(1).await);
    let request = DeleteTopicsRequest {
        topics: vec![DeleteTopicState { name: Some("deleted".into()), ..DeleteTopicState::default() }],
        timeout_ms: 5000,
        ..DeleteTopicsRequest::default()
    };
    let answer = connection.send(&request).await.expect("an answer");
    assert_eq!(answer.responses[0].error_code, ErrorCode::NONE);
    let deadline = Instant::now() + DEADLINE;
    while produce(&connection, deleted, batch("a"), -1).await.error_code != ErrorCode::UNKNOWN_TOPIC_ID {
        assert!(Instant::now() < deadline, "the topic is still there");
    }

    let refused = produce(&connection, deleted, batch("b"), -1);
    let meanwhile = async {
        for _ in 0..20 {
            other.send(&ApiVersionsRequest::default()).await.expect("an answer");
        }
    };
    tokio::select! {
        biased;
        refused = refused => assert_eq!(refused.error_code, ErrorCode::UNKNOWN_TOPIC_ID),
        () = meanwhile => panic!("others were answered twenty times meanwhile"),
    }
}

/// Indexes and snapshots of the topic's closed segments that this process has open.
fn open_index_files(topic: &str) -> usize {
    let directory = format!("/{topic}-0/");
    let open = std::fs::read_dir("/proc/self/fd").expect("a Linux system").flatten();
    let paths = open.filter_map(|fd| Some(std::fs::read_link(fd.path()).ok()?.to_string_lossy().into_owned()));
    paths.filter(|path| path.contains(&directory) && !path.contains(".log")).count()
}

#[tokio::test]
async fn files_of_closed_segments_do_not_stay_open_where_nothing_waits_for_flushes() {
    let cluster = Cluster::start(1).await;
    let configs = [("write.caching", "true"), ("segment.bytes", "1048576")];
    let leader = cluster.create_topic("cached-files", 1, &configs).await;
    let connection = cluster.connect(leader.node).await;
    for _ in 0..8 {
        let answer = produce(&connection, leader.topic_id, batch(&"x".repeat(700_000)), 1).await;
        assert_eq!(answer.error_code, ErrorCode::NONE);
    }
    let deadline = Instant::now() + DEADLINE;
    while open_index_files("cached-files") > 0 {
        assert!(Instant::now() < deadline, "{} files are open", open_index_files("cached-files"));
        sleep(Duration::from_millis(10)).await;
    }
}

/// Keys of records that are sent in one batch.
fn keyed(codec: Compression, keys: &[Option<&str>]) -> Bytes {
    let mut batch = BatchBuilder::new(codec);
    keys.iter().for_each(|key| batch.append(now_ms(), key.map(str::as_bytes), Some(b"value"), &[]));
    batch.build().expect("a small batch")
}

#[tokio::test]
async fn a_refusal_names_the_records_at_fault() {
    let cluster = Cluster::start(1).await;
    let leader = cluster.create_topic("named", 1, &[("cleanup.policy", "compact")]).await;
    let connection = cluster.connect(leader.node).await;
    for codec in [Compression::None, Compression::Lz4] {
        let faulty = keyed(codec, &[Some("a"), None, Some("b"), None]);
        let refused = produce(&connection, leader.topic_id, faulty, -1).await;
        assert_eq!((refused.error_code, refused.base_offset), (ErrorCode::INVALID_RECORD, -1));
        let named: Vec<i32> = refused.record_errors.iter().map(|error| error.batch_index).collect();
        assert_eq!((named, refused.log_start_offset), (vec![1, 3], 0));
        assert!(refused.record_errors.iter().all(|error| error.batch_index_error_message.is_some()));
        assert!(refused.error_message.is_some());
    }
    let stored = produce(&connection, leader.topic_id, keyed(Compression::Lz4, &[Some("a")]), -1).await;
    assert_eq!((stored.error_code, stored.base_offset), (ErrorCode::NONE, 0), "nothing of them is in the log");

    let configs = [("message.timestamp.before.max.ms", "1000")];
    let leader = cluster.create_topic("old", 1, &configs).await;
    let mut batch = BatchBuilder::default();
    [0, 0, 100_000, 0, 100_000, 0].iter().for_each(|age| batch.append(now_ms() - age, None, Some(b"x"), &[]));
    let refused = produce(&connection, leader.topic_id, batch.build().expect("a small batch"), -1).await;
    let named: Vec<i32> = refused.record_errors.iter().map(|error| error.batch_index).collect();
    assert_eq!((refused.error_code, named), (ErrorCode::INVALID_TIMESTAMP, vec![2, 4]));
}

#[tokio::test]
async fn where_the_log_starts_is_told_as_kafka_does() {
    let cluster = Cluster::start(1).await;
    let leader = cluster.create_topic("starts", 1, &[("max.message.bytes", "200")]).await;
    let connection = cluster.connect(leader.node).await;
    let mut corrupt = BytesMut::from(&batch("x")[..]);
    corrupt[20] ^= 1;
    let table = [
        (corrupt.freeze(), ErrorCode::CORRUPT_MESSAGE, -1),
        (batch(&"x".repeat(300)), ErrorCode::MESSAGE_TOO_LARGE, -1),
        (batch("a").iter().chain(&batch("b")).copied().collect(), ErrorCode::INVALID_RECORD, -1),
        (keyed(Compression::None, &[None; 3]), ErrorCode::NONE, 0),
    ];
    for (records, code, log_start) in table {
        let answer = produce(&connection, leader.topic_id, records, -1).await;
        assert_eq!((answer.error_code, answer.log_start_offset), (code, log_start));
    }
}

#[tokio::test]
async fn an_old_request_may_not_bring_zstd() {
    let cluster = Cluster::start(1).await;
    let leader = cluster.create_topic("zstd", 1, &[]).await;
    let connection = cluster.connect(leader.node).await;
    for (version, code) in [
        (3, ErrorCode::UNSUPPORTED_COMPRESSION_TYPE),
        (6, ErrorCode::UNSUPPORTED_COMPRESSION_TYPE),
        (7, ErrorCode::NONE),
    ] {
        let mut request = produce_request(leader.topic_id, keyed(Compression::Zstd, &[None]), -1);
        request.topic_data[0].name = "zstd".into();
        let answer = connection.send_at_most(&request, version).await.expect("an answer");
        assert_eq!(answer.responses[0].partition_responses[0].error_code, code, "version {version}");
    }
}

#[tokio::test]
async fn a_topics_codec_is_what_its_batches_are_stored_with() {
    let cluster = Cluster::start(1).await;
    let leader = cluster.create_topic("recompressed", 1, &[("compression.type", "zstd")]).await;
    let connection = cluster.connect(leader.node).await;
    let sent = keyed(Compression::Gzip, &[Some("a"); 20]);
    assert_eq!(produce(&connection, leader.topic_id, sent, -1).await.error_code, ErrorCode::NONE);
    let read = fetch(&connection, leader.topic_id, 0, 0).await.records.expect("records");
    let header = BatchHeader::parse(&read).expect("a batch");
    assert_eq!((header.attributes.compression(), header.record_count), (Ok(Compression::Zstd), 20));
}

/// Small as it is sent, and long to read.
fn inflated(codec: Compression, len: usize) -> Bytes {
    let mut batch = BatchBuilder::new(codec);
    batch.append(now_ms(), None, Some(&vec![0; len]), &[]);
    batch.build().expect("a small batch")
}

#[tokio::test]
async fn a_batch_that_takes_long_to_read_holds_up_its_partition_alone() {
    let cluster = Cluster::start(1).await;
    let large = cluster.create_topic("long-to-read", 1, &[]).await;
    let other = cluster.create_topic("another", 1, &[]).await;
    let (connection, elsewhere) = (cluster.connect(1).await, cluster.connect(1).await);
    let start = |records| {
        let sent = connection.start(&produce_request(large.topic_id, records, -1)).expect("is sent");
        async { sent.await.expect("an answer").responses[0].partition_responses[0].clone() }
    };
    let long = start(inflated(Compression::Gzip, 16 << 20));
    let behind = [batch("behind"), inflated(Compression::Gzip, 3 << 20), batch("last")].map(start);
    let meanwhile = async {
        for _ in 0..5 {
            let answer = produce(&elsewhere, other.topic_id, batch("x"), -1).await;
            assert_eq!(answer.error_code, ErrorCode::NONE);
        }
    };
    tokio::pin!(long);
    tokio::select! {
        biased;
        _ = &mut long => panic!("the others waited for it"),
        () = meanwhile => {}
    }
    assert_eq!(long.await.base_offset, 0);
    for (offset, answer) in (1..).zip(behind) {
        assert_eq!(answer.await.base_offset, offset, "what came behind stays behind");
    }
}

#[tokio::test]
async fn what_waits_to_be_read_is_answered_when_its_partition_goes() {
    let cluster = Cluster::start(1).await;
    let leader = cluster.create_topic("going", 1, &[]).await;
    let connection = cluster.connect(leader.node).await;
    let sent = connection.start(&produce_request(leader.topic_id, inflated(Compression::Gzip, 16 << 20), -1));
    let request = DeleteTopicsRequest {
        topics: vec![DeleteTopicState { name: Some("going".into()), ..DeleteTopicState::default() }],
        timeout_ms: 5000,
        ..DeleteTopicsRequest::default()
    };
    let deleted = cluster.connect(leader.node).await.send(&request).await.expect("an answer");
    assert_eq!(deleted.responses[0].error_code, ErrorCode::NONE);
    let answer = tokio::time::timeout(DEADLINE, sent.expect("is sent")).await.expect("in time").expect("an answer");
    let code = answer.responses[0].partition_responses[0].error_code;
    let known = [ErrorCode::NONE, ErrorCode::NOT_LEADER_OR_FOLLOWER, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION];
    assert!(known.contains(&code), "{code:?}");
}
