//! Topics come, grow and go; where their replicas are put; who leads them.

mod support;

use std::collections::BTreeSet;

use support::*;
use tidelog_metadata::config::Resolver;
use tidelog_metadata::*;
use tidelog_wire::messages::create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};
use tidelog_wire::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
use tidelog_wire::messages::delete_topics_request::DeleteTopicState;
use tidelog_wire::messages::elect_leaders_request::TopicPartitions;
use tidelog_wire::messages::elect_leaders_response::PartitionResult;
use tidelog_wire::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, ElectLeadersRequest,
};
use tidelog_wire::types::*;
use tidelog_wire::{ErrorCode, Str, Uuid};

fn assigned(name: &'static str, partitions: &[(i32, &[i32])]) -> CreatableTopic {
    let assignment = |(partition_index, brokers): &(i32, &[i32])| CreatableReplicaAssignment {
        partition_index: *partition_index,
        broker_ids: brokers.to_vec(),
    };
    CreatableTopic { assignments: partitions.iter().map(assignment).collect(), ..topic(name, -1, -1, &[]) }
}

fn create_all(cluster: &mut Cluster, topics: Vec<CreatableTopic>, validate_only: bool) -> CreateTopicsResponse {
    let request = CreateTopicsRequest { topics, validate_only, ..CreateTopicsRequest::default() };
    match cluster.ask(Request::CreateTopics { request, origin: CreateOrigin::Admin }) {
        Response::CreateTopics(response) => response,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_cannot_be_created_is_refused_with_kafkas_code() {
    let table = [
        (topic("a", 1, 1, &[]), ErrorCode::NONE),
        (topic("a", -1, -1, &[]), ErrorCode::NONE),
        (topic(TOPIC, 1, 1, &[]), ErrorCode::TOPIC_ALREADY_EXISTS),
        (topic("not legal", 1, 1, &[]), ErrorCode::INVALID_TOPIC_EXCEPTION),
        (topic("__cluster_metadata", 1, 1, &[]), ErrorCode::INVALID_TOPIC_EXCEPTION),
        (topic("a", 0, 1, &[]), ErrorCode::INVALID_PARTITIONS),
        (topic("a", -2, 1, &[]), ErrorCode::INVALID_PARTITIONS),
        (topic("a", 10_001, 1, &[]), ErrorCode::POLICY_VIOLATION),
        (topic("a", 1, 0, &[]), ErrorCode::INVALID_REPLICATION_FACTOR),
        (topic("a", 1, 4, &[]), ErrorCode::INVALID_REPLICATION_FACTOR),
        (topic("a", 1, 1, &[("retention.ms", "soon")]), ErrorCode::INVALID_CONFIG),
        (topic("a", 1, 1, &[("retension.ms", "1")]), ErrorCode::INVALID_CONFIG),
        (
            topic("a", 1, 1, &[("min.compaction.lag.ms", "5"), ("max.compaction.lag.ms", "4")]),
            ErrorCode::INVALID_CONFIG,
        ),
        (assigned("a", &[(0, &[1, 2]), (1, &[2, 3])]), ErrorCode::NONE),
        (CreatableTopic { num_partitions: 2, ..assigned("a", &[(0, &[1])]) }, ErrorCode::INVALID_REQUEST),
        (CreatableTopic { replication_factor: 1, ..assigned("a", &[(0, &[1])]) }, ErrorCode::INVALID_REQUEST),
        (assigned("a", &[(1, &[1])]), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (assigned("a", &[(0, &[1]), (0, &[2])]), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (assigned("a", &[(0, &[1, 1])]), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (assigned("a", &[(0, &[9])]), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (assigned("a", &[(0, &[])]), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (assigned("a", &[(0, &[1, 2]), (1, &[3])]), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
    ];
    for (wanted, expected) in table {
        let mut cluster = Cluster::with_topic(3);
        let image = cluster.image.clone();
        assert_eq!(cluster.create(wanted.clone(), CreateOrigin::Admin), expected, "{wanted:?}");
        assert_eq!(cluster.image == image, expected != ErrorCode::NONE, "a refused topic leaves nothing: {wanted:?}");
    }
}

#[test]
fn names_that_metrics_cannot_tell_apart_collide() {
    let mut cluster = Cluster::running(1);
    assert_eq!(cluster.create(topic("a.b_c", 1, 1, &[]), CreateOrigin::Admin), ErrorCode::NONE);
    assert_eq!(cluster.create(topic("a_b.c", 1, 1, &[]), CreateOrigin::Admin), ErrorCode::INVALID_TOPIC_EXCEPTION);
    let names = vec![DeleteTopicState { name: Some(Str::from("a.b_c")), ..Default::default() }];
    cluster.ask(Request::DeleteTopics(DeleteTopicsRequest { topics: names, ..Default::default() }));
    assert_eq!(cluster.create(topic("a_b.c", 1, 1, &[]), CreateOrigin::Admin), ErrorCode::NONE);
}

#[test]
fn one_refused_topic_does_not_refuse_the_others() {
    let mut cluster = Cluster::running(3);
    let topics = vec![topic("a", 2, 3, &[]), topic("b", 1, 9, &[]), topic("c", 1, 1, &[]), topic("c", 2, 1, &[])];
    let mut response = create_all(&mut cluster, topics, false);
    let (image, static_configs) = (&cluster.image, &cluster.static_configs);
    describe_created(&mut response, &Resolver { image, broker_id: BrokerId::NONE, static_configs });
    let codes: Vec<_> = response.topics.iter().map(|result| (result.name.as_str(), result.error_code)).collect();
    let expected =
        [("a", ErrorCode::NONE), ("b", ErrorCode::INVALID_REPLICATION_FACTOR), ("c", ErrorCode::INVALID_REQUEST)];
    assert_eq!(codes, expected);
    assert_eq!(cluster.image.topics().map(|topic| topic.name.as_str()).collect::<Vec<_>>(), ["a"]);
    let created = &response.topics[0];
    assert_eq!((created.num_partitions, created.replication_factor), (2, 3));
    assert_eq!(Some(created.topic_id), cluster.image.topic_id("a"));
    let configs = created.configs.as_ref().expect("described");
    assert!(configs.iter().any(|config| config.name == "min.insync.replicas" && config.value.as_deref() == Some("2")));
}

#[test]
fn validate_only_answers_and_creates_nothing() {
    let mut cluster = Cluster::running(3);
    let response = create_all(&mut cluster, vec![topic("a", 1, 3, &[]), topic("b", 1, 4, &[])], true);
    assert_eq!(response.topics[0].error_code, ErrorCode::NONE);
    assert_eq!(response.topics[0].topic_id, Uuid::ZERO);
    assert_eq!(response.topics[1].error_code, ErrorCode::INVALID_REPLICATION_FACTOR);
    assert_eq!(cluster.image.topic_count(), 0);
}

#[test]
fn a_topic_created_twice_in_a_round_exists_the_second_time() {
    let cluster = Cluster::running(1);
    let mut seed = 1_u64 << 32;
    let mut random = || {
        seed += 1;
        seed
    };
    let mut context =
        Context { static_configs: &cluster.static_configs, has_live_session: &|_| false, random: &mut random };
    let request = CreateTopicsRequest { topics: vec![topic("a", 1, 1, &[])], ..CreateTopicsRequest::default() };
    let request = Request::CreateTopics { request, origin: CreateOrigin::Admin };
    let mut round = Round::new(&cluster.image);
    let codes: Vec<ErrorCode> = (0..2)
        .map(|_| match round.decide(&request, &mut context).expect("decided records fit") {
            Response::CreateTopics(response) => response.topics[0].error_code,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(codes, [ErrorCode::NONE, ErrorCode::TOPIC_ALREADY_EXISTS]);
    assert_eq!(round.records().len(), 2, "the topic and its partition");
}

#[test]
fn the_default_replication_factor_counts_the_brokers_there_are_meant_to_be() {
    for (brokers, expected) in [(1, 1), (2, 2), (3, 3), (5, 3)] {
        let mut cluster = Cluster::running(brokers);
        cluster.create(topic("a", -1, -1, &[]), CreateOrigin::Broker);
        assert_eq!(cluster.image.topic("a").expect("created").replication_factor(), expected, "{brokers} brokers");
    }
}

#[test]
fn on_a_cold_start_a_brokers_topic_waits_for_the_others_and_an_admins_is_refused() {
    let mut cluster = Cluster::founded(3);
    cluster.start(1);
    for replication_factor in [-1, 3, 50] {
        let wanted = topic("a", 1, replication_factor, &[]);
        assert_eq!(cluster.create(wanted, CreateOrigin::Broker), ErrorCode::LEADER_NOT_AVAILABLE);
    }
    let by_admin = cluster.create(topic("a", 1, -1, &[]), CreateOrigin::Admin);
    assert_eq!(by_admin, ErrorCode::INVALID_REPLICATION_FACTOR);
    cluster.start(2);
    cluster.register(3);
    assert_eq!(cluster.create(topic("a", 1, 50, &[]), CreateOrigin::Broker), ErrorCode::NONE);
    let topic = cluster.image.topic("a").expect("created").clone();
    assert_eq!(topic.replication_factor(), 3, "lowered to the brokers there are");
    let (_, partition) = topic.partitions().next().expect("one");
    assert_eq!(partition.isr.len(), 2, "3 is registered, and not up yet");
}

#[test]
fn while_all_brokers_are_fenced_a_brokers_topic_waits() {
    let mut cluster = Cluster::running(1);
    cluster.fence(1);
    assert_eq!(cluster.create(topic("a", 1, 1, &[]), CreateOrigin::Broker), ErrorCode::LEADER_NOT_AVAILABLE);
    assert_eq!(cluster.create(topic("a", 1, 1, &[]), CreateOrigin::Admin), ErrorCode::INVALID_REPLICATION_FACTOR);
}

#[test]
fn static_defaults_of_the_controller_count() {
    let mut cluster = Cluster::running(3);
    cluster.static_configs = [("num.partitions", "4"), ("default.replication.factor", "2")].into_iter().collect();
    cluster.create(topic("a", -1, -1, &[]), CreateOrigin::Admin);
    let created = cluster.image.topic("a").expect("created");
    assert_eq!((created.partition_count(), created.replication_factor()), (4, 2));
}

#[test]
fn replicas_are_spread_over_brokers_and_leaders_evenly() {
    let mut cluster = Cluster::running(3);
    cluster.create(topic(TOPIC, 300, 2, &[]), CreateOrigin::Admin);
    assert!(cluster.leaders(TOPIC).values().all(|leaderships| *leaderships == 100), "{:?}", cluster.leaders(TOPIC));
    for id in 1..=3 {
        let replicas = cluster.image.replica_count(BrokerId(id));
        assert!((150..=250).contains(&replicas), "broker {id} has {replicas} of 600 replicas");
    }
}

#[test]
fn replicas_are_on_as_many_racks_as_there_are() {
    let mut cluster = Cluster::founded(6);
    let rack_of = |id: i32| ["a", "b", "c"][(id as usize - 1) / 2];
    for id in 1..=6 {
        cluster.register_with(id, |registration| registration.rack = Some(Str::from(rack_of(id))));
        cluster.unfence(id);
    }
    cluster.create(topic(TOPIC, 60, 3, &[]), CreateOrigin::Admin);
    cluster.create(topic("wide", 10, 5, &[]), CreateOrigin::Admin);
    assert!(cluster.leaders(TOPIC).values().all(|leaderships| *leaderships == 10), "{:?}", cluster.leaders(TOPIC));
    for name in [TOPIC, "wide"] {
        for (index, partition) in cluster.image.topic(name).expect("created").partitions() {
            let racks: BTreeSet<&str> = partition.replicas.iter().map(|id| rack_of(id.get())).collect();
            assert_eq!(racks.len(), 3, "{name}-{index}: {:?}", partition.replicas);
            let brokers: BTreeSet<_> = partition.replicas.iter().collect();
            assert_eq!(brokers.len(), partition.replicas.len(), "{name}-{index}: {:?}", partition.replicas);
        }
    }
}

#[test]
fn fenced_brokers_get_replicas_only_where_they_must_and_never_lead() {
    let mut cluster = Cluster::running(3);
    cluster.fence(2);
    cluster.create(topic("two", 20, 2, &[]), CreateOrigin::Admin);
    cluster.create(topic("three", 20, 3, &[]), CreateOrigin::Admin);
    for (_, partition) in cluster.image.topic("two").expect("created").partitions() {
        assert!(!partition.replicas.contains(&BrokerId(2)), "{:?}", partition.replicas);
    }
    for (_, partition) in cluster.image.topic("three").expect("created").partitions() {
        assert_ne!(partition.replicas[0], BrokerId(2));
        assert_eq!(partition.isr.len(), 2);
    }
}

#[test]
fn topics_are_deleted_by_name_and_by_id() {
    let mut cluster = Cluster::with_topic(1);
    let id = cluster.image.topic_id(TOPIC).expect("exists");
    let by = |name: Option<&'static str>, topic_id| DeleteTopicState { name: name.map(Str::from), topic_id };
    let table = [
        (by(Some("none"), Uuid::ZERO), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        (by(None, Uuid::from_u128(1234)), ErrorCode::UNKNOWN_TOPIC_ID),
        (by(None, Uuid::ZERO), ErrorCode::INVALID_REQUEST),
        (by(Some(TOPIC), id), ErrorCode::INVALID_REQUEST),
        (by(None, id), ErrorCode::NONE),
    ];
    for (state, expected) in table {
        let request = DeleteTopicsRequest { topics: vec![state.clone()], ..DeleteTopicsRequest::default() };
        match cluster.ask(Request::DeleteTopics(request)) {
            Response::DeleteTopics(response) => assert_eq!(response.responses[0].error_code, expected, "{state:?}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(cluster.image.topic_count(), 0);
    assert_eq!(cluster.image.replica_count(BrokerId(1)), 0);
}

#[test]
fn a_recreated_topic_has_another_id_and_none_of_the_old_configs() {
    let mut cluster = Cluster::running(1);
    cluster.create(topic("a", 1, 1, &[("retention.ms", "1000")]), CreateOrigin::Admin);
    let first = cluster.image.topic_id("a");
    let request = DeleteTopicsRequest { topic_names: vec![Str::from("a")], ..DeleteTopicsRequest::default() };
    cluster.ask(Request::DeleteTopics(request));
    cluster.create(topic("a", 1, 1, &[]), CreateOrigin::Admin);
    assert_ne!(cluster.image.topic_id("a"), first);
    assert_eq!(cluster.image.configs(&ConfigResource::topic("a")).count(), 0);
}

#[test]
fn deletion_can_be_forbidden() {
    let mut cluster = Cluster::with_topic(1);
    cluster.static_configs = [("delete.topic.enable", "false")].into_iter().collect();
    let request = DeleteTopicsRequest { topic_names: vec![Str::from(TOPIC)], ..DeleteTopicsRequest::default() };
    match cluster.ask(Request::DeleteTopics(request)) {
        Response::DeleteTopics(response) => {
            assert_eq!(response.responses[0].error_code, ErrorCode::TOPIC_DELETION_DISABLED);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn partitions_can_be_added_and_never_removed() {
    let brokers = |ids: &[i32]| Some(vec![CreatePartitionsAssignment { broker_ids: ids.to_vec() }]);
    let table = [
        ("none", 2, None, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        (TOPIC, 1, None, ErrorCode::INVALID_PARTITIONS),
        (TOPIC, 0, None, ErrorCode::INVALID_PARTITIONS),
        (TOPIC, -3, None, ErrorCode::INVALID_PARTITIONS),
        (TOPIC, i32::MAX, None, ErrorCode::INVALID_PARTITIONS),
        (TOPIC, 2, brokers(&[1]), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (TOPIC, 3, brokers(&[1, 2]), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (TOPIC, 2, brokers(&[2, 1]), ErrorCode::NONE),
        (TOPIC, 5, None, ErrorCode::NONE),
    ];
    for (name, count, assignments, expected) in table {
        let mut cluster = Cluster::with_topic(2);
        let wanted = CreatePartitionsTopic { name: Str::from(name), count, assignments };
        for validate_only in [true, false] {
            let request = CreatePartitionsRequest { topics: vec![wanted.clone()], validate_only, ..Default::default() };
            match cluster.ask(Request::CreatePartitions(request)) {
                Response::CreatePartitions(response) => {
                    assert_eq!(response.results[0].error_code, expected, "{wanted:?}");
                }
                other => panic!("{other:?}"),
            }
            let present = cluster.image.topic(TOPIC).expect("exists").partition_count() as i32;
            let grown = expected == ErrorCode::NONE && !validate_only;
            assert_eq!(present, if grown { count } else { 1 });
        }
    }
}

#[test]
fn topics_whose_records_are_found_by_the_number_of_partitions_keep_it() {
    let mut cluster = Cluster::running(1);
    let name = "__consumer_offsets";
    cluster.create(topic(name, 4, 1, &[]), CreateOrigin::Broker);
    let wanted = CreatePartitionsTopic { name: Str::from(name), count: 5, assignments: None };
    let request = CreatePartitionsRequest { topics: vec![wanted], ..CreatePartitionsRequest::default() };
    match cluster.ask(Request::CreatePartitions(request)) {
        Response::CreatePartitions(response) => {
            assert_eq!(response.results[0].error_code, ErrorCode::INVALID_PARTITIONS);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(cluster.image.topic(name).expect("exists").partition_count(), 4);
}

fn elect(cluster: &mut Cluster, election_type: i8, partitions: Option<&[i32]>) -> Vec<ErrorCode> {
    let topic_partitions =
        partitions.map(|ids| vec![TopicPartitions { topic: Str::from(TOPIC), partitions: ids.to_vec() }]);
    let request = ElectLeadersRequest { election_type, topic_partitions, ..ElectLeadersRequest::default() };
    match cluster.ask(Request::ElectLeaders(request)) {
        Response::ElectLeaders(response) => {
            let results = response.replica_election_results.iter().flat_map(|topic| &topic.partition_result);
            let has_reason = |result: &&PartitionResult| result.error_message.is_some();
            assert!(
                results.clone().filter(has_reason).all(|result| result.error_code.is_error()),
                "a success has none"
            );
            results.map(|result| result.error_code).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn leaderships_return_to_preferred_replicas_that_are_in_sync() {
    let mut cluster = Cluster::with_topic(3);
    assert_eq!(
        elect(&mut cluster, 0, Some(&[0, 7])),
        [ErrorCode::ELECTION_NOT_NEEDED, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION]
    );
    cluster.fence(1);
    assert_eq!(elect(&mut cluster, 0, Some(&[0])), [ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE]);
    assert_eq!(cluster.ask(Request::BalanceLeaders), Response::BalanceLeaders { moved: 0 });
    cluster.unfence(1);
    cluster.alter_isr(&[1, 2, 3]);
    assert_eq!(cluster.shown(), "leader 2 isr 1,2,3 elr ");
    assert_eq!(elect(&mut cluster, 0, None), [ErrorCode::NONE]);
    assert_eq!(cluster.shown(), "leader 1 isr 1,2,3 elr ");
    assert_eq!(elect(&mut cluster, 0, None), [], "nothing left to do is not mentioned");
}

#[test]
fn the_periodic_check_balances_unless_it_is_switched_off() {
    let mut cluster = Cluster::with_topic(3);
    cluster.fence(1);
    cluster.unfence(1);
    cluster.alter_isr(&[1, 2, 3]);
    cluster.static_configs = [("auto.leader.rebalance.enable", "false")].into_iter().collect();
    assert_eq!(cluster.ask(Request::BalanceLeaders), Response::BalanceLeaders { moved: 0 });
    cluster.static_configs = Default::default();
    assert_eq!(cluster.ask(Request::BalanceLeaders), Response::BalanceLeaders { moved: 1 });
    assert_eq!(cluster.partition().leader, BrokerId(1));
}

#[test]
fn an_unclean_election_by_hand_takes_who_is_there() {
    let mut cluster = Cluster::with_topic(3);
    assert_eq!(elect(&mut cluster, 1, Some(&[0])), [ErrorCode::ELECTION_NOT_NEEDED]);
    for id in [3, 2, 1] {
        cluster.fence(id);
    }
    assert_eq!(elect(&mut cluster, 1, Some(&[0])), [ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE]);
    cluster.unfence(3);
    assert_eq!(elect(&mut cluster, 1, Some(&[0])), [ErrorCode::NONE]);
    assert_eq!(cluster.shown(), "leader 3 isr 3 elr  loss accepted");
}

/// The only replica leads on with damaged records, and refuses to append behind them, until somebody gives them up.
#[test]
fn an_unclean_election_by_hand_accepts_the_loss_of_a_leader_that_recovers_alone() {
    let mut cluster = Cluster::with_topic(1);
    let partition = cluster.id_partition(TOPIC, 0);
    let position = LogPosition { last_epoch: LeaderEpoch(0), log_end: Offset(3) };
    let broker = cluster.identity(1);
    let report = |cluster: &mut Cluster| {
        let replicas = vec![ReplicaReport { partition, unclean: true, position }];
        cluster.ask(Request::ReportUnclean { broker, replicas });
        assert_eq!(cluster.shown(), "leader 1 isr 1 elr  recovering");
    };
    for is_whole_again in [true, false] {
        report(&mut cluster);
        if is_whole_again {
            cluster.ask(Request::ReplicaRecovered { broker, partitions: vec![partition] });
        }
        let epoch = cluster.partition().leader_epoch;
        assert_eq!(elect(&mut cluster, 0, Some(&[0])), [ErrorCode::ELECTION_NOT_NEEDED]);
        assert_eq!(elect(&mut cluster, 1, Some(&[0])), [ErrorCode::NONE]);
        assert_eq!(cluster.shown(), "leader 1 isr 1 elr  loss accepted");
        assert_eq!(cluster.partition().leader_epoch, LeaderEpoch(epoch.0 + 1));
        assert_eq!(elect(&mut cluster, 1, Some(&[0])), [ErrorCode::ELECTION_NOT_NEEDED]);
        cluster.ask(Request::ReplicaRecovered { broker, partitions: vec![partition] });
    }
}
