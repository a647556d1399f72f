//! Coordinators of groups: where they are, what survives them, who may write to their topic.

use std::time::Duration;

use tidelog_client::{ConnectOptions, Connection};
use tidelog_wire::messages::describe_configs_request::DescribeConfigsResource;
use tidelog_wire::messages::describe_configs_response::DescribeConfigsResult;
use tidelog_wire::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use tidelog_wire::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use tidelog_wire::messages::{
    AlterConfigsRequest, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, DescribeConfigsRequest,
    FindCoordinatorRequest, IncrementalAlterConfigsRequest, ListConfigResourcesRequest, OffsetCommitRequest,
    OffsetFetchRequest, alter_configs_request, incremental_alter_configs_request,
};
use tidelog_wire::{ErrorCode, Str, Uuid};
use tokio::time::{Instant, sleep};

use crate::harness::{Cluster, DEADLINE, batch, keyed_batch, produce};

const GROUP: &str = "readers";
const TOPIC: &str = "read";

/// The node that coordinates the group, according to node `asked`.
async fn coordinator(cluster: &Cluster, asked: i32) -> Result<i32, ErrorCode> {
    let request =
        FindCoordinatorRequest { coordinator_keys: vec![Str::from_static(GROUP)], ..FindCoordinatorRequest::default() };
    let response = cluster.connect(asked).await.send(&request).await.expect("an answer");
    match response.coordinators[0].error_code {
        ErrorCode::NONE => Ok(response.coordinators[0].node_id),
        code => Err(code),
    }
}

async fn commit(cluster: &Cluster, node: i32, topic_id: Uuid, offset: i64) -> ErrorCode {
    let partition = OffsetCommitRequestPartition {
        committed_offset: offset,
        committed_metadata: Some(Str::from_static("note")),
        ..OffsetCommitRequestPartition::default()
    };
    let request = OffsetCommitRequest {
        group_id: Str::from_static(GROUP),
        generation_id_or_member_epoch: -1,
        topics: vec![OffsetCommitRequestTopic { topic_id, partitions: vec![partition], ..Default::default() }],
        ..OffsetCommitRequest::default()
    };
    let response = cluster.connect(node).await.send(&request).await.expect("an answer");
    response.topics[0].partitions[0].error_code
}

async fn committed(cluster: &Cluster, node: i32, topic_id: Uuid) -> Result<i64, ErrorCode> {
    let topic = OffsetFetchRequestTopics { topic_id, partition_indexes: vec![0], ..Default::default() };
    let group = OffsetFetchRequestGroup {
        group_id: Str::from_static(GROUP),
        topics: Some(vec![topic]),
        ..OffsetFetchRequestGroup::default()
    };
    let request = OffsetFetchRequest { groups: vec![group], ..OffsetFetchRequest::default() };
    let response = cluster.connect(node).await.send(&request).await.expect("an answer");
    match response.groups[0].error_code {
        ErrorCode::NONE => Ok(response.groups[0].topics[0].partitions[0].committed_offset),
        code => Err(code),
    }
}

/// Asks until a coordinator answers.
async fn committed_wherever(cluster: &Cluster, topic_id: Uuid) -> i64 {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let asked = *cluster.nodes.keys().next().expect("a node");
        if let Ok(node) = coordinator(cluster, asked).await
            && cluster.nodes.contains_key(&node)
            && let Ok(offset) = committed(cluster, node, topic_id).await
        {
            return offset;
        }
        assert!(Instant::now() < deadline, "no coordinator in time");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_commit_is_known_to_every_later_coordinator() {
    let mut cluster = Cluster::start(3).await;
    let topic_id = cluster.create_topic(TOPIC, 3, &[]).await.topic_id;
    let first = coordinator(&cluster, 1).await.expect("the first question makes the topic");
    assert_eq!(coordinator(&cluster, 2).await, Ok(first));
    assert_eq!(commit(&cluster, first, topic_id, 7).await, ErrorCode::NONE);
    assert_eq!(committed(&cluster, first, topic_id).await, Ok(7));

    cluster.stop_node(first).await;
    assert_eq!(committed_wherever(&cluster, topic_id).await, 7);
}

#[tokio::test]
async fn a_broker_that_does_not_coordinate_says_so() {
    let cluster = Cluster::start(2).await;
    let topic_id = cluster.create_topic(TOPIC, 2, &[]).await.topic_id;
    let node = coordinator(&cluster, 1).await.expect("a coordinator");
    let other = 3 - node;
    assert_eq!(commit(&cluster, other, topic_id, 7).await, ErrorCode::NOT_COORDINATOR);
    assert_eq!(committed(&cluster, other, topic_id).await, Err(ErrorCode::NOT_COORDINATOR));
}

#[tokio::test]
async fn only_administration_tools_write_to_the_offsets_topic() {
    let cluster = Cluster::start(1).await;
    coordinator(&cluster, 1).await.expect("a coordinator");
    let topic_id = cluster.leader_where("__consumer_offsets", |leader| leader.isr == 1).await.topic_id;
    let client = cluster.connect(1).await;
    let refused = produce(&client, topic_id, keyed_batch("x", "y"), -1).await;
    assert_eq!(refused.error_code, ErrorCode::INVALID_TOPIC_EXCEPTION);

    let options = ConnectOptions { client_id: Str::from_static("__admin_client"), ..ConnectOptions::default() };
    let address = cluster.address(1);
    let admin = Connection::connect(&address.ip().to_string(), address.port(), &options).await.expect("accepted");
    assert_eq!(produce(&admin, topic_id, keyed_batch("x", "y"), -1).await.error_code, ErrorCode::NONE);
    // The topic is compacted.
    assert_eq!(produce(&admin, topic_id, batch("y"), -1).await.error_code, ErrorCode::INVALID_RECORD);
}

#[tokio::test]
async fn each_key_of_what_is_not_coordinated_is_refused_for_good_and_with_a_reason() {
    let cluster = Cluster::start(1).await;
    let client = cluster.connect(1).await;
    let table = [(1, "transactions"), (2, "share groups"), (3, "no such type")];
    for (key_type, reason) in table {
        for version in 1..=6 {
            // All that librdkafka takes for final, which asks in v2 at most.
            let is_old_transaction = key_type == 1 && version < 3;
            let expected = match is_old_transaction {
                true => ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
                false => ErrorCode::INVALID_REQUEST,
            };
            let (key, other) = (Str::from_static("one"), Str::from_static("two"));
            let is_batched = version >= 4;
            let request = FindCoordinatorRequest {
                key_type,
                key: if is_batched { Str::default() } else { key.clone() },
                coordinator_keys: if is_batched { vec![key, other] } else { Vec::new() },
            };
            let response = client.send_at_most(&request, version).await.expect("an answer");
            let first = (response.error_code, response.error_message.clone(), response.node_id);
            let answers: Vec<_> = match is_batched {
                false => vec![first],
                true => {
                    let each = response.coordinators.into_iter();
                    each.map(|found| (found.error_code, found.error_message, found.node_id)).collect()
                }
            };
            assert_eq!(answers.len(), if is_batched { 2 } else { 1 });
            for (code, message, node_id) in answers {
                assert_eq!((code, node_id), (expected, -1), "{key_type} in version {version}");
                assert!(!code.is_retriable() && message.is_some_and(|message| message.contains(reason)));
            }
        }
    }
}

const GROUP_RESOURCE: i8 = 32;
const HEARTBEAT_INTERVAL_MS: &str = "consumer.heartbeat.interval.ms";

/// Sets the group's heartbeat interval, through any node.
async fn set_heartbeat_interval(cluster: &Cluster, value: &'static str) {
    let config = incremental_alter_configs_request::AlterableConfig {
        name: Str::from_static(HEARTBEAT_INTERVAL_MS),
        config_operation: 0,
        value: Some(Str::from_static(value)),
    };
    let resource = incremental_alter_configs_request::AlterConfigsResource {
        resource_type: GROUP_RESOURCE,
        resource_name: Str::from_static(GROUP),
        configs: vec![config],
    };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    let response = cluster.connect(1).await.send(&request).await.expect("an answer");
    assert_eq!(response.responses[0].error_code, ErrorCode::NONE, "{:?}", response.responses[0].error_message);
}

/// Takes everything back that is set for the group, with the older API.
async fn reset_configs(cluster: &Cluster) {
    let resource = alter_configs_request::AlterConfigsResource {
        resource_type: GROUP_RESOURCE,
        resource_name: Str::from_static(GROUP),
        configs: Vec::new(),
    };
    let request = AlterConfigsRequest { resources: vec![resource], validate_only: false };
    let response = cluster.connect(1).await.send(&request).await.expect("an answer");
    assert_eq!(response.responses[0].error_code, ErrorCode::NONE);
}

async fn described(cluster: &Cluster, node: i32, group: &'static str) -> DescribeConfigsResult {
    let resource = DescribeConfigsResource {
        resource_type: GROUP_RESOURCE,
        resource_name: Str::from_static(group),
        configuration_keys: Some(vec![Str::from_static(HEARTBEAT_INTERVAL_MS)]),
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
        ..DescribeConfigsRequest::default()
    };
    let mut response = cluster.connect(node).await.send(&request).await.expect("an answer");
    response.results.remove(0)
}

async fn groups_with_configs(cluster: &Cluster, node: i32) -> Vec<String> {
    let request = ListConfigResourcesRequest { resource_types: vec![GROUP_RESOURCE] };
    let response = cluster.connect(node).await.send(&request).await.expect("an answer");
    response.config_resources.iter().map(|resource| resource.resource_name.to_string()).collect()
}

/// A heartbeat that has nothing to say; with epoch 0 it joins. A coordinator that has just been made may still load, or not
/// know of it yet.
async fn heartbeat(client: &Connection, epoch: i32) -> ConsumerGroupHeartbeatResponse {
    let joining = ConsumerGroupHeartbeatRequest {
        rebalance_timeout_ms: 60_000,
        subscribed_topic_names: Some(vec![Str::from_static(TOPIC)]),
        topic_partitions: Some(Vec::new()),
        ..ConsumerGroupHeartbeatRequest::default()
    };
    let request = ConsumerGroupHeartbeatRequest {
        group_id: Str::from_static(GROUP),
        member_id: Str::from_static("member"),
        member_epoch: epoch,
        ..if epoch == 0 { joining } else { ConsumerGroupHeartbeatRequest::default() }
    };
    let deadline = Instant::now() + DEADLINE;
    loop {
        let response = client.send(&request).await.expect("an answer");
        if !matches!(response.error_code, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS | ErrorCode::NOT_COORDINATOR) {
            assert_eq!(response.error_code, ErrorCode::NONE, "{:?}", response.error_message);
            return response;
        }
        assert!(Instant::now() < deadline, "still loading");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Heartbeats of a member until it is told this interval; it stays what it is all the while.
async fn hears_of(client: &Connection, epoch: i32, interval_ms: i32) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let response = heartbeat(client, epoch).await;
        assert_eq!((response.member_epoch, response.assignment), (epoch, None), "no rebalance follows");
        if response.heartbeat_interval_ms == interval_ms {
            return;
        }
        assert!(Instant::now() < deadline, "still told {}", response.heartbeat_interval_ms);
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_member_is_told_its_groups_heartbeat_interval_without_joining_again() {
    let cluster = Cluster::start(2).await;
    cluster.create_topic(TOPIC, 1, &[]).await;
    let node = coordinator(&cluster, 1).await.expect("a coordinator");
    let member = cluster.connect(node).await;
    let joined = heartbeat(&member, 0).await;
    assert_eq!(joined.heartbeat_interval_ms, 5_000);

    set_heartbeat_interval(&cluster, "7000").await;
    hears_of(&member, joined.member_epoch, 7_000).await;
    let shown = described(&cluster, node, GROUP).await;
    let chain = shown.configs[0].synonyms.iter().map(|it| (it.name.to_string(), it.value.as_deref(), it.source));
    assert_eq!(
        chain.collect::<Vec<_>>(),
        [
            (HEARTBEAT_INTERVAL_MS.to_owned(), Some("7000"), 8),
            ("group.consumer.heartbeat.interval.ms".to_owned(), Some("5000"), 5)
        ]
    );
    assert_eq!(groups_with_configs(&cluster, node).await, [GROUP]);

    reset_configs(&cluster).await;
    hears_of(&member, joined.member_epoch, 5_000).await;
    assert_eq!(groups_with_configs(&cluster, node).await, Vec::<String>::new());
}

#[tokio::test]
async fn configs_of_no_group_are_refused() {
    let cluster = Cluster::start(1).await;
    assert_eq!(described(&cluster, 1, "").await.error_code, ErrorCode::INVALID_REQUEST);
    assert_eq!(described(&cluster, 1, GROUP).await.error_code, ErrorCode::NONE);
}
