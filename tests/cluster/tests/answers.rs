//! Null or empty: what the nullable fields of answers hold. Clients tell one from the other: an error message that is empty
//! is shown as one, a list that is null is not looked into. `TIDELOG_TEST_TARGET=kafka` holds the table itself against Kafka.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use tidelog_client::{ConnectOptions, Connection};
use tidelog_cluster_tests::{Spec, scenario};
use tidelog_wire::messages::*;
use tidelog_wire::{ErrorCode, Request, Str, Uuid};

const TOPIC: Str = Str::from_static("asked");
const GONE: Str = Str::from_static("nowhere");
const GROUP: Str = Str::from_static("askers");
const TOPIC_RESOURCE: i8 = 2;
/// In place of a field's name: Kafka says nothing there.
const UNEXPLAINED: &str = "";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shape {
    Null,
    Empty,
    Filled,
}

use Shape::{Empty, Filled, Null};

fn text(value: &Option<Str>) -> Shape {
    shape(value.as_ref().map(|text| text.is_empty()))
}

fn list<T>(value: &Option<Vec<T>>) -> Shape {
    shape(value.as_ref().map(Vec::is_empty))
}

fn bytes(value: &Option<Bytes>) -> Shape {
    shape(value.as_ref().map(|bytes| bytes.is_empty()))
}

fn shape(is_empty: Option<bool>) -> Shape {
    match is_empty {
        None => Null,
        Some(true) => Empty,
        Some(false) => Filled,
    }
}

/// The one broker, and what it was seen to answer.
struct Asked {
    connection: Connection,
    seen: BTreeSet<(&'static str, Shape)>,
}

impl Asked {
    async fn ask<R: Request>(&self, request: R) -> Result<R::Response> {
        self.connection.send(&request).await.with_context(|| format!("{}", R::KEY))
    }

    async fn at<R: Request>(&self, version: i16, request: R) -> Result<R::Response> {
        self.connection.send_at_most(&request, version).await.with_context(|| format!("{} v{version}", R::KEY))
    }

    fn saw(&mut self, field: &'static str, shape: Shape) {
        if field != UNEXPLAINED {
            self.seen.insert((field, shape));
        }
    }

    /// A field of a success (`error_code` NONE) and of a refusal.
    fn saw_message(&mut self, fields: [&'static str; 2], error_code: ErrorCode, message: &Option<Str>) {
        self.saw(if error_code.is_none() { fields[0] } else { fields[1] }, text(message));
    }
}

/// Refusals for which Kafka gives no reason are left out: a reason does no harm.
const EXPECTED: &[(&str, Shape)] = &[
    ("AlterConfigs error_message", Null),
    ("AlterConfigs error_message, refused", Filled),
    ("AlterPartitionReassignments error_message", Null),
    ("AlterPartitionReassignments partition error_message", Null),
    ("AlterPartitionReassignments partition error_message, refused", Filled),
    ("ConsumerGroupDescribe error_message", Null),
    ("ConsumerGroupDescribe error_message, refused", Filled),
    ("ConsumerGroupDescribe instance_id", Null),
    ("ConsumerGroupDescribe rack_id", Null),
    ("ConsumerGroupDescribe subscribed_topic_regex", Empty),
    ("ConsumerGroupHeartbeat assignment, joining", Filled),
    ("ConsumerGroupHeartbeat assignment, no news", Null),
    ("ConsumerGroupHeartbeat assignment, refused", Null),
    ("ConsumerGroupHeartbeat error_message", Null),
    ("ConsumerGroupHeartbeat error_message, refused", Filled),
    ("ConsumerGroupHeartbeat member_id", Filled),
    ("ConsumerGroupHeartbeat member_id, refused", Null),
    ("CreatePartitions error_message", Null),
    ("CreateTopics configs", Filled),
    ("CreateTopics configs, refused", Empty),
    ("CreateTopics error_message", Null),
    ("CreateTopics error_message, refused", Filled),
    ("DeleteTopics error_message", Null),
    ("DeleteTopics error_message, refused", Filled),
    ("DeleteTopics name", Filled),
    ("DeleteTopics name, unknown id", Null),
    ("DescribeCluster brokers rack", Null),
    ("DescribeCluster error_message", Null),
    ("DescribeCluster error_message, refused", Filled),
    ("DescribeConfigs documentation", Filled),
    ("DescribeConfigs documentation, not asked for", Null),
    ("DescribeConfigs error_message", Empty),
    ("DescribeConfigs value", Filled),
    ("DescribeGroups error_message", Null),
    ("DescribeGroups error_message, refused", Filled),
    ("DescribeGroups group_instance_id", Null),
    ("DescribeQuorum error_message", Empty),
    ("DescribeQuorum partition error_message", Empty),
    ("DescribeQuorum partition error_message, refused", Filled),
    ("DescribeTopicPartitions eligible_leader_replicas", Empty),
    ("DescribeTopicPartitions last_known_elr", Empty),
    ("DescribeTopicPartitions name", Filled),
    ("DescribeTopicPartitions next_cursor", Null),
    ("ElectLeaders error_message, not needed", Filled),
    ("ElectLeaders error_message, refused", Filled),
    ("Fetch aborted_transactions, committed", Empty),
    ("Fetch aborted_transactions, committed and out of range", Null),
    ("Fetch aborted_transactions, out of range", Null),
    ("Fetch aborted_transactions, uncommitted", Null),
    ("Fetch records", Filled),
    ("Fetch records at the end", Empty),
    ("Fetch records, out of range", Empty),
    ("FindCoordinator error_message", Empty),
    ("IncrementalAlterConfigs error_message", Null),
    ("IncrementalAlterConfigs error_message, refused", Filled),
    ("JoinGroup group_instance_id", Null),
    ("JoinGroup protocol_name", Filled),
    ("JoinGroup protocol_name, refused", Null),
    ("JoinGroup protocol_type", Filled),
    ("JoinGroup protocol_type, refused", Null),
    ("LeaveGroup group_instance_id", Null),
    ("ListPartitionReassignments error_message", Null),
    ("Metadata brokers rack", Null),
    ("Metadata cluster_id", Filled),
    ("Metadata topic name", Filled),
    ("Metadata topic name, unknown id", Null),
    ("OffsetFetch metadata", Empty),
    ("OffsetFetch metadata, no commit", Empty),
    ("Produce error_message", Null),
    ("Produce error_message, refused", Filled),
    ("SyncGroup protocol_name", Filled),
    ("SyncGroup protocol_name, refused", Null),
    ("SyncGroup protocol_type", Filled),
    ("SyncGroup protocol_type, refused", Null),
    ("UnregisterBroker error_message, refused", Filled),
];

#[test]
fn nullable_fields_are_null_where_kafkas_are() {
    scenario(Spec::brokers(1).set("group.initial.rebalance.delay.ms", "0"), |cluster| {
        cluster.create_topic(&TOPIC, 1)?;
        // Once its coordinator has loaded.
        cluster.committed_offsets(&GROUP, &TOPIC, 1)?;
        blocking(&cluster.address(1), async |asked| {
            data(asked).await?;
            topics(asked).await?;
            configs(asked).await?;
            cluster_wide(asked).await?;
            classic_group(asked).await?;
            consumer_group(asked).await?;
            offsets(asked).await?;
            let expected: BTreeSet<_> = EXPECTED.iter().copied().collect();
            let differences: Vec<_> = asked.seen.symmetric_difference(&expected).collect();
            ensure!(differences.is_empty(), "either seen or expected: {differences:#?}");
            Ok(())
        })
    });
}

async fn topic_id(asked: &Asked) -> Result<Uuid> {
    let named = metadata_request::MetadataRequestTopic { name: Some(TOPIC), ..Default::default() };
    let answer = asked.ask(MetadataRequest { topics: Some(vec![named]), ..Default::default() }).await?;
    Ok(answer.topics.first().context("the topic")?.topic_id)
}

async fn data(asked: &mut Asked) -> Result<()> {
    use fetch_request::{FetchPartition, FetchTopic};
    use produce_request::{PartitionProduceData, TopicProduceData};
    let topic_id = topic_id(asked).await?;
    let mut batch = tidelog_wire::record::BatchBuilder::new(tidelog_wire::compression::Compression::None);
    batch.append(1, None, Some(b"value"), &[]);
    for records in
        [batch.build()?, Bytes::from_static(b"no batch at all, but a few bytes that are long enough to have a header")]
    {
        let partition_data = vec![PartitionProduceData { index: 0, records: Some(records) }];
        let topic_data = vec![TopicProduceData { topic_id, partition_data, ..Default::default() }];
        let produced =
            asked.ask(ProduceRequest { acks: -1, timeout_ms: 5_000, topic_data, ..Default::default() }).await?;
        let produced = &produced.responses[0].partition_responses[0];
        let fields = ["Produce error_message", "Produce error_message, refused"];
        asked.saw_message(fields, produced.error_code, &produced.error_message);
    }
    for (isolation_level, offset, aborted, records) in [
        (0, 0, "Fetch aborted_transactions, uncommitted", "Fetch records"),
        (1, 0, "Fetch aborted_transactions, committed", "Fetch records"),
        (0, 1, "Fetch aborted_transactions, uncommitted", "Fetch records at the end"),
        (0, 9, "Fetch aborted_transactions, out of range", "Fetch records, out of range"),
        (1, 9, "Fetch aborted_transactions, committed and out of range", "Fetch records, out of range"),
    ] {
        let partitions =
            vec![FetchPartition { fetch_offset: offset, partition_max_bytes: 1 << 20, ..Default::default() }];
        let topics = vec![FetchTopic { topic_id, partitions, ..Default::default() }];
        let request = FetchRequest { isolation_level, topics, replica_id: -1, ..Default::default() };
        let fetched = asked.ask(request).await?;
        let fetched = &fetched.responses[0].partitions[0];
        asked.saw(aborted, list(&fetched.aborted_transactions));
        asked.saw(records, bytes(&fetched.records));
    }
    Ok(())
}

async fn topics(asked: &mut Asked) -> Result<()> {
    use create_topics_request::CreatableTopic;
    use delete_topics_request::DeleteTopicState;
    let made = |name: Str| CreatableTopic { name, num_partitions: 1, replication_factor: 1, ..Default::default() };
    let topics = vec![made(Str::from_static("made")), made(TOPIC)];
    let created = asked.ask(CreateTopicsRequest { topics, timeout_ms: 5_000, ..Default::default() }).await?;
    for topic in &created.topics {
        let fields = ["CreateTopics error_message", "CreateTopics error_message, refused"];
        asked.saw_message(fields, topic.error_code, &topic.error_message);
        let configs = if topic.error_code.is_none() { "CreateTopics configs" } else { "CreateTopics configs, refused" };
        asked.saw(configs, list(&topic.configs));
    }
    let more = |name: Str| create_partitions_request::CreatePartitionsTopic { name, count: 2, assignments: None };
    let topics = vec![more(Str::from_static("made")), more(GONE)];
    let grown = asked.ask(CreatePartitionsRequest { topics, timeout_ms: 5_000, ..Default::default() }).await?;
    for topic in &grown.results {
        let fields = ["CreatePartitions error_message", UNEXPLAINED];
        asked.saw_message(fields, topic.error_code, &topic.error_message);
    }
    let named = |name| metadata_request::MetadataRequestTopic { name: Some(name), ..Default::default() };
    let unknown = metadata_request::MetadataRequestTopic { topic_id: Uuid([7; 16]), ..Default::default() };
    for (topic, field) in [(named(TOPIC), "Metadata topic name"), (unknown, "Metadata topic name, unknown id")] {
        let metadata = asked.ask(MetadataRequest { topics: Some(vec![topic]), ..Default::default() }).await?;
        asked.saw("Metadata cluster_id", text(&metadata.cluster_id));
        asked.saw("Metadata brokers rack", text(&metadata.brokers[0].rack));
        asked.saw(field, text(&metadata.topics[0].name));
    }
    let topics = [TOPIC, GONE].map(|name| describe_topic_partitions_request::TopicRequest { name }).to_vec();
    let described =
        asked.ask(DescribeTopicPartitionsRequest { topics, response_partition_limit: 100, cursor: None }).await?;
    asked.saw("DescribeTopicPartitions next_cursor", shape(described.next_cursor.as_ref().map(|_| false)));
    for topic in &described.topics {
        asked.saw("DescribeTopicPartitions name", text(&topic.name));
        for partition in &topic.partitions {
            asked.saw("DescribeTopicPartitions eligible_leader_replicas", list(&partition.eligible_leader_replicas));
            asked.saw("DescribeTopicPartitions last_known_elr", list(&partition.last_known_elr));
        }
    }
    let by_name = |name| DeleteTopicState { name: Some(name), ..Default::default() };
    let by_id = DeleteTopicState { name: None, topic_id: Uuid([7; 16]) };
    let topics = vec![by_name(Str::from_static("made")), by_name(GONE), by_id];
    let deleted = asked.ask(DeleteTopicsRequest { topics, timeout_ms: 5_000, ..Default::default() }).await?;
    for topic in &deleted.responses {
        let fields = ["DeleteTopics error_message", "DeleteTopics error_message, refused"];
        asked.saw_message(fields, topic.error_code, &topic.error_message);
        let by_id = topic.error_code == ErrorCode::UNKNOWN_TOPIC_ID;
        asked.saw(if by_id { "DeleteTopics name, unknown id" } else { "DeleteTopics name" }, text(&topic.name));
    }
    Ok(())
}

async fn configs(asked: &mut Asked) -> Result<()> {
    let resource = |resource_name| describe_configs_request::DescribeConfigsResource {
        resource_type: TOPIC_RESOURCE,
        resource_name,
        configuration_keys: None,
    };
    for (include_documentation, documentation) in
        [(false, "DescribeConfigs documentation, not asked for"), (true, "DescribeConfigs documentation")]
    {
        let resources = vec![resource(TOPIC), resource(GONE)];
        let request = DescribeConfigsRequest { resources, include_documentation, ..Default::default() };
        for result in &asked.ask(request).await?.results {
            let fields = ["DescribeConfigs error_message", UNEXPLAINED];
            asked.saw_message(fields, result.error_code, &result.error_message);
            if let Some(config) = result.configs.iter().find(|config| config.name.as_str() == "cleanup.policy") {
                asked.saw(documentation, text(&config.documentation));
                asked.saw("DescribeConfigs value", text(&config.value));
            }
        }
    }
    use incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
    let config = AlterableConfig { name: "retention.ms".into(), config_operation: 0, value: Some("1000".into()) };
    let resource = |resource_name| AlterConfigsResource {
        resource_type: TOPIC_RESOURCE,
        resource_name,
        configs: vec![config.clone()],
    };
    let resources = vec![resource(TOPIC), resource(GONE)];
    let altered = asked.ask(IncrementalAlterConfigsRequest { resources, validate_only: false }).await?;
    for result in &altered.responses {
        let fields = ["IncrementalAlterConfigs error_message", "IncrementalAlterConfigs error_message, refused"];
        asked.saw_message(fields, result.error_code, &result.error_message);
    }
    let resource = |resource_name| alter_configs_request::AlterConfigsResource {
        resource_type: TOPIC_RESOURCE,
        resource_name,
        configs: Vec::new(),
    };
    let resources = vec![resource(TOPIC), resource(GONE)];
    let altered = asked.ask(AlterConfigsRequest { resources, validate_only: false }).await?;
    for result in &altered.responses {
        let fields = ["AlterConfigs error_message", "AlterConfigs error_message, refused"];
        asked.saw_message(fields, result.error_code, &result.error_message);
    }
    Ok(())
}

async fn cluster_wide(asked: &mut Asked) -> Result<()> {
    use alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
    let elected = |topic| elect_leaders_request::TopicPartitions { topic, partitions: vec![0] };
    let topic_partitions = Some(vec![elected(TOPIC), elected(GONE)]);
    let elected = asked.ask(ElectLeadersRequest { election_type: 0, topic_partitions, timeout_ms: 5_000 }).await?;
    for topic in &elected.replica_election_results {
        let unknown = topic.topic == GONE;
        let field =
            if unknown { "ElectLeaders error_message, refused" } else { "ElectLeaders error_message, not needed" };
        asked.saw(field, text(&topic.partition_result[0].error_message));
    }
    let topic = |name| ReassignableTopic {
        name,
        partitions: vec![ReassignablePartition { partition_index: 0, replicas: Some(vec![1]) }],
    };
    let topics = vec![topic(TOPIC), topic(GONE)];
    let moved = asked.ask(AlterPartitionReassignmentsRequest { topics, ..Default::default() }).await?;
    asked.saw("AlterPartitionReassignments error_message", text(&moved.error_message));
    for partition in moved.responses.iter().flat_map(|topic| &topic.partitions) {
        let fields = [
            "AlterPartitionReassignments partition error_message",
            "AlterPartitionReassignments partition error_message, refused",
        ];
        asked.saw_message(fields, partition.error_code, &partition.error_message);
    }
    let moves = asked.ask(ListPartitionReassignmentsRequest { topics: None, ..Default::default() }).await?;
    asked.saw("ListPartitionReassignments error_message", text(&moves.error_message));
    for topic in ["__cluster_metadata", "nowhere"] {
        let partitions = vec![describe_quorum_request::PartitionData { partition_index: 0 }];
        let topics = vec![describe_quorum_request::TopicData { topic_name: Str::from_static(topic), partitions }];
        let described = asked.ask(DescribeQuorumRequest { topics }).await?;
        asked.saw("DescribeQuorum error_message", text(&described.error_message));
        for partition in described.topics.iter().flat_map(|topic| &topic.partitions) {
            let fields = ["DescribeQuorum partition error_message", "DescribeQuorum partition error_message, refused"];
            asked.saw_message(fields, partition.error_code, &partition.error_message);
        }
    }
    for endpoint_type in [1, 2] {
        let described = asked.ask(DescribeClusterRequest { endpoint_type, ..Default::default() }).await?;
        let fields = ["DescribeCluster error_message", "DescribeCluster error_message, refused"];
        asked.saw_message(fields, described.error_code, &described.error_message);
        described.brokers.iter().for_each(|broker| asked.saw("DescribeCluster brokers rack", text(&broker.rack)));
    }
    let refused = asked.ask(UnregisterBrokerRequest { broker_id: 77 }).await?;
    ensure!(refused.error_code.is_error());
    asked.saw("UnregisterBroker error_message, refused", text(&refused.error_message));
    Ok(())
}

async fn classic_group(asked: &mut Asked) -> Result<()> {
    let request = FindCoordinatorRequest { coordinator_keys: vec![GROUP], ..FindCoordinatorRequest::default() };
    let found = asked.ask(request).await?;
    asked.saw("FindCoordinator error_message", text(&found.coordinators[0].error_message));
    let protocol = join_group_request::JoinGroupRequestProtocol { name: "range".into(), metadata: Bytes::new() };
    let join = |member_id: Str| JoinGroupRequest {
        group_id: GROUP,
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        member_id,
        protocol_type: "consumer".into(),
        protocols: vec![protocol.clone()],
        ..JoinGroupRequest::default()
    };
    let sync = |member_id: Str, generation_id| SyncGroupRequest {
        group_id: GROUP,
        generation_id,
        member_id,
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        ..SyncGroupRequest::default()
    };
    let named = asked.ask(join(Str::default())).await?;
    ensure!(named.error_code == ErrorCode::MEMBER_ID_REQUIRED, "{:?}", named.error_code);
    let joined = asked.ask(join(named.member_id.clone())).await?;
    ensure!(joined.error_code.is_none(), "{:?}", joined.error_code);
    for (answer, [r#type, name]) in [
        (&named, ["JoinGroup protocol_type, refused", "JoinGroup protocol_name, refused"]),
        (
            &asked.ask(join("nobody".into())).await?,
            ["JoinGroup protocol_type, refused", "JoinGroup protocol_name, refused"],
        ),
        (&joined, ["JoinGroup protocol_type", "JoinGroup protocol_name"]),
    ] {
        asked.saw(r#type, text(&answer.protocol_type));
        asked.saw(name, text(&answer.protocol_name));
        answer
            .members
            .iter()
            .for_each(|member| asked.saw("JoinGroup group_instance_id", text(&member.group_instance_id)));
    }
    for (member_id, [r#type, name]) in [
        (joined.member_id.clone(), ["SyncGroup protocol_type", "SyncGroup protocol_name"]),
        ("nobody".into(), ["SyncGroup protocol_type, refused", "SyncGroup protocol_name, refused"]),
    ] {
        let synced = asked.ask(sync(member_id, joined.generation_id)).await?;
        asked.saw(r#type, text(&synced.protocol_type));
        asked.saw(name, text(&synced.protocol_name));
    }
    let groups = vec![GROUP, "no-group".into()];
    let described = asked.ask(DescribeGroupsRequest { groups, ..Default::default() }).await?;
    for group in &described.groups {
        let fields = ["DescribeGroups error_message", "DescribeGroups error_message, refused"];
        asked.saw_message(fields, group.error_code, &group.error_message);
        group.members.iter().for_each(|m| asked.saw("DescribeGroups group_instance_id", text(&m.group_instance_id)));
    }
    let leaving = |member_id: Str| leave_group_request::MemberIdentity { member_id, ..Default::default() };
    let members = vec![leaving(joined.member_id), leaving("nobody".into())];
    let left = asked.ask(LeaveGroupRequest { group_id: GROUP, members, ..Default::default() }).await?;
    left.members.iter().for_each(|member| asked.saw("LeaveGroup group_instance_id", text(&member.group_instance_id)));
    Ok(())
}

async fn consumer_group(asked: &mut Asked) -> Result<()> {
    const NEW: Str = Str::from_static("consumers");
    let beat = |member_epoch| ConsumerGroupHeartbeatRequest {
        group_id: NEW,
        member_id: "a-member".into(),
        member_epoch,
        rebalance_timeout_ms: 10_000,
        subscribed_topic_names: Some(vec![TOPIC]),
        topic_partitions: Some(Vec::new()),
        ..ConsumerGroupHeartbeatRequest::default()
    };
    let joined = asked.ask(beat(0)).await?;
    ensure!(joined.error_code.is_none(), "{:?} {:?}", joined.error_code, joined.error_message);
    let quiet = ConsumerGroupHeartbeatRequest {
        rebalance_timeout_ms: -1,
        subscribed_topic_names: None,
        topic_partitions: None,
        ..beat(joined.member_epoch)
    };
    for (answer, field) in [
        (joined, "ConsumerGroupHeartbeat assignment, joining"),
        (asked.ask(quiet).await?, "ConsumerGroupHeartbeat assignment, no news"),
    ] {
        asked.saw("ConsumerGroupHeartbeat error_message", text(&answer.error_message));
        asked.saw("ConsumerGroupHeartbeat member_id", text(&answer.member_id));
        asked.saw(field, shape(answer.assignment.map(|assignment| assignment.topic_partitions.is_empty())));
    }
    let fenced = asked.ask(beat(99)).await?;
    ensure!(fenced.error_code.is_error());
    asked.saw("ConsumerGroupHeartbeat error_message, refused", text(&fenced.error_message));
    asked.saw("ConsumerGroupHeartbeat member_id, refused", text(&fenced.member_id));
    asked.saw(
        "ConsumerGroupHeartbeat assignment, refused",
        shape(fenced.assignment.map(|assignment| assignment.topic_partitions.is_empty())),
    );
    let group_ids = vec![NEW, "no-group".into()];
    let described = asked.ask(ConsumerGroupDescribeRequest { group_ids, ..Default::default() }).await?;
    for group in &described.groups {
        let fields = ["ConsumerGroupDescribe error_message", "ConsumerGroupDescribe error_message, refused"];
        asked.saw_message(fields, group.error_code, &group.error_message);
        for member in &group.members {
            asked.saw("ConsumerGroupDescribe instance_id", text(&member.instance_id));
            asked.saw("ConsumerGroupDescribe rack_id", text(&member.rack_id));
            asked.saw("ConsumerGroupDescribe subscribed_topic_regex", text(&member.subscribed_topic_regex));
        }
    }
    Ok(())
}

async fn offsets(asked: &mut Asked) -> Result<()> {
    use offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
    use offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
    const LONELY: Str = Str::from_static("lonely");
    let partitions =
        vec![OffsetCommitRequestPartition { committed_offset: 1, committed_metadata: None, ..Default::default() }];
    let topics = vec![OffsetCommitRequestTopic { name: TOPIC, partitions, ..Default::default() }];
    let commit =
        OffsetCommitRequest { group_id: LONELY, generation_id_or_member_epoch: -1, topics, ..Default::default() };
    let committed = asked.at(9, commit).await?;
    ensure!(committed.topics[0].partitions[0].error_code.is_none());
    let topics = vec![OffsetFetchRequestTopics { name: TOPIC, partition_indexes: vec![0, 1], ..Default::default() }];
    let group = OffsetFetchRequestGroup { group_id: LONELY, topics: Some(topics), ..Default::default() };
    let fetched = asked.at(9, OffsetFetchRequest { groups: vec![group], ..Default::default() }).await?;
    for partition in &fetched.groups[0].topics[0].partitions {
        let field =
            if partition.committed_offset < 0 { "OffsetFetch metadata, no commit" } else { "OffsetFetch metadata" };
        asked.saw(field, text(&partition.metadata));
    }
    Ok(())
}

/// Kafka's codes for the operations that a resource of each type knows, as a bit field (KIP-430).
fn operations(codes: &[u8]) -> i32 {
    codes.iter().fold(0, |bits, code| bits | 1 << code)
}

#[test]
fn authorized_operations_are_those_that_kafka_knows() {
    scenario(Spec::brokers(1), |cluster| {
        cluster.create_topic(&TOPIC, 1)?;
        // Once its coordinator has loaded.
        cluster.committed_offsets(&GROUP, &TOPIC, 1)?;
        let (topic, cluster_wide) = (operations(&[3, 4, 5, 6, 7, 8, 10, 11]), operations(&[5, 7, 8, 9, 10, 11, 12]));
        let group = operations(&[3, 6, 8, 10, 11]);
        blocking(&cluster.address(1), async |asked| {
            let named = metadata_request::MetadataRequestTopic { name: Some(TOPIC), ..Default::default() };
            for version in 0..=13 {
                let request = MetadataRequest {
                    topics: Some(vec![named.clone()]),
                    include_cluster_authorized_operations: (8..=10).contains(&version),
                    include_topic_authorized_operations: version >= 8,
                    ..Default::default()
                };
                let answer = asked.at(version, request).await?;
                let expected = if (8..=10).contains(&version) { cluster_wide } else { i32::MIN };
                ensure!(answer.cluster_authorized_operations == expected, "Metadata v{version}: {answer:?}");
                let expected = if version >= 8 { topic } else { i32::MIN };
                ensure!(answer.topics[0].topic_authorized_operations == expected, "Metadata v{version}: {answer:?}");
            }
            for (include_cluster_authorized_operations, expected) in [(true, cluster_wide), (false, i32::MIN)] {
                let request = DescribeClusterRequest {
                    endpoint_type: 1,
                    include_cluster_authorized_operations,
                    ..Default::default()
                };
                let answer = asked.ask(request).await?;
                ensure!(answer.cluster_authorized_operations == expected, "{answer:?}");
            }
            let topics = vec![describe_topic_partitions_request::TopicRequest { name: TOPIC }];
            let request = DescribeTopicPartitionsRequest { topics, response_partition_limit: 10, cursor: None };
            let answer = asked.ask(request).await?;
            ensure!(answer.topics[0].topic_authorized_operations == topic, "{answer:?}");
            for (include_authorized_operations, expected) in [(true, group), (false, i32::MIN)] {
                let request = DescribeGroupsRequest { groups: vec![GROUP], include_authorized_operations };
                let answer = asked.at(5, request).await?;
                ensure!(answer.groups[0].authorized_operations == expected, "{answer:?}");
            }
            Ok(())
        })
    });
}

fn blocking(address: &str, body: impl AsyncFnOnce(&mut Asked) -> Result<()>) -> Result<()> {
    let (host, port) = address.split_once(':').context("host:port")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let connection = Connection::connect(host, port.parse()?, &ConnectOptions::default()).await?;
        body(&mut Asked { connection, seen: BTreeSet::new() }).await
    })
}
