//! What one request may cost: counts that cannot be dodged, work that grows with the request and no faster.

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use support::*;
use tidelog_metadata::config::Resolver;
use tidelog_metadata::*;
use tidelog_wire::messages::alter_configs_request as alter;
use tidelog_wire::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use tidelog_wire::messages::create_partitions_request::CreatePartitionsTopic;
use tidelog_wire::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use tidelog_wire::messages::delete_topics_request::DeleteTopicState;
use tidelog_wire::messages::elect_leaders_request::TopicPartitions;
use tidelog_wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use tidelog_wire::messages::*;
use tidelog_wire::types::BrokerId;
use tidelog_wire::{ErrorCode, Str};

const MANY: usize = 20_000;
/// Far more than a second's work in a debug build on a busy machine; what grows with the square takes minutes.
const DEADLINE: Duration = Duration::from_secs(20);

fn named(name: String, num_partitions: i32) -> CreatableTopic {
    CreatableTopic { name: Str::from(name), num_partitions, replication_factor: -1, ..CreatableTopic::default() }
}

fn creating(topics: Vec<CreatableTopic>, origin: CreateOrigin) -> Request {
    Request::CreateTopics { request: CreateTopicsRequest { topics, ..Default::default() }, origin }
}

/// How many topics got which answer.
fn outcomes(response: &Response) -> BTreeMap<ErrorCode, usize> {
    let Response::CreateTopics(response) = response else { panic!("{response:?}") };
    let mut outcomes = BTreeMap::new();
    response.topics.iter().for_each(|topic| *outcomes.entry(topic.error_code).or_default() += 1);
    outcomes
}

#[test]
fn topics_with_the_default_number_of_partitions_count() {
    let mut cluster = Cluster::running(3);
    cluster.static_configs = [("num.partitions", "3")].into_iter().collect();
    let topics = (0..MANY).map(|number| named(format!("t{number}"), -1)).collect();
    let outcomes = outcomes(&cluster.ask(creating(topics, CreateOrigin::Admin)));
    assert_eq!(outcomes, [(ErrorCode::NONE, 3_333), (ErrorCode::POLICY_VIOLATION, MANY - 3_333)].into());
}

#[test]
fn topics_that_cannot_be_created_count_too() {
    let mut cluster = Cluster::running(1);
    let topics = (0..MANY).map(|number| named(format!("t{number}"), 0)).collect();
    let outcomes = outcomes(&cluster.ask(creating(topics, CreateOrigin::Admin)));
    assert_eq!(outcomes.len(), 2, "{outcomes:?}");
    assert!(outcomes[&ErrorCode::INVALID_PARTITIONS] <= 10_000, "{outcomes:?}");
}

#[test]
fn topics_created_by_asking_for_them_come_a_part_at_a_time() {
    let mut cluster = Cluster::running(3);
    let topics: Vec<_> = (0..2_500).map(|number| named(format!("t{number}"), -1)).collect();
    let first = outcomes(&cluster.ask(creating(topics.clone(), CreateOrigin::Broker)));
    assert_eq!(first, [(ErrorCode::NONE, 1_000), (ErrorCode::THROTTLING_QUOTA_EXCEEDED, 1_500)].into());
    let unknown = topics.into_iter().filter(|topic| cluster.image.topic_id(&topic.name).is_none()).collect();
    let second = outcomes(&cluster.ask(creating(unknown, CreateOrigin::Broker)));
    assert_eq!(second, [(ErrorCode::NONE, 1_000), (ErrorCode::THROTTLING_QUOTA_EXCEEDED, 500)].into());
}

#[test]
fn partitions_are_added_up_to_a_bound_for_each_request() {
    let mut cluster = Cluster::running(1);
    for name in ["a", "b", "c"] {
        assert_eq!(cluster.create(topic(name, 1, 1, &[]), CreateOrigin::Admin), ErrorCode::NONE);
    }
    let grown = |name| CreatePartitionsTopic { name: Str::from(name), count: 6_001, assignments: None };
    let request = CreatePartitionsRequest { topics: ["a", "b", "c"].map(grown).into(), ..Default::default() };
    let Response::CreatePartitions(response) = cluster.ask(Request::CreatePartitions(request)) else { panic!() };
    let codes: Vec<_> = response.results.iter().map(|result| result.error_code).collect();
    let throttled = ErrorCode::THROTTLING_QUOTA_EXCEEDED;
    assert_eq!(codes, [ErrorCode::NONE, throttled, throttled], "the rest is to be asked for again");
}

#[test]
fn what_a_request_writes_is_bounded_in_bytes() {
    let mut cluster = Cluster::running(1);
    let value = Str::from(vec!["0:1"; 8_000].join(","));
    let config =
        CreatableTopicConfig { name: Str::from("leader.replication.throttled.replicas"), value: Some(value.clone()) };
    let topics =
        (0..1_000).map(|number| CreatableTopic { configs: vec![config.clone()], ..named(format!("t{number}"), 1) });
    let response = cluster.ask(creating(topics.collect(), CreateOrigin::Admin));
    let outcomes = outcomes(&response);
    let created = outcomes[&ErrorCode::NONE];
    assert_eq!(outcomes[&ErrorCode::THROTTLING_QUOTA_EXCEEDED], 1_000 - created);
    assert!((10..1_000).contains(&created) && created * value.len() < 5 << 20, "{created} topics");
}

#[test]
fn the_configs_of_created_topics_are_told_up_to_a_bound() {
    let mut cluster = Cluster::running(1);
    let topics = (0..2_000).map(|number| named(format!("t{number}"), 1)).collect();
    let Response::CreateTopics(mut response) = cluster.ask(creating(topics, CreateOrigin::Admin)) else { panic!() };
    let (image, static_configs) = (&cluster.image, &cluster.static_configs);
    describe_created(&mut response, &Resolver { image, broker_id: BrokerId::NONE, static_configs });
    let told = response.topics.iter().filter(|topic| topic.topic_config_error_code == ErrorCode::NONE);
    let configs: usize = told.clone().map(|topic| topic.configs.as_ref().map_or(0, Vec::len)).sum();
    assert!((100..2_000).contains(&told.count()) && configs < 50_000, "{configs} configs");
    assert!(response.topics.iter().all(|topic| topic.configs.is_some()), "Java's client reads the list");
}

#[test]
fn a_resource_named_twice_is_refused_both_times_in_either_request() {
    let mut cluster = Cluster::running(1);
    let config = || alter::AlterableConfig { name: Str::from("min.insync.replicas"), value: Some(Str::from("1")) };
    let resource = || alter::AlterConfigsResource {
        resource_type: ConfigResourceType::Broker.code(),
        resource_name: Str::default(),
        configs: vec![config()],
    };
    let request = AlterConfigsRequest { resources: vec![resource(), resource()], ..Default::default() };
    let Response::AlterConfigs(response) = cluster.ask(Request::AlterConfigs(request)) else { panic!() };
    assert!(response.responses.iter().all(|answer| answer.error_code == ErrorCode::INVALID_REQUEST));
}

#[test]
fn a_broker_keeps_names_that_nobody_knows_up_to_a_bound() {
    let mut cluster = Cluster::running(1);
    let config = |number| AlterableConfig {
        name: Str::from(format!("plugin.{number}")),
        config_operation: 0,
        value: Some(Str::from("1")),
    };
    let mut set = |numbers: std::ops::Range<i32>| {
        let configs = numbers.map(config).collect();
        let resource_type = ConfigResourceType::Broker.code();
        let resource = AlterConfigsResource { resource_type, resource_name: Str::default(), configs };
        let request = IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
        match cluster.ask(Request::IncrementalAlterConfigs(request)) {
            Response::IncrementalAlterConfigs(response) => response.responses[0].error_code,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(set(0..1_000), ErrorCode::NONE);
    assert_eq!(set(500..1_000), ErrorCode::NONE, "nothing new");
    assert_eq!(set(999..1_001), ErrorCode::POLICY_VIOLATION);
}

/// As many elements as named, all of the same name or all of different ones.
fn requests_of(names: &[Str]) -> Vec<Request> {
    let topic_type = ConfigResourceType::Topic.code();
    let set = |name: &Str| AlterableConfig { name: name.clone(), config_operation: 0, value: Some(name.clone()) };
    let resource = |kind, name: &Str, configs: &[&Str]| AlterConfigsResource {
        resource_type: kind,
        resource_name: name.clone(),
        configs: configs.iter().copied().map(set).collect(),
    };
    let broker = resource(ConfigResourceType::Broker.code(), &Str::default(), &names.iter().collect::<Vec<_>>());
    let replaced = |name: &Str| alter::AlterConfigsResource {
        resource_type: topic_type,
        resource_name: name.clone(),
        configs: Vec::new(),
    };
    let state = |name: &Str| DeleteTopicState { name: Some(name.clone()), ..Default::default() };
    let grown = |name: &Str| CreatePartitionsTopic { name: name.clone(), count: 2, assignments: None };
    let elected = |name: &Str| TopicPartitions { topic: name.clone(), partitions: vec![0, 0] };
    let partition = ReassignablePartition { partition_index: 0, replicas: Some(vec![1]) };
    let moved = |name: &Str| ReassignableTopic { name: name.clone(), partitions: vec![partition.clone()] };
    let incremental = |resources| IncrementalAlterConfigsRequest { resources, ..Default::default() };
    vec![
        creating(names.iter().map(|name| named(name.to_string(), 1)).collect(), CreateOrigin::Admin),
        creating(names.iter().map(|name| named(name.to_string(), -1)).collect(), CreateOrigin::Broker),
        Request::DeleteTopics(DeleteTopicsRequest { topics: names.iter().map(state).collect(), ..Default::default() }),
        Request::CreatePartitions(CreatePartitionsRequest {
            topics: names.iter().map(grown).collect(),
            ..Default::default()
        }),
        Request::IncrementalAlterConfigs(incremental(
            names.iter().map(|name| resource(topic_type, name, &[])).collect(),
        )),
        Request::IncrementalAlterConfigs(incremental(vec![broker])),
        Request::AlterConfigs(AlterConfigsRequest {
            resources: names.iter().map(replaced).collect(),
            ..Default::default()
        }),
        Request::ElectLeaders(ElectLeadersRequest {
            topic_partitions: Some(names.iter().map(elected).collect()),
            ..Default::default()
        }),
        Request::AlterPartitionReassignments(AlterPartitionReassignmentsRequest {
            topics: names.iter().map(moved).collect(),
            ..Default::default()
        }),
    ]
}

#[test]
fn thousands_of_equal_known_and_unknown_elements_cost_what_they_are() {
    let mut cluster = Cluster::running(1);
    let known = |number| Str::from(format!("names.that.look.the.same.in.metrics.{number:05}"));
    let topics = (0..10_000).map(|number| named(known(number).to_string(), 1)).collect();
    assert_eq!(outcomes(&cluster.ask(creating(topics, CreateOrigin::Admin)))[&ErrorCode::NONE], 10_000);
    let alike = |number| Str::from(format!("names_that_look_the_same_in_metrics_{number:05}"));
    let equal: Vec<Str> = vec![known(0); MANY];
    for names in [equal, (0..MANY).map(known).collect(), (0..MANY).map(alike).collect()] {
        for request in requests_of(&names) {
            let what = format!("{request:.0?}").split(['(', ' ']).next().unwrap_or_default().to_owned();
            let mut seed = 1_u64 << 32;
            let mut random = || {
                seed += 1;
                seed
            };
            let mut context =
                Context { static_configs: &cluster.static_configs, has_live_session: &|_| true, random: &mut random };
            let began = Instant::now();
            let decided = Round::new(&cluster.image).decide(&request, &mut context);
            assert!(decided.is_ok() && began.elapsed() < DEADLINE, "{what} took {:?}", began.elapsed());
        }
    }
}
