//! Every kind of record, request and response comes back as it was.

use tidelog_metadata::*;
use tidelog_wire::messages::create_topics_request::CreatableTopic;
use tidelog_wire::messages::create_topics_response::CreatableTopicResult;
use tidelog_wire::messages::*;
use tidelog_wire::types::*;
use tidelog_wire::{ErrorCode, Str, Uuid};

use super::*;

const TOPIC: Uuid = Uuid([7; 16]);
const BROKER: BrokerIdentity = BrokerIdentity { broker_id: BrokerId(3), broker_epoch: BrokerEpoch(12) };
const POSITION: LogPosition = LogPosition { last_epoch: LeaderEpoch(-1), log_end: Offset(99) };

fn partition() -> TopicIdPartition {
    TopicIdPartition { topic_id: TOPIC, partition: PartitionIndex(5) }
}

fn endpoint() -> Endpoint {
    Endpoint { listener: Str::from("SSL"), host: Str::from("host"), port: 9092, security_protocol: 1 }
}

fn report() -> ReplicaReport {
    ReplicaReport { partition: partition(), unclean: true, position: POSITION }
}

fn records() -> Vec<Record> {
    let registration = RegisterBrokerRecord {
        broker_id: BrokerId(3),
        broker_epoch: BrokerEpoch(12),
        incarnation_id: Uuid([1; 16]),
        directory_id: Uuid([2; 16]),
        endpoints: vec![endpoint()],
        rack: Some(Str::from("r")),
        fenced: true,
        stopping: true,
        in_controlled_shutdown: true,
    };
    let change = PartitionChange {
        topic_id: TOPIC,
        partition: PartitionIndex(1),
        isr: Some(vec![]),
        elr: Some(vec![BrokerId(1), BrokerId(2)]),
        leader: Some(BrokerId(-1)),
        leader_recovery: Some(LeaderRecovery::Recovering),
        directories: Some(vec![Uuid([3; 16])]),
        ..PartitionChange::default()
    };
    let whole = RegisteredPartition {
        topic_id: TOPIC,
        partition: PartitionIndex(0),
        replicas: vec![BrokerId(1), BrokerId(2)],
        isr: vec![BrokerId(1)],
        elr: vec![BrokerId(2)],
        last_known_elr: vec![BrokerId(4)],
        adding_replicas: vec![BrokerId(5)],
        removing_replicas: vec![BrokerId(6)],
        original_replicas: vec![BrokerId(6), BrokerId(7)],
        directories: vec![Uuid([9; 16])],
        leader: BrokerId(1),
        leader_recovery: LeaderRecovery::Recovered,
        leader_epoch: LeaderEpoch(8),
        partition_epoch: PartitionEpoch(9),
    };
    vec![
        Record::ClusterId(Str::from("cluster")),
        Record::Node(Node { id: BrokerId(2), is_broker: true, is_controller: false }),
        Record::NextBrokerEpoch(BrokerEpoch(77)),
        Record::RegisterBroker(Box::new(registration.clone())),
        Record::RegisterBroker(Box::new(RegisterBrokerRecord { rack: None, endpoints: vec![], ..registration })),
        Record::UnregisterBroker { broker_id: BrokerId(1), broker_epoch: BrokerEpoch(2) },
        Record::BrokerChange(BrokerChange {
            broker_id: BrokerId(1),
            broker_epoch: BrokerEpoch(2),
            fenced: Some(false),
            stopping: Some(true),
            in_controlled_shutdown: None,
        }),
        Record::ReplicaUnclean { broker_id: BrokerId(1), partition: partition(), position: POSITION },
        Record::ReplicaClean { broker_id: BrokerId(1), partition: partition() },
        Record::Topic { topic_id: TOPIC, name: Str::from("t") },
        Record::RemoveTopic { topic_id: TOPIC },
        Record::Partition(Box::new(whole)),
        Record::PartitionChange(Box::new(change)),
        Record::PartitionChange(Box::default()),
        Record::Config { resource: ConfigResource::topic("t"), name: Str::from("n"), value: Some(Str::from("")) },
        Record::Config { resource: ConfigResource::DEFAULT_BROKER, name: Str::from("n"), value: None },
        Record::ProducerIds { next_producer_id: ProducerId(1000) },
        Record::FeatureLevel { name: Str::from("f"), level: -1 },
    ]
}

fn requests() -> Vec<Request> {
    let registration = BrokerRegistration {
        broker_id: BrokerId(1),
        cluster_id: Some(Str::from("c")),
        incarnation_id: Uuid([1; 16]),
        directory_id: Uuid([2; 16]),
        endpoints: vec![endpoint()],
        rack: None,
        previous_broker_epoch: BrokerEpoch(-1),
        replicas: vec![report()],
        may_lack_logs: true,
    };
    let alteration = PartitionAlteration {
        partition: partition(),
        leader_epoch: LeaderEpoch(1),
        partition_epoch: PartitionEpoch(2),
        new_isr: vec![IsrMember { broker_id: BrokerId(1), broker_epoch: BrokerEpoch(-1) }],
        leader_recovery: LeaderRecovery::Recovering,
    };
    let topic = CreatableTopic { name: Str::from("t"), num_partitions: 3, replication_factor: 2, ..Default::default() };
    let create = CreateTopicsRequest { topics: vec![topic], timeout_ms: 5, validate_only: true };
    vec![
        Request::Bootstrap {
            cluster_id: Str::from("c"),
            nodes: vec![Node { id: BrokerId(1), is_broker: false, is_controller: true }],
            default_configs: vec![(Str::from("a"), Str::from("b"))],
        },
        Request::RegisterBroker(Box::new(registration)),
        Request::UnfenceBroker(BROKER),
        Request::FenceBroker(BROKER),
        Request::DemoteBroker(BROKER),
        Request::ControlledShutdown { broker: BROKER, patience: Patience::Full },
        Request::ControlledShutdown { broker: BROKER, patience: Patience::RunningOnly },
        Request::ControlledShutdown { broker: BROKER, patience: Patience::None },
        Request::AlterPartition(AlterPartition { broker: BROKER, partitions: vec![alteration] }),
        Request::ReportUnclean { broker: BROKER, replicas: vec![report()] },
        Request::ReplicaRecovered { broker: BROKER, partitions: vec![partition()] },
        Request::AllocateProducerIds(BROKER),
        Request::BalanceLeaders,
        Request::CreateTopics { request: create.clone(), origin: CreateOrigin::Broker },
        Request::CreateTopics { request: create, origin: CreateOrigin::Admin },
        Request::DeleteTopics(DeleteTopicsRequest::default()),
        Request::CreatePartitions(CreatePartitionsRequest::default()),
        Request::IncrementalAlterConfigs(IncrementalAlterConfigsRequest::default()),
        Request::AlterConfigs(AlterConfigsRequest::default()),
        Request::ElectLeaders(ElectLeadersRequest::default()),
        Request::UnregisterBroker(UnregisterBrokerRequest::default()),
    ]
}

fn responses() -> Vec<Response> {
    let refused = RequestError::new(ErrorCode::NOT_CONTROLLER, "why");
    let altered = AlteredPartition {
        partition: partition(),
        error_code: ErrorCode::FENCED_LEADER_EPOCH,
        leader: BrokerId(1),
        leader_epoch: LeaderEpoch(2),
        isr: vec![BrokerId(1)],
        leader_recovery: LeaderRecovery::Recovering,
        partition_epoch: PartitionEpoch(3),
    };
    let result = CreatableTopicResult { name: Str::from("t"), error_code: ErrorCode::NONE, ..Default::default() };
    vec![
        Response::Bootstrap(Ok(())),
        Response::RegisterBroker(Ok(BrokerEpoch(9))),
        Response::RegisterBroker(Err(refused.clone())),
        Response::UnfenceBroker(Err(refused.clone())),
        Response::FenceBroker(Ok(())),
        Response::DemoteBroker(Ok(())),
        Response::ControlledShutdown(Ok(ControlledShutdownProgress { ready: true, waiting_partitions: 4 })),
        Response::ControlledShutdown(Err(refused.clone())),
        Response::AlterPartition(Ok(vec![altered])),
        Response::AlterPartition(Err(refused.clone())),
        Response::ReportUnclean(Ok(())),
        Response::ReplicaRecovered(Err(refused.clone())),
        Response::AllocateProducerIds(Ok(ProducerIdBlock { first: ProducerId(1000), len: 1000 })),
        Response::AllocateProducerIds(Err(refused)),
        Response::BalanceLeaders { moved: 3 },
        Response::CreateTopics(CreateTopicsResponse { topics: vec![result], ..Default::default() }),
        Response::DeleteTopics(DeleteTopicsResponse::default()),
        Response::CreatePartitions(CreatePartitionsResponse::default()),
        Response::IncrementalAlterConfigs(IncrementalAlterConfigsResponse::default()),
        Response::AlterConfigs(AlterConfigsResponse::default()),
        Response::ElectLeaders(ElectLeadersResponse::default()),
        Response::UnregisterBroker(UnregisterBrokerResponse::default()),
    ]
}

#[test]
fn every_record_comes_back_as_it_was() {
    for record in records() {
        assert_eq!(record_from_proto(record_to_proto(&record)).as_ref(), Ok(&record));
    }
}

#[test]
fn every_request_comes_back_as_it_was() {
    for request in requests() {
        assert_eq!(request_from_proto(request_to_proto(&request).unwrap()).as_ref(), Ok(&request));
    }
}

#[test]
fn every_response_comes_back_as_it_was() {
    for response in responses() {
        assert_eq!(response_from_proto(response_to_proto(&response).unwrap()).as_ref(), Ok(&response));
    }
}

#[test]
fn a_kind_of_a_later_version_is_an_error_and_not_a_default() {
    let unknown = CodecError::UnknownKind("record");
    assert_eq!(record_from_proto(tidelog_internal_api::metadata::Record { kind: None }), Err(unknown));
}
