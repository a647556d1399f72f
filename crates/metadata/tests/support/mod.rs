//! A cluster made of nothing but an image: verbs on numbered brokers, and the invariants checked after each.
#![allow(dead_code)] // each test file uses some of it

mod invariants;

use std::collections::{BTreeMap, BTreeSet};

use tidelog_metadata::config::StaticConfigs;
use tidelog_metadata::*;
use tidelog_wire::messages::AlterPartitionReassignmentsRequest;
use tidelog_wire::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use tidelog_wire::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig};
use tidelog_wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use tidelog_wire::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use tidelog_wire::messages::{CreateTopicsRequest, IncrementalAlterConfigsRequest};
use tidelog_wire::types::*;
use tidelog_wire::{ErrorCode, Str, Uuid};

pub const TOPIC: &str = "orders";

pub struct Cluster {
    pub image: Image,
    pub static_configs: StaticConfigs,
    /// Brokers whose sessions count as live.
    pub live: BTreeSet<BrokerId>,
    /// All that operators were told.
    pub notes: Vec<Note>,
    seed: u64,
    incarnations: u128,
}

impl Cluster {
    /// Founded, with brokers 1 to `count` configured and none registered.
    pub fn founded(count: i32) -> Self {
        let mut cluster = Self {
            image: Image::new(),
            static_configs: StaticConfigs::default(),
            live: BTreeSet::new(),
            notes: Vec::new(),
            seed: 42,
            incarnations: 0,
        };
        let nodes = (1..=count).map(|id| Node { id: BrokerId(id), is_broker: true, is_controller: true });
        let request =
            Request::Bootstrap { cluster_id: Str::from("c"), nodes: nodes.collect(), default_configs: Vec::new() };
        assert_eq!(cluster.ask(request), Response::Bootstrap(Ok(())));
        cluster
    }

    /// Brokers 1 to `count` registered and unfenced.
    pub fn running(count: i32) -> Self {
        let mut cluster = Self::founded(count);
        for id in 1..=count {
            cluster.start(id);
        }
        cluster
    }

    /// Running, with one partition on brokers 1 to `count`, led by 1.
    pub fn with_topic(count: i32) -> Self {
        let mut cluster = Self::running(count);
        let replicas: Vec<i32> = (1..=count).collect();
        cluster.create_assigned(TOPIC, &[&replicas], &[]);
        cluster
    }

    /// Submits a request, applies what it yields, and checks everything that must hold.
    pub fn ask(&mut self, request: Request) -> Response {
        let seed = &mut self.seed;
        let mut random = || next_random(seed);
        let live = &self.live;
        let mut context = Context {
            static_configs: &self.static_configs,
            has_live_session: &|id| live.contains(&id),
            random: &mut random,
        };
        let mut round = Round::new(&self.image);
        let response = round.decide(&request, &mut context).expect("decided records fit");
        let foreseen = round.image().clone();
        let mut after = self.image.clone();
        for record in round.records() {
            after.apply(record).expect("decided records fit");
        }
        assert_eq!(after, foreseen, "applying the records makes what the decision saw");
        invariants::check(&self.image, &after);
        self.notes.extend(round.notes().iter().cloned());
        self.image = after;
        response
    }

    pub fn register_with(&mut self, id: i32, adapt: impl FnOnce(&mut BrokerRegistration)) -> Response {
        self.incarnations += 1;
        let mut registration = BrokerRegistration {
            broker_id: BrokerId(id),
            cluster_id: None,
            incarnation_id: Uuid::from_u128(1000 + self.incarnations),
            directory_id: Uuid::from_u128(500 + u128::from(id.unsigned_abs())),
            endpoints: vec![Endpoint {
                listener: Str::from("PLAINTEXT"),
                host: Str::from("localhost"),
                port: 9092,
                security_protocol: 0,
            }],
            rack: None,
            previous_broker_epoch: BrokerEpoch::NONE,
            may_lack_logs: false,
            replicas: Vec::new(),
        };
        adapt(&mut registration);
        self.ask(Request::RegisterBroker(Box::new(registration)))
    }

    /// A new incarnation with all its data.
    pub fn register(&mut self, id: i32) {
        let response = self.register_with(id, |_| {});
        assert!(matches!(response, Response::RegisterBroker(Ok(_))), "{response:?}");
    }

    /// A new incarnation whose replica of the topic's partition 0 may lack records and ends at `position`.
    pub fn register_unclean(&mut self, id: i32, position: LogPosition) {
        let partition = self.id_partition(TOPIC, 0);
        let report = ReplicaReport { partition, unclean: true, position };
        let response = self.register_with(id, |registration| registration.replicas.push(report));
        assert!(matches!(response, Response::RegisterBroker(Ok(_))), "{response:?}");
    }

    pub fn start(&mut self, id: i32) {
        self.register(id);
        self.unfence(id);
    }

    pub fn fence(&mut self, id: i32) {
        let broker = self.identity(id);
        assert_eq!(self.ask(Request::FenceBroker(broker)), Response::FenceBroker(Ok(())));
    }

    pub fn unfence(&mut self, id: i32) {
        let broker = self.identity(id);
        assert_eq!(self.ask(Request::UnfenceBroker(broker)), Response::UnfenceBroker(Ok(())));
    }

    pub fn shut_down(&mut self, id: i32, patience: Patience) -> ControlledShutdownProgress {
        let broker = self.identity(id);
        match self.ask(Request::ControlledShutdown { broker, patience }) {
            Response::ControlledShutdown(Ok(progress)) => progress,
            other => panic!("{other:?}"),
        }
    }

    pub fn identity(&self, id: i32) -> BrokerIdentity {
        let broker = self.image.broker(BrokerId(id)).expect("registered");
        BrokerIdentity { broker_id: broker.id, broker_epoch: broker.epoch }
    }

    pub fn create(&mut self, topic: CreatableTopic, origin: CreateOrigin) -> ErrorCode {
        let request = CreateTopicsRequest { topics: vec![topic], ..CreateTopicsRequest::default() };
        match self.ask(Request::CreateTopics { request, origin }) {
            Response::CreateTopics(response) => response.topics[0].error_code,
            other => panic!("{other:?}"),
        }
    }

    pub fn create_assigned(
        &mut self,
        name: &'static str,
        partitions: &[&[i32]],
        configs: &[(&'static str, &'static str)],
    ) {
        let assignments = partitions.iter().zip(0..).map(|(replicas, partition_index)| CreatableReplicaAssignment {
            partition_index,
            broker_ids: replicas.to_vec(),
        });
        let topic = CreatableTopic { assignments: assignments.collect(), ..topic(name, -1, -1, configs) };
        assert_eq!(self.create(topic, CreateOrigin::Admin), ErrorCode::NONE);
    }

    pub fn set_config(
        &mut self,
        kind: ConfigResourceType,
        name: &str,
        config: &'static str,
        value: Option<&'static str>,
    ) -> ErrorCode {
        let config = AlterableConfig {
            name: Str::from(config),
            config_operation: if value.is_some() { 0 } else { 1 },
            value: value.map(Str::from),
        };
        self.alter_config(kind, name, config)
    }

    pub fn alter_config(&mut self, kind: ConfigResourceType, name: &str, config: AlterableConfig) -> ErrorCode {
        self.alter_config_answer(kind, name, config).error_code
    }

    pub fn alter_config_answer(
        &mut self,
        kind: ConfigResourceType,
        name: &str,
        config: AlterableConfig,
    ) -> AlterConfigsResourceResponse {
        let resource = AlterConfigsResource {
            resource_type: kind.code(),
            resource_name: Str::from(name.to_owned()),
            configs: vec![config],
        };
        let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
        match self.ask(Request::IncrementalAlterConfigs(request)) {
            Response::IncrementalAlterConfigs(response) => response.responses[0].clone(),
            other => panic!("{other:?}"),
        }
    }

    pub fn id_partition(&self, topic: &str, partition: i32) -> TopicIdPartition {
        TopicIdPartition { topic_id: self.image.topic_id(topic).expect("exists"), partition: PartitionIndex(partition) }
    }

    pub fn partition(&self) -> &Partition {
        self.image.partition(self.id_partition(TOPIC, 0)).expect("exists")
    }

    /// The leader of partition 0 asks for this ISR, as it should.
    pub fn alter_isr(&mut self, isr: &[i32]) -> ErrorCode {
        let alteration = self.alteration(isr);
        self.alter(self.partition().leader.get(), alteration).error_code
    }

    pub fn alteration(&self, isr: &[i32]) -> PartitionAlteration {
        let partition = self.partition();
        let member = |id: &i32| IsrMember { broker_id: BrokerId(*id), broker_epoch: self.identity(*id).broker_epoch };
        PartitionAlteration {
            partition: self.id_partition(TOPIC, 0),
            leader_epoch: partition.leader_epoch,
            partition_epoch: partition.partition_epoch,
            new_isr: isr.iter().map(member).collect(),
            leader_recovery: LeaderRecovery::Recovered,
        }
    }

    pub fn alter(&mut self, leader: i32, alteration: PartitionAlteration) -> AlteredPartition {
        let request = AlterPartition { broker: self.identity(leader), partitions: vec![alteration] };
        match self.ask(Request::AlterPartition(request)) {
            Response::AlterPartition(Ok(mut answers)) => answers.remove(0),
            other => panic!("{other:?}"),
        }
    }

    /// Begins moving the topic's partition 0 to these brokers, or with `None` calls a move off.
    pub fn reassign(&mut self, replicas: Option<&[i32]>) -> ErrorCode {
        self.reassign_partition(TOPIC, 0, replicas)
    }

    pub fn reassign_partition(&mut self, topic: &str, partition_index: i32, replicas: Option<&[i32]>) -> ErrorCode {
        let partition = ReassignablePartition { partition_index, replicas: replicas.map(<[i32]>::to_vec) };
        let topic = ReassignableTopic { name: Str::from(topic.to_owned()), partitions: vec![partition] };
        let request = AlterPartitionReassignmentsRequest { topics: vec![topic], ..Default::default() };
        match self.ask(Request::AlterPartitionReassignments(request)) {
            Response::AlterPartitionReassignments(response) => response.responses[0].partitions[0].error_code,
            other => panic!("{other:?}"),
        }
    }

    /// Partition 0's replicas, with `+` those being added and `-` those being removed.
    pub fn replicas(&self) -> String {
        let Partition { replicas, adding_replicas, removing_replicas, .. } = self.partition();
        let shown = |id: &BrokerId| match (adding_replicas.contains(id), removing_replicas.contains(id)) {
            (true, _) => format!("+{id}"),
            (_, true) => format!("-{id}"),
            (false, false) => id.to_string(),
        };
        replicas.iter().map(shown).collect::<Vec<_>>().join(",")
    }

    /// Partition 0 in one line: leader, ISR, ELR, last known.
    pub fn shown(&self) -> String {
        let Partition { leader, isr, elr, last_known_elr, leader_recovery, .. } = self.partition();
        let list = |members: &[BrokerId]| members.iter().map(|id| id.to_string()).collect::<Vec<_>>().join(",");
        let mut shown = format!("leader {leader} isr {} elr {}", list(isr), list(elr));
        if !last_known_elr.is_empty() {
            shown += &format!(" last known {}", list(last_known_elr));
        }
        shown += match leader_recovery {
            LeaderRecovery::Recovered => "",
            LeaderRecovery::Recovering => " recovering",
            LeaderRecovery::LossAccepted => " loss accepted",
        };
        shown
    }

    pub fn leaders(&self, topic: &str) -> BTreeMap<BrokerId, usize> {
        let mut leaders = BTreeMap::new();
        for (_, partition) in self.image.topic(topic).expect("exists").partitions() {
            *leaders.entry(partition.leader).or_default() += 1;
        }
        leaders
    }
}

pub fn topic(
    name: &'static str,
    partitions: i32,
    replication_factor: i16,
    configs: &[(&'static str, &'static str)],
) -> CreatableTopic {
    CreatableTopic {
        name: Str::from(name),
        num_partitions: partitions,
        replication_factor,
        assignments: Vec::new(),
        configs: configs
            .iter()
            .map(|(name, value)| CreatableTopicConfig { name: Str::from(*name), value: Some(Str::from(*value)) })
            .collect(),
    }
}

pub fn at(last_epoch: i32, log_end: i64) -> LogPosition {
    LogPosition { last_epoch: LeaderEpoch(last_epoch), log_end: Offset(log_end) }
}

/// SplitMix64.
fn next_random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
