//! The controller: the real decisions and the real image of `tidelog-metadata`, for one partition. It is always there and
//! never forgets; what a quorum is for is tested elsewhere. Sessions are simple here: a heartbeat in time, or fenced.

use std::collections::BTreeMap;
use std::rc::Rc;

use tidelog_metadata::config::StaticConfigs;
use tidelog_metadata::{
    AlterPartition, BrokerIdentity, BrokerRegistration, ConfigResourceType, Context, CreateOrigin, Endpoint, IsrMember,
    LeaderRecovery, LogPosition, Node, PartitionAlteration, Patience, ReplicaReport, Request, Response, Round,
    TopicIdPartition,
};
use tidelog_replication::{IsrOutcome, IsrProposal};
use tidelog_wire::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use tidelog_wire::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig};
use tidelog_wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use tidelog_wire::messages::{AlterPartitionReassignmentsRequest, CreateTopicsRequest, IncrementalAlterConfigsRequest};
use tidelog_wire::types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionIndex};
use tidelog_wire::{ErrorCode, Str, Uuid};

pub const SESSION_TIMEOUT_MS: i64 = 1500;
const TOPIC: &str = "simulated";

/// What every node gets to see, in order of `version`.
#[derive(Clone, Debug)]
pub struct Image {
    pub version: u64,
    pub leader: i32,
    pub leader_epoch: i32,
    pub partition_epoch: i32,
    pub replicas: Vec<i32>,
    /// The replicas that a reassignment under way ends with; empty without one.
    pub moving_to: Vec<i32>,
    pub isr: Vec<i32>,
    pub elr: Vec<i32>,
    pub min_isr: usize,
    pub brokers: BTreeMap<i32, Registration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    pub epoch: i64,
    pub active: bool,
    /// Its replica may lack what it once had.
    pub unclean: bool,
}

/// What a starting node says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Introduction {
    pub incarnation: u64,
    pub unclean: bool,
    /// Broker epoch of the incarnation that stopped cleanly before.
    pub stopped_cleanly: Option<i64>,
    /// Last record's epoch and log end.
    pub position: (i32, i64),
}

#[derive(Debug)]
pub struct Controller {
    metadata: tidelog_metadata::Image,
    static_configs: StaticConfigs,
    partition: TopicIdPartition,
    image: Rc<Image>,
    last_heartbeat_ms: BTreeMap<i32, i64>,
    /// The image in which a broker registered or was fenced: it is unfenced once it has applied it.
    fenced_in: BTreeMap<i32, u64>,
    random: u64,
    /// How often a leader was chosen among replicas that may have lost records.
    pub recoveries: usize,
}

impl Controller {
    /// Knows the partition with all replicas in sync, and all brokers from before, fenced.
    pub fn new(brokers: &[i32], replicas: &[i32], min_isr: usize, write_caching: bool) -> Self {
        let partition = TopicIdPartition { topic_id: Uuid::ZERO, partition: PartitionIndex(0) };
        let image = Image {
            version: 0,
            leader: -1,
            leader_epoch: -1,
            partition_epoch: -1,
            replicas: Vec::new(),
            moving_to: Vec::new(),
            isr: Vec::new(),
            elr: Vec::new(),
            min_isr,
            brokers: BTreeMap::new(),
        };
        let mut controller = Self {
            metadata: tidelog_metadata::Image::new(),
            static_configs: StaticConfigs::default(),
            partition,
            image: Rc::new(image),
            last_heartbeat_ms: BTreeMap::new(),
            fenced_in: BTreeMap::new(),
            random: 1,
            recoveries: 0,
        };
        controller.found(brokers, replicas, min_isr, write_caching);
        controller
    }

    fn found(&mut self, brokers: &[i32], replicas: &[i32], min_isr: usize, write_caching: bool) {
        let node = |&id: &i32| Node { id: BrokerId(id), is_broker: true, is_controller: true };
        let nodes = brokers.iter().map(node).collect();
        self.ask(Request::Bootstrap { cluster_id: Str::from("simulation"), nodes, default_configs: Vec::new() });
        let nothing = Introduction { incarnation: 0, unclean: false, stopped_cleanly: None, position: (-1, 0) };
        for &id in brokers {
            let epoch = self.register(id, &nothing, 0).expect("registers");
            self.ask(Request::UnfenceBroker(identity(id, epoch)));
        }
        let config = |name: &'static str, value: String| CreatableTopicConfig {
            name: Str::from(name),
            value: Some(Str::from(value)),
        };
        let assignment = CreatableReplicaAssignment { partition_index: 0, broker_ids: replicas.to_vec() };
        let topic = CreatableTopic {
            name: Str::from(TOPIC),
            num_partitions: -1,
            replication_factor: -1,
            assignments: vec![assignment],
            configs: vec![
                config("min.insync.replicas", min_isr.to_string()),
                config("write.caching", write_caching.to_string()),
            ],
        };
        let request = CreateTopicsRequest { topics: vec![topic], ..CreateTopicsRequest::default() };
        self.ask(Request::CreateTopics { request, origin: CreateOrigin::Admin });
        self.partition.topic_id = self.metadata.topic_id(TOPIC).expect("created");
        self.project();
        for (&id, broker) in &Rc::clone(&self.image).brokers {
            self.ask(Request::FenceBroker(identity(id, broker.epoch)));
        }
    }

    pub fn image(&self) -> &Rc<Image> {
        &self.image
    }

    fn ask(&mut self, request: Request) -> Response {
        let random = &mut self.random;
        let mut next_random = || {
            *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *random
        };
        let mut context =
            Context { static_configs: &self.static_configs, has_live_session: &|_| false, random: &mut next_random };
        let mut round = Round::new(&self.metadata);
        let response = round.decide(&request, &mut context).expect("decided records fit");
        let records = round.records();
        for record in records {
            self.metadata.apply(record).expect("decided records fit");
        }
        if !records.is_empty() {
            self.project();
        }
        response
    }

    /// The next version of what nodes see.
    fn project(&mut self) {
        let Some(partition) = self.metadata.partition(self.partition).cloned() else { return };
        let topic = self.metadata.topic(TOPIC).expect("created");
        let broker = |broker: &tidelog_metadata::Broker| {
            let unclean = broker.unclean.contains_key(&self.partition);
            (broker.id.get(), Registration { epoch: broker.epoch.get(), active: broker.is_active(), unclean })
        };
        if partition.leader_recovery == LeaderRecovery::Recovering {
            self.recoveries += 1;
        }
        self.image = Rc::new(Image {
            version: self.image.version + 1,
            leader: partition.leader.get(),
            leader_epoch: partition.leader_epoch.get(),
            partition_epoch: partition.partition_epoch.get(),
            replicas: partition.replicas.iter().map(|id| id.get()).collect(),
            moving_to: match partition.is_reassigning() {
                true => partition.target_replicas().map(|id| id.get()).collect(),
                false => Vec::new(),
            },
            isr: partition.isr.iter().map(|id| id.get()).collect(),
            elr: partition.elr.iter().map(|id| id.get()).collect(),
            min_isr: self.metadata.min_insync_replicas(topic, &partition),
            brokers: self.metadata.brokers().map(broker).collect(),
        });
    }

    /// `None`: refused, try again.
    pub fn register(&mut self, id: i32, introduction: &Introduction, now_ms: i64) -> Option<i64> {
        let position =
            LogPosition { last_epoch: LeaderEpoch(introduction.position.0), log_end: Offset(introduction.position.1) };
        let report = ReplicaReport { partition: self.partition, unclean: introduction.unclean, position };
        let endpoint = Endpoint {
            listener: Str::from("PLAINTEXT"),
            host: Str::from("localhost"),
            port: 9092,
            security_protocol: 0,
        };
        let incarnation = u128::from(introduction.incarnation) * 100 + u128::from(id.unsigned_abs());
        let registration = BrokerRegistration {
            broker_id: BrokerId(id),
            cluster_id: None,
            incarnation_id: Uuid::from_u128(1_000_000 + incarnation),
            directory_id: Uuid::from_u128(500 + u128::from(id.unsigned_abs())),
            endpoints: vec![endpoint],
            rack: None,
            previous_broker_epoch: BrokerEpoch(introduction.stopped_cleanly.unwrap_or(-1)),
            replicas: vec![report],
            may_lack_logs: false,
        };
        match self.ask(Request::RegisterBroker(Box::new(registration))) {
            Response::RegisterBroker(Ok(epoch)) => {
                self.last_heartbeat_ms.insert(id, now_ms);
                self.fenced_in.insert(id, self.image.version);
                Some(epoch.get())
            }
            _ => None,
        }
    }

    /// Returns whether the session is this incarnation's.
    pub fn heartbeat(&mut self, id: i32, epoch: i64, applied_version: u64, now_ms: i64) -> bool {
        let Some(broker) = self.image.brokers.get(&id).copied().filter(|broker| broker.epoch == epoch) else {
            return false;
        };
        self.last_heartbeat_ms.insert(id, now_ms);
        if !broker.active && applied_version >= self.fenced_in[&id] {
            self.ask(Request::UnfenceBroker(identity(id, epoch)));
        }
        true
    }

    pub fn expire_sessions(&mut self, now_ms: i64) {
        let live = |id: &i32| self.last_heartbeat_ms.get(id).is_some_and(|at| now_ms - at <= SESSION_TIMEOUT_MS);
        let expired = self.image.brokers.iter().filter(|(id, broker)| broker.active && !live(id));
        let expired: Vec<(i32, i64)> = expired.map(|(&id, broker)| (id, broker.epoch)).collect();
        for (id, epoch) in expired {
            self.fence(id, epoch);
        }
    }

    pub fn fence(&mut self, id: i32, epoch: i64) {
        if self.image.brokers.get(&id).is_some_and(|broker| broker.epoch == epoch) {
            self.ask(Request::FenceBroker(identity(id, epoch)));
            self.fenced_in.insert(id, self.image.version);
        }
    }

    /// Whether the broker may stop now.
    pub fn shut_down(&mut self, id: i32, epoch: i64, force: bool) -> bool {
        let patience = if force { Patience::None } else { Patience::Full };
        match self.ask(Request::ControlledShutdown { broker: identity(id, epoch), patience }) {
            Response::ControlledShutdown(Ok(progress)) => progress.ready,
            _ => true,
        }
    }

    pub fn set_min_isr(&mut self, min_isr: usize) {
        let config = AlterableConfig {
            name: Str::from("min.insync.replicas"),
            config_operation: 0,
            value: Some(Str::from(min_isr.to_string())),
        };
        let resource = AlterConfigsResource {
            resource_type: ConfigResourceType::Topic.code(),
            resource_name: Str::from(TOPIC),
            configs: vec![config],
        };
        let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
        self.ask(Request::IncrementalAlterConfigs(request));
    }

    /// Has the partition move to other replicas, or with `None` calls a move off. Whether it was granted.
    pub fn reassign(&mut self, replicas: Option<&[i32]>) -> bool {
        let partition = ReassignablePartition { partition_index: 0, replicas: replicas.map(<[i32]>::to_vec) };
        let topic = ReassignableTopic { name: Str::from(TOPIC), partitions: vec![partition] };
        let request =
            AlterPartitionReassignmentsRequest { topics: vec![topic], ..AlterPartitionReassignmentsRequest::default() };
        match self.ask(Request::AlterPartitionReassignments(request)) {
            Response::AlterPartitionReassignments(answer) => answer.responses[0].partitions[0].error_code.is_none(),
            other => panic!("{other:?}"),
        }
    }

    pub fn alter_isr(&mut self, from: i32, epoch: i64, proposal: &IsrProposal) -> IsrOutcome {
        let member = |&(broker_id, broker_epoch): &(BrokerId, BrokerEpoch)| IsrMember { broker_id, broker_epoch };
        let alteration = PartitionAlteration {
            partition: self.partition,
            leader_epoch: proposal.leader_epoch,
            partition_epoch: proposal.partition_epoch,
            new_isr: proposal.new_isr.iter().map(member).collect(),
            leader_recovery: LeaderRecovery::Recovered,
        };
        let request = AlterPartition { broker: identity(from, epoch), partitions: vec![alteration] };
        let Response::AlterPartition(Ok(altered)) = self.ask(Request::AlterPartition(request)) else {
            return IsrOutcome::Outdated;
        };
        match altered[0].error_code {
            ErrorCode::NONE => IsrOutcome::Accepted {
                leader_epoch: altered[0].leader_epoch,
                partition_epoch: altered[0].partition_epoch,
                isr: altered[0].isr.clone(),
            },
            ErrorCode::INELIGIBLE_REPLICA | ErrorCode::OPERATION_NOT_ATTEMPTED => IsrOutcome::Ineligible,
            _ => IsrOutcome::Outdated,
        }
    }
}

fn identity(id: i32, epoch: i64) -> BrokerIdentity {
    BrokerIdentity { broker_id: BrokerId(id), broker_epoch: BrokerEpoch(epoch) }
}
