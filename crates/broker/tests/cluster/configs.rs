//! Configs and what they do to a running broker.

use tidelog_wire::messages::DeleteRecordsRequest;
use tidelog_wire::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use tidelog_wire::{ErrorCode, Str};

use crate::harness::{Cluster, keyed_batch, produce};

async fn delete_records(cluster: &Cluster, topic: &str, offset: i64) -> (ErrorCode, i64) {
    let request = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: Str::from(topic.to_owned()),
            partitions: vec![DeleteRecordsPartition { partition_index: 0, offset }],
        }],
        timeout_ms: 10_000,
    };
    let response = cluster.connect(1).await.send(&request).await.expect("an answer");
    let partition = &response.topics[0].partitions[0];
    (partition.error_code, partition.low_watermark)
}

#[tokio::test]
async fn records_are_not_deleted_against_the_cleanup_policy() {
    let cluster = Cluster::start(1).await;
    for (topic, policy, expected) in [
        ("compacted", "compact", (ErrorCode::POLICY_VIOLATION, -1)),
        ("both", "compact,delete", (ErrorCode::NONE, 1)),
        ("kept", "", (ErrorCode::NONE, 1)),
    ] {
        let leader = cluster.create_topic(topic, 1, &[("cleanup.policy", policy)]).await;
        let connection = cluster.connect(1).await;
        let produced = produce(&connection, leader.topic_id, keyed_batch("key", "value"), -1).await;
        assert_eq!(produced.error_code, ErrorCode::NONE);
        assert_eq!(delete_records(&cluster, topic, 1).await, expected, "cleanup.policy={policy}");
    }
    let internal = delete_records(&cluster, "__consumer_offsets", 0).await;
    assert_eq!(internal, (ErrorCode::INVALID_TOPIC_EXCEPTION, -1));
}
