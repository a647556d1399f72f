//! Requests that are legal and extreme: each is answered, in Kafka's own format, and no node ends.

use tidelog_controller::SubmitError;
use tidelog_metadata::{CreateOrigin, Request, Response};
use tidelog_wire::messages::alter_configs_request as alter;
use tidelog_wire::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use tidelog_wire::messages::create_partitions_request::CreatePartitionsTopic;
use tidelog_wire::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use tidelog_wire::messages::delete_topics_request::DeleteTopicState;
use tidelog_wire::messages::elect_leaders_request::TopicPartitions;
use tidelog_wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use tidelog_wire::messages::*;
use tidelog_wire::{ErrorCode, Message, Str, Writer};

use super::nodes::{Cluster, Node, active_of};
use super::{create_topic, error_of, serve_as_broker};

const TOPIC: &str = "orders";
/// Kafka's ConfigResource.Type: topic, broker, logger, client metrics, group, and none.
const RESOURCE_TYPES: [i8; 6] = [2, 4, 8, 16, 32, 99];
/// Set, delete, append, subtract, and none.
const OPERATIONS: [i8; 5] = [0, 1, 2, 3, 99];

/// The longest strings there are: plain, of what is escaped when it is quoted, and of more than one byte a character.
fn long_texts() -> [Str; 3] {
    ["x".repeat(32_767), "\u{7f}".repeat(32_767), "€".repeat(10_922)].map(Str::from)
}

fn incremental(resource_type: i8, resource: &Str, config: &Str, config_operation: i8, value: &Str) -> Request {
    let config = AlterableConfig { name: config.clone(), config_operation, value: Some(value.clone()) };
    let resource = AlterConfigsResource { resource_type, resource_name: resource.clone(), configs: vec![config] };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
    Request::IncrementalAlterConfigs(request)
}

fn replacing(resource_type: i8, resource: &Str, config: &Str, value: Option<&Str>) -> Request {
    let config = alter::AlterableConfig { name: config.clone(), value: value.cloned() };
    let resource =
        alter::AlterConfigsResource { resource_type, resource_name: resource.clone(), configs: vec![config] };
    Request::AlterConfigs(AlterConfigsRequest { resources: vec![resource], ..Default::default() })
}

fn creating(name: &Str, config: &Str, value: &Str) -> Request {
    let config = CreatableTopicConfig { name: config.clone(), value: Some(value.clone()) };
    let unset = -1;
    let topic = CreatableTopic {
        name: name.clone(),
        num_partitions: unset,
        replication_factor: unset as i16,
        configs: vec![config],
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], validate_only: true, ..Default::default() };
    Request::CreateTopics { request, origin: CreateOrigin::Admin }
}

/// Every string of every request that clients have the controller decide, set to `text`.
fn requests_with(text: &Str) -> Vec<Request> {
    let (topic, list, number) = (Str::from(TOPIC), Str::from("cleanup.policy"), Str::from("retention.ms"));
    let new = Str::from("new");
    let mut requests = vec![
        creating(text, &number, &number),
        creating(&new, text, &number),
        creating(&new, &number, text),
        creating(&new, &list, text),
        Request::UnregisterBroker(UnregisterBrokerRequest { broker_id: i32::MIN }),
    ];
    let state = DeleteTopicState { name: Some(text.clone()), ..Default::default() };
    requests.push(Request::DeleteTopics(DeleteTopicsRequest { topics: vec![state], ..Default::default() }));
    let grown = CreatePartitionsTopic { name: text.clone(), count: i32::MAX, assignments: None };
    requests.push(Request::CreatePartitions(CreatePartitionsRequest { topics: vec![grown], ..Default::default() }));
    let partitions = TopicPartitions { topic: text.clone(), partitions: vec![0, -1, i32::MAX] };
    let elected = ElectLeadersRequest { topic_partitions: Some(vec![partitions]), ..Default::default() };
    requests.push(Request::ElectLeaders(elected));
    let partitions = vec![ReassignablePartition { partition_index: -1, replicas: Some(vec![-1, i32::MAX]) }];
    let moved = ReassignableTopic { name: text.clone(), partitions };
    let moved = AlterPartitionReassignmentsRequest { topics: vec![moved], ..Default::default() };
    requests.push(Request::AlterPartitionReassignments(moved));
    for kind in RESOURCE_TYPES {
        let name = match kind {
            2 => topic.clone(),
            4 => Str::default(),
            _ => new.clone(),
        };
        for resource in [text, &name] {
            for config in [text, &list, &number, &Str::from("log.cleanup.policy")] {
                for operation in OPERATIONS {
                    requests.push(incremental(kind, resource, config, operation, text));
                }
                requests.push(replacing(kind, resource, config, Some(text)));
                requests.push(replacing(kind, resource, config, None));
            }
        }
    }
    requests
}

/// As the broker would send it to a client.
fn encode(response: &Response) {
    let mut writer = Writer::new();
    let encoded = match response {
        Response::CreateTopics(answer) => answer.encode(&mut writer, 7),
        Response::DeleteTopics(answer) => answer.encode(&mut writer, 6),
        Response::CreatePartitions(answer) => answer.encode(&mut writer, 3),
        Response::IncrementalAlterConfigs(answer) => answer.encode(&mut writer, 1),
        Response::AlterConfigs(answer) => answer.encode(&mut writer, 2),
        Response::ElectLeaders(answer) => answer.encode(&mut writer, 2),
        Response::AlterPartitionReassignments(answer) => answer.encode(&mut writer, 1),
        Response::UnregisterBroker(answer) => answer.encode(&mut writer, 0),
        other => panic!("not an answer to a client: {other:?}"),
    };
    assert_eq!(encoded, Ok(()), "{response:?}");
}

async fn ask(node: &Node, request: Request) {
    let what = format!("{request:.100?}");
    match node.handle.submit(request).await {
        Ok(response) => encode(&response),
        Err(error) => panic!("node {} on {}: {error}", node.id(), &what[..what.len().min(200)]),
    }
}

#[tokio::test]
async fn the_longest_strings_in_every_request_are_answered_and_end_no_node() {
    let mut cluster = Cluster::new(3);
    let nodes = cluster.start_all();
    let _session = serve_as_broker(&nodes[0]).await;
    assert_eq!(error_of(&nodes[0].handle.submit(create_topic(TOPIC)).await.unwrap()), ErrorCode::NONE);
    let active = active_of(&nodes).await;
    let term = nodes[active].handle.status().borrow().term;
    for text in long_texts() {
        for (number, request) in requests_with(&text).into_iter().enumerate() {
            // By turns where the controller is and where it is not.
            ask(&nodes[(active + number % 2) % 3], request).await;
        }
    }
    for node in &nodes {
        assert_eq!(node.handle.status().borrow().failed, None);
    }
    let now = nodes[active].handle.status().borrow().clone();
    assert!(now.is_active && now.term == term, "the controller had to change: {now:?}");
    assert_eq!(error_of(&nodes[0].handle.submit(create_topic("after")).await.unwrap()), ErrorCode::NONE);
}

#[tokio::test]
async fn a_request_that_would_occupy_the_controller_for_long_is_refused_where_it_was_made() {
    let mut cluster = Cluster::new(1);
    let nodes = cluster.start_all();
    active_of(&nodes).await;
    let state = |number| DeleteTopicState { name: Some(Str::from(format!("topic-{number}"))), ..Default::default() };
    let request = DeleteTopicsRequest { topics: (0..100_000).map(state).collect(), ..Default::default() };
    let refused = nodes[0].handle.submit(Request::DeleteTopics(request)).await;
    assert!(matches!(refused, Err(SubmitError::TooLarge { .. })), "{refused:?}");
}
