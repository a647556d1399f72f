//! One topic of a CreateTopics request: checks, defaults and placement, before anything is written.

use std::collections::BTreeMap;

use tidelog_wire::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
use tidelog_wire::types::{BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex};
use tidelog_wire::{ErrorCode, Str, Uuid};

use super::config_changes::check_topic_configs;
use super::manual_assignment::check_assignment;
use super::placement::Placer;
use super::topic_name::check_topic_name;
use super::{Context, Round};
use crate::image::{ConfigResource, ConfigResourceType, Image, LeaderRecovery};
use crate::record::{Record, RegisteredPartition};
use crate::request::CreateOrigin;
use crate::response::RequestError;

/// A topic's partitions at most, and those of one request; as in Kafka.
pub(super) const PARTITIONS_MAX: usize = 10_000;
/// Without `default.replication.factor` (docs/REPLICATION.md R13).
const DEFAULT_REPLICATION_FACTOR: usize = 3;

/// A topic as it will be created.
pub(super) struct NewTopic {
    pub name: Str,
    /// Of each partition.
    pub replicas: Vec<Vec<BrokerId>>,
    pub configs: BTreeMap<Str, Str>,
}

impl NewTopic {
    pub fn replication_factor(&self) -> usize {
        self.replicas.first().map_or(0, Vec::len)
    }

    pub fn records(&self, topic_id: Uuid, image: &Image) -> Vec<Record> {
        let mut records = vec![Record::Topic { topic_id, name: self.name.clone() }];
        let resource = ConfigResource { kind: ConfigResourceType::Topic, name: self.name.clone() };
        records.extend(self.configs.iter().map(|(name, value)| Record::Config {
            resource: resource.clone(),
            name: name.clone(),
            value: Some(value.clone()),
        }));
        let numbered = self.replicas.iter().zip(0..);
        records
            .extend(numbered.map(|(replicas, index)| new_partition(image, topic_id, PartitionIndex(index), replicas)));
        records
    }
}

/// A partition at its creation: active replicas are in sync, for there is nothing to lack yet.
pub(super) fn new_partition(image: &Image, topic_id: Uuid, partition: PartitionIndex, replicas: &[BrokerId]) -> Record {
    let isr: Vec<BrokerId> = replicas.iter().copied().filter(|replica| image.is_active(*replica)).collect();
    Record::Partition(Box::new(RegisteredPartition {
        topic_id,
        partition,
        leader: isr.first().copied().unwrap_or(BrokerId::NONE),
        replicas: replicas.to_vec(),
        isr,
        elr: Vec::new(),
        last_known_elr: Vec::new(),
        adding_replicas: Vec::new(),
        removing_replicas: Vec::new(),
        original_replicas: Vec::new(),
        directories: Vec::new(),
        leader_recovery: LeaderRecovery::Recovered,
        leader_epoch: LeaderEpoch(0),
        partition_epoch: PartitionEpoch(0),
    }))
}

impl Round {
    pub(super) fn plan_topic(
        &self,
        topic: &CreatableTopic,
        origin: CreateOrigin,
        context: &mut Context<'_>,
    ) -> Result<NewTopic, RequestError> {
        check_topic_name(&self.image, &topic.name)
            .map_err(|message| RequestError::new(ErrorCode::INVALID_TOPIC_EXCEPTION, message))?;
        if self.image.topic_id(&topic.name).is_some() {
            let message = format!("Topic '{}' already exists.", topic.name);
            return Err(RequestError::new(ErrorCode::TOPIC_ALREADY_EXISTS, message));
        }
        let configs = self.configs_of(topic)?;
        let replicas =
            if topic.assignments.is_empty() { self.place(topic, origin, context)? } else { self.assigned(topic)? };
        Ok(NewTopic { name: topic.name.detached(), replicas, configs })
    }

    fn configs_of(&self, topic: &CreatableTopic) -> Result<BTreeMap<Str, Str>, RequestError> {
        let mut configs = BTreeMap::new();
        for config in &topic.configs {
            // As in Kafka, a null value asks for the default.
            let Some(value) = &config.value else { continue };
            configs.insert(config.name.detached(), value.detached());
        }
        check_topic_configs(&configs)?;
        Ok(configs)
    }

    fn place(
        &self,
        topic: &CreatableTopic,
        origin: CreateOrigin,
        context: &mut Context<'_>,
    ) -> Result<Vec<Vec<BrokerId>>, RequestError> {
        let partition_count = self.partition_count(topic.num_partitions, context)?;
        let replication_factor = self.replication_factor(topic.replication_factor, origin, context)?;
        let mut placer = Placer::new(&self.image, context.random);
        let placed: Result<Vec<_>, String> = (0..partition_count).map(|_| placer.place(replication_factor)).collect();
        placed.map_err(|message| match origin {
            CreateOrigin::Admin => RequestError::new(ErrorCode::INVALID_REPLICATION_FACTOR, message),
            CreateOrigin::Broker => RequestError::new(ErrorCode::LEADER_NOT_AVAILABLE, message),
        })
    }

    /// How many partitions the topic would have, for the bound on those of a request; not all of them may be possible.
    pub(super) fn partitions_asked(&self, topic: &CreatableTopic, context: &Context<'_>) -> usize {
        let counted = self.count_or_default(topic.num_partitions, context);
        let assigned = topic.assignments.len();
        if assigned > 0 { assigned } else { counted.unwrap_or(0) }
    }

    fn count_or_default(&self, asked: i32, context: &Context<'_>) -> Option<usize> {
        match asked {
            -1 => Some(self.config(context).num_partitions),
            asked => usize::try_from(asked).ok(),
        }
    }

    fn partition_count(&self, asked: i32, context: &Context<'_>) -> Result<usize, RequestError> {
        match self.count_or_default(asked, context) {
            Some(count) if count > 0 => Ok(count),
            _ => {
                let message = format!("the number of partitions must be positive, or -1 for the default, not {asked}");
                Err(RequestError::new(ErrorCode::INVALID_PARTITIONS, message))
            }
        }
    }

    fn replication_factor(
        &self,
        asked: i16,
        origin: CreateOrigin,
        context: &Context<'_>,
    ) -> Result<usize, RequestError> {
        let known = self.image.known_brokers();
        let wanted = match usize::try_from(asked) {
            Ok(asked) if asked > 0 => asked,
            _ if asked == -1 => self.default_replication_factor(known.len(), context),
            _ => {
                let message = format!("the replication factor must be positive, or -1 for the default, not {asked}");
                return Err(RequestError::new(ErrorCode::INVALID_REPLICATION_FACTOR, message));
            }
        };
        let wanted = match origin {
            CreateOrigin::Admin => wanted,
            CreateOrigin::Broker => wanted.min(known.len()).max(1),
        };
        let awaited: Vec<String> =
            known.iter().filter(|id| self.image.broker(**id).is_none()).map(|id| id.to_string()).collect();
        let registered = known.len() - awaited.len();
        if registered < wanted && wanted <= known.len() {
            let message = format!(
                "replication factor {wanted} needs {wanted} brokers; {registered} registered so far, waiting for broker {}",
                awaited.join(", ")
            );
            return Err(RequestError::new(code_while_waiting(origin), message));
        }
        Ok(wanted)
    }

    fn default_replication_factor(&self, known_broker_count: usize, context: &Context<'_>) -> usize {
        match self.config(context).default_replication_factor {
            0 => DEFAULT_REPLICATION_FACTOR.min(known_broker_count.max(1)),
            configured => configured,
        }
    }

    fn assigned(&self, topic: &CreatableTopic) -> Result<Vec<Vec<BrokerId>>, RequestError> {
        if topic.replication_factor != -1 || topic.num_partitions != -1 {
            let message = "with a manual assignment, partitions and replication factor must be -1";
            return Err(RequestError::new(ErrorCode::INVALID_REQUEST, message));
        }
        let mut assignments: Vec<&CreatableReplicaAssignment> = topic.assignments.iter().collect();
        assignments.sort_by_key(|assignment| assignment.partition_index);
        if assignments.iter().zip(0..).any(|(assignment, index)| assignment.partition_index != index) {
            let message = "the partitions of a manual assignment must be numbered from 0 without gaps";
            return Err(RequestError::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
        }
        let replication_factor = assignments.first().map(|first| first.broker_ids.len());
        let checked = assignments.iter().map(|it| check_assignment(&self.image, &it.broker_ids, replication_factor));
        checked.collect()
    }
}

fn code_while_waiting(origin: CreateOrigin) -> ErrorCode {
    match origin {
        CreateOrigin::Admin => ErrorCode::INVALID_REPLICATION_FACTOR,
        CreateOrigin::Broker => ErrorCode::LEADER_NOT_AVAILABLE,
    }
}
