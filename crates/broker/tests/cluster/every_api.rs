//! Every advertised API at every advertised version, with an empty and with a typical request: the broker answers, and
//! what it answers can be decoded at that version.

use std::collections::BTreeSet;
use std::fmt::Debug;

use bytes::Bytes;
use tidelog_wire::frame::{decode_response, encode_request, has_version, response_correlation_id};
use tidelog_wire::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use tidelog_wire::messages::alter_replica_log_dirs_request::{AlterReplicaLogDir, AlterReplicaLogDirTopic};
use tidelog_wire::messages::create_partitions_request::CreatePartitionsTopic;
use tidelog_wire::messages::create_topics_request::CreatableTopic;
use tidelog_wire::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use tidelog_wire::messages::describe_configs_request::DescribeConfigsResource;
use tidelog_wire::messages::elect_leaders_request::TopicPartitions;
use tidelog_wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use tidelog_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use tidelog_wire::messages::metadata_request::MetadataRequestTopic;
use tidelog_wire::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use tidelog_wire::messages::*;
use tidelog_wire::{ErrorCode, Request, Str, Uuid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{Cluster, DEADLINE, batch, fetch_request, produce_request};

const TOPIC: Str = Str::from_static("typical");

/// A connection that asks in the version it is told to.
struct Asking {
    stream: TcpStream,
    asked: i32,
    /// What the broker says it serves, and what of it was asked.
    advertised: BTreeSet<(i16, i16)>,
    covered: BTreeSet<(i16, i16)>,
}

impl Asking {
    async fn start(cluster: &Cluster) -> Self {
        let stream = TcpStream::connect(cluster.address(1)).await.expect("the broker accepts");
        let mut asking = Self { stream, asked: 0, advertised: BTreeSet::new(), covered: BTreeSet::new() };
        let served = asking.ask(0, &ApiVersionsRequest::default()).await;
        assert_eq!(served.error_code, ErrorCode::NONE);
        let versions = |api: &api_versions_response::ApiVersion| {
            let key = api.api_key;
            (api.min_version..=api.max_version).map(move |version| (key, version))
        };
        asking.advertised = served.api_keys.iter().flat_map(versions).collect();
        asking
    }

    async fn ask<R: Request + Debug>(&mut self, version: i16, request: &R) -> R::Response {
        self.asked += 1;
        let what = format!("{} v{version}: {request:?}", R::KEY);
        let frame = encode_request(self.asked, Some(&Str::from_static("test")), version, request);
        for chunk in frame.unwrap_or_else(|error| panic!("{what}: {error}")) {
            self.stream.write_all(&chunk).await.expect("is sent");
        }
        let answer = timeout(DEADLINE, self.read_frame()).await.unwrap_or_else(|_| panic!("no answer to {what}"));
        let answer = answer.unwrap_or_else(|error| panic!("disconnected instead of an answer to {what}: {error}"));
        assert_eq!(response_correlation_id(&answer).ok(), Some(self.asked), "{what}");
        let response = decode_response::<R>(answer, version);
        response.unwrap_or_else(|error| panic!("cannot read the answer to {what}: {error}"))
    }

    async fn read_frame(&mut self) -> std::io::Result<Bytes> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).await?;
        let mut frame = vec![0; i32::from_be_bytes(length).unsigned_abs() as usize];
        self.stream.read_exact(&mut frame).await?;
        Ok(Bytes::from(frame))
    }

    /// Asks in every advertised version; an API that is not advertised is left alone.
    async fn everywhere<R: Request + Debug>(&mut self, request: impl Fn(i16) -> R) {
        let key = R::KEY as i16;
        for (_, version) in self.advertised.iter().copied().filter(|(api, _)| *api == key).collect::<Vec<_>>() {
            // Produce 0 to 2 are advertised for old clients' sake, and no message of theirs is known (KAFKA-18659).
            if has_version::<R>(version) {
                self.ask(version, &request(version)).await;
            }
            self.covered.insert((key, version));
        }
    }
}

macro_rules! ask_with_defaults {
    ($asking:ident: $($request:ident),* $(,)?) => { $($asking.everywhere(|_| $request::default()).await;)* };
}

#[tokio::test]
async fn every_version_of_every_api_answers_an_empty_request() {
    let cluster = Cluster::start(1).await;
    let mut asking = Asking::start(&cluster).await;
    // With acks=0, which is the default, there is no answer.
    asking.everywhere(|_| ProduceRequest { acks: 1, ..ProduceRequest::default() }).await;
    ask_with_defaults!(asking:
        FetchRequest, ListOffsetsRequest, MetadataRequest, OffsetCommitRequest, OffsetFetchRequest,
        FindCoordinatorRequest, JoinGroupRequest, HeartbeatRequest, LeaveGroupRequest, SyncGroupRequest,
        DescribeGroupsRequest, ListGroupsRequest, ApiVersionsRequest, CreateTopicsRequest, DeleteTopicsRequest,
        DeleteRecordsRequest, InitProducerIdRequest, OffsetForLeaderEpochRequest, DescribeConfigsRequest,
        AlterConfigsRequest, AlterReplicaLogDirsRequest, DescribeLogDirsRequest, CreatePartitionsRequest,
        DeleteGroupsRequest, ElectLeadersRequest, IncrementalAlterConfigsRequest, AlterPartitionReassignmentsRequest,
        ListPartitionReassignmentsRequest, OffsetDeleteRequest, DescribeQuorumRequest, DescribeClusterRequest,
        UnregisterBrokerRequest, ConsumerGroupHeartbeatRequest, ConsumerGroupDescribeRequest,
        ListConfigResourcesRequest, DescribeTopicPartitionsRequest, DescribeProducersRequest, SaslHandshakeRequest,
    );
    let left_out: Vec<_> = asking.advertised.difference(&asking.covered).collect();
    assert!(left_out.is_empty(), "name these APIs above (key, version): {left_out:?}");
}

#[tokio::test]
async fn every_version_of_every_data_api_answers_a_typical_request() {
    let cluster = Cluster::start(1).await;
    let topic_id = cluster.create_topic(&TOPIC, 1, &[]).await.topic_id;
    let mut asking = Asking::start(&cluster).await;
    asking
        .everywhere(|version| {
            let mut request = produce_request(topic_id, batch("a"), -1);
            let topic = &mut request.topic_data[0];
            by_name_or_id(version < 13, &mut topic.name, &mut topic.topic_id);
            request
        })
        .await;
    asking
        .everywhere(|version| {
            let mut request = fetch_request(topic_id, 0, 1, 0);
            let topic = &mut request.topics[0];
            by_name_or_id(version < 13, &mut topic.topic, &mut topic.topic_id);
            request
        })
        .await;
    let partition = ListOffsetsPartition { timestamp: -1, ..ListOffsetsPartition::default() };
    let topics = vec![ListOffsetsTopic { name: TOPIC, partitions: vec![partition] }];
    asking.everywhere(|_| ListOffsetsRequest { topics: topics.clone(), replica_id: -1, ..Default::default() }).await;
    let named = MetadataRequestTopic { name: Some(TOPIC), ..MetadataRequestTopic::default() };
    asking.everywhere(|_| MetadataRequest { topics: Some(vec![named.clone()]), ..Default::default() }).await;
    let partition = OffsetForLeaderPartition { leader_epoch: 0, ..OffsetForLeaderPartition::default() };
    let topics = vec![OffsetForLeaderTopic { topic: TOPIC, partitions: vec![partition] }];
    asking.everywhere(|_| OffsetForLeaderEpochRequest { topics: topics.clone(), ..Default::default() }).await;
    let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset: 1 }];
    let topics = vec![DeleteRecordsTopic { name: TOPIC, partitions }];
    asking.everywhere(|_| DeleteRecordsRequest { topics: topics.clone(), timeout_ms: 5_000 }).await;
}

/// From some version on topics go by their ids alone.
fn by_name_or_id(by_name: bool, name: &mut Str, topic_id: &mut Uuid) {
    match by_name {
        true => (*name, *topic_id) = (TOPIC, Uuid::ZERO),
        false => *name = Str::default(),
    }
}

#[tokio::test]
async fn every_version_of_every_admin_api_answers_a_typical_request() {
    let cluster = Cluster::start(1).await;
    cluster.create_topic(&TOPIC, 1, &[]).await;
    let mut asking = Asking::start(&cluster).await;
    asking
        .everywhere(|version| CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: Str::from(format!("made-by-v{version}")),
                num_partitions: 1,
                replication_factor: 1,
                ..CreatableTopic::default()
            }],
            timeout_ms: 5_000,
            ..CreateTopicsRequest::default()
        })
        .await;
    let more = |version| CreatePartitionsTopic { name: TOPIC, count: 2 + i32::from(version), assignments: None };
    asking.everywhere(|version| CreatePartitionsRequest { topics: vec![more(version)], ..Default::default() }).await;
    let resource = DescribeConfigsResource { resource_type: 2, resource_name: TOPIC, configuration_keys: None };
    asking.everywhere(|_| DescribeConfigsRequest { resources: vec![resource.clone()], ..Default::default() }).await;
    let config = AlterableConfig { name: "retention.ms".into(), config_operation: 0, value: Some("1000".into()) };
    let resource = AlterConfigsResource { resource_type: 2, resource_name: TOPIC, configs: vec![config] };
    asking
        .everywhere(|_| IncrementalAlterConfigsRequest { resources: vec![resource.clone()], validate_only: false })
        .await;
    for election_type in [0, 1] {
        let partitions = Some(vec![TopicPartitions { topic: TOPIC, partitions: vec![0, 7] }]);
        asking
            .everywhere(|version| ElectLeadersRequest {
                election_type: if version == 0 { 0 } else { election_type },
                topic_partitions: partitions.clone(),
                ..ElectLeadersRequest::default()
            })
            .await;
    }
    let partitions = vec![ReassignablePartition { partition_index: 0, replicas: Some(vec![1]) }];
    let topics = vec![ReassignableTopic { name: TOPIC, partitions }];
    asking.everywhere(|_| AlterPartitionReassignmentsRequest { topics: topics.clone(), ..Default::default() }).await;
    let topics = vec![AlterReplicaLogDirTopic { name: TOPIC, partitions: vec![0] }];
    let dirs = vec![AlterReplicaLogDir { path: "/nowhere".into(), topics }];
    asking.everywhere(|_| AlterReplicaLogDirsRequest { dirs: dirs.clone() }).await;
    asking.everywhere(|_| UnregisterBrokerRequest { broker_id: 1 }).await;
}

/// The errors of a whole request, which some versions have no field for.
#[tokio::test]
async fn every_version_can_say_that_nobody_decides() {
    let mut cluster = Cluster::start(3).await;
    cluster.create_topic(&TOPIC, 1, &[]).await;
    let mut asking = Asking::start(&cluster).await;
    for node_id in [2, 3] {
        cluster.stop_node(node_id).await;
    }
    asking.everywhere(|_| ElectLeadersRequest { topic_partitions: None, ..ElectLeadersRequest::default() }).await;
}
