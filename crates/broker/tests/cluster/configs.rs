//! Configs and what they do to a running broker.

use tidelog_client::{ConnectOptions, Connection};
use tidelog_metadata::ConfigResourceType;
use tidelog_wire::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use tidelog_wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use tidelog_wire::messages::{ApiVersionsRequest, DeleteRecordsRequest, IncrementalAlterConfigsRequest};
use tidelog_wire::{ErrorCode, Str};
use tokio::time::{Instant, sleep};

use crate::harness::{Cluster, DEADLINE, keyed_batch, produce};

/// Sets a config of broker 1 while it runs.
async fn set(connection: &Connection, name: &'static str, value: &'static str) {
    let config = AlterableConfig { name: Str::from(name), config_operation: 0, value: Some(Str::from(value)) };
    let resource = AlterConfigsResource {
        resource_type: ConfigResourceType::Broker.code(),
        resource_name: Str::from("1"),
        configs: vec![config],
    };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    let response = connection.send(&request).await.expect("an answer");
    assert_eq!(response.responses[0].error_code, ErrorCode::NONE, "{:?}", response.responses[0].error_message);
}

async fn is_served(cluster: &Cluster) -> bool {
    let address = cluster.address(1);
    let options = ConnectOptions::default();
    let Ok(connection) = Connection::connect(&address.ip().to_string(), address.port(), &options).await else {
        return false;
    };
    connection.send(&ApiVersionsRequest::default()).await.is_ok()
}

#[tokio::test]
async fn a_limit_of_connections_counts_as_soon_as_it_is_changed() {
    let cluster = Cluster::start(1).await;
    let kept = cluster.connect(1).await;
    for (limit, served) in [("1", false), ("2147483647", true)] {
        set(&kept, "max.connections.per.ip", limit).await;
        let deadline = Instant::now() + DEADLINE;
        while is_served(&cluster).await != served {
            assert!(Instant::now() < deadline, "with max.connections.per.ip={limit}");
            sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

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
