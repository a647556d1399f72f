//! The only code that changes an image. The same records make the same image on every node and at every replay.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidelog_wire::types::{BrokerEpoch, BrokerId, PartitionIndex, ProducerId};
use tidelog_wire::{Str, Uuid};

use super::{Broker, ConfigResource, ConfigResourceType, Image, Partition, Topic, TopicIdPartition};
use crate::record::{BrokerChange, PartitionChange, Record, RegisterBrokerRecord, RegisteredPartition};

/// A record that does not fit the image: the log is damaged or was written by something else. The node must stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    #[error("the record names broker {0}, which is not registered in that epoch")]
    UnknownBroker(BrokerId),
    #[error("the record names topic {0}, which does not exist")]
    UnknownTopic(Uuid),
    #[error("the record names partition {0}, which does not exist")]
    UnknownPartition(TopicIdPartition),
    #[error("topic {0} exists already")]
    TopicExists(Str),
    #[error("partition {0} is not the topic's next one")]
    PartitionOutOfOrder(TopicIdPartition),
    #[error("the record breaks a rule of partition {partition}: {invariant}")]
    BrokenInvariant { partition: TopicIdPartition, invariant: &'static str },
    #[error("the broker epoch {found} of broker {broker_id} is not above the earlier ones")]
    BrokerEpochNotGrowing { broker_id: BrokerId, found: BrokerEpoch },
    #[error("producer ids would go back from {from} to {to}")]
    ProducerIdsGoBack { from: ProducerId, to: ProducerId },
}

impl Image {
    /// Takes in one record.
    pub fn apply(&mut self, record: &Record) -> Result<(), ApplyError> {
        match record {
            Record::ClusterId(cluster_id) => self.cluster_id = Some(cluster_id.detached()),
            Record::Node(node) => {
                Arc::make_mut(&mut self.nodes).insert(node.id, node.clone());
            }
            Record::NextBrokerEpoch(epoch) => self.next_broker_epoch = *epoch,
            Record::RegisterBroker(registration) => self.register_broker(registration)?,
            Record::UnregisterBroker { broker_id, broker_epoch } => {
                self.broker_mut(*broker_id, *broker_epoch)?;
                Arc::make_mut(&mut self.brokers).remove(broker_id);
            }
            Record::BrokerChange(change) => self.change_broker(change)?,
            Record::ReplicaUnclean { broker_id, partition, position } => {
                self.any_broker_mut(*broker_id)?.unclean.insert(*partition, *position);
            }
            Record::ReplicaClean { broker_id, partition } => {
                self.any_broker_mut(*broker_id)?.unclean.remove(partition);
            }
            Record::Topic { topic_id, name } => self.add_topic(*topic_id, name)?,
            Record::RemoveTopic { topic_id } => self.remove_topic(*topic_id)?,
            Record::Partition(partition) => self.add_partition(partition)?,
            Record::PartitionChange(change) => self.change_partition(change)?,
            Record::Config { resource, name, value } => self.set_config(resource, name, value.as_ref()),
            Record::ProducerIds { next_producer_id } => self.advance_producer_ids(*next_producer_id)?,
            Record::FeatureLevel { name, level } => self.set_feature(name, *level),
        }
        Ok(())
    }

    fn register_broker(&mut self, record: &RegisterBrokerRecord) -> Result<(), ApplyError> {
        if record.broker_epoch < self.next_broker_epoch {
            return Err(ApplyError::BrokerEpochNotGrowing { broker_id: record.broker_id, found: record.broker_epoch });
        }
        self.next_broker_epoch = BrokerEpoch(record.broker_epoch.get() + 1);
        let broker = Broker {
            id: record.broker_id,
            epoch: record.broker_epoch,
            incarnation_id: record.incarnation_id,
            directory_id: record.directory_id,
            endpoints: record.endpoints.clone(),
            rack: record.rack.clone(),
            fenced: record.fenced,
            stopping: record.stopping,
            in_controlled_shutdown: record.in_controlled_shutdown,
            unclean: BTreeMap::new(),
        };
        Arc::make_mut(&mut self.brokers).insert(record.broker_id, Arc::new(broker));
        Ok(())
    }

    fn change_broker(&mut self, change: &BrokerChange) -> Result<(), ApplyError> {
        let broker = self.broker_mut(change.broker_id, change.broker_epoch)?;
        broker.fenced = change.fenced.unwrap_or(broker.fenced);
        broker.stopping = change.stopping.unwrap_or(broker.stopping);
        broker.in_controlled_shutdown = change.in_controlled_shutdown.unwrap_or(broker.in_controlled_shutdown);
        Ok(())
    }

    fn broker_mut(&mut self, broker_id: BrokerId, epoch: BrokerEpoch) -> Result<&mut Broker, ApplyError> {
        self.any_broker_mut(broker_id)
            .ok()
            .filter(|broker| broker.epoch == epoch)
            .ok_or(ApplyError::UnknownBroker(broker_id))
    }

    fn any_broker_mut(&mut self, broker_id: BrokerId) -> Result<&mut Broker, ApplyError> {
        let broker = Arc::make_mut(&mut self.brokers).get_mut(&broker_id);
        broker.map(Arc::make_mut).ok_or(ApplyError::UnknownBroker(broker_id))
    }

    fn add_topic(&mut self, topic_id: Uuid, name: &Str) -> Result<(), ApplyError> {
        if self.topic_ids.contains_key(name) || self.topics.contains_key(&topic_id) {
            return Err(ApplyError::TopicExists(name.clone()));
        }
        let name = name.detached();
        let topic = Topic { id: topic_id, name: name.clone(), partitions: Vec::new() };
        self.metric_names.add(&name, topic_id);
        Arc::make_mut(&mut self.topic_ids).insert(name, topic_id);
        Arc::make_mut(&mut self.topics).insert(topic_id, Arc::new(topic));
        Ok(())
    }

    fn remove_topic(&mut self, topic_id: Uuid) -> Result<(), ApplyError> {
        let topic = Arc::make_mut(&mut self.topics).remove(&topic_id).ok_or(ApplyError::UnknownTopic(topic_id))?;
        Arc::make_mut(&mut self.topic_ids).remove(&topic.name);
        self.metric_names.remove(&topic.name);
        for partition in &topic.partitions {
            self.placements.remove(topic_id, &partition.replicas);
        }
        let resource = ConfigResource { kind: ConfigResourceType::Topic, name: topic.name.clone() };
        if self.configs.contains_key(&resource) {
            Arc::make_mut(&mut self.configs).remove(&resource);
        }
        self.forget_unclean_replicas_of(topic_id);
        Ok(())
    }

    fn forget_unclean_replicas_of(&mut self, topic_id: Uuid) {
        if !self.brokers.values().any(|broker| broker.has_unclean_replica_of(topic_id)) {
            return;
        }
        for broker in Arc::make_mut(&mut self.brokers).values_mut() {
            if broker.has_unclean_replica_of(topic_id) {
                Arc::make_mut(broker).unclean.retain(|partition, _| partition.topic_id != topic_id);
            }
        }
    }

    fn add_partition(&mut self, record: &RegisteredPartition) -> Result<(), ApplyError> {
        let topic = self.topic_mut(record.topic_id)?;
        if usize::try_from(record.partition.get()) != Ok(topic.partitions.len()) {
            return Err(ApplyError::PartitionOutOfOrder(topic.id_partition(record.partition)));
        }
        let partition = Partition {
            replicas: record.replicas.clone(),
            isr: record.isr.clone(),
            elr: record.elr.clone(),
            last_known_elr: record.last_known_elr.clone(),
            adding_replicas: record.adding_replicas.clone(),
            removing_replicas: record.removing_replicas.clone(),
            original_replicas: record.original_replicas.clone(),
            directories: record.directories.clone(),
            leader: record.leader,
            leader_recovery: record.leader_recovery,
            leader_epoch: record.leader_epoch,
            partition_epoch: record.partition_epoch,
        };
        check(&partition, topic.id_partition(record.partition))?;
        topic.partitions.push(Arc::new(partition));
        self.placements.add(record.topic_id, &record.replicas);
        Ok(())
    }

    fn change_partition(&mut self, change: &PartitionChange) -> Result<(), ApplyError> {
        let id = TopicIdPartition { topic_id: change.topic_id, partition: change.partition };
        let partition = self.partition_mut(change.topic_id, change.partition)?;
        let replicas_before = partition.replicas.clone();
        set_if_given(&mut partition.isr, &change.isr);
        set_if_given(&mut partition.elr, &change.elr);
        set_if_given(&mut partition.last_known_elr, &change.last_known_elr);
        set_if_given(&mut partition.replicas, &change.replicas);
        set_if_given(&mut partition.adding_replicas, &change.adding_replicas);
        set_if_given(&mut partition.removing_replicas, &change.removing_replicas);
        set_if_given(&mut partition.original_replicas, &change.original_replicas);
        set_if_given(&mut partition.directories, &change.directories);
        set_if_given(&mut partition.leader_recovery, &change.leader_recovery);
        if let Some(leader) = change.leader {
            partition.leader = leader;
            partition.leader_epoch.0 += 1;
        }
        partition.partition_epoch.0 += 1;
        check(partition, id)?;
        if let Some(replicas) = &change.replicas {
            self.placements.remove(change.topic_id, &replicas_before);
            self.placements.add(change.topic_id, replicas);
            let removed: Vec<_> = replicas_before.into_iter().filter(|replica| !replicas.contains(replica)).collect();
            self.forget_unclean(&removed, id);
        }
        if let Some(isr) = &change.isr {
            // A replica that its leader took into the ISR holds everything again.
            self.forget_unclean(isr, id);
        }
        Ok(())
    }

    fn forget_unclean(&mut self, replicas: &[BrokerId], partition: TopicIdPartition) {
        for broker_id in replicas {
            if self.broker(*broker_id).is_some_and(|broker| broker.unclean.contains_key(&partition))
                && let Ok(broker) = self.any_broker_mut(*broker_id)
            {
                broker.unclean.remove(&partition);
            }
        }
    }

    fn topic_mut(&mut self, topic_id: Uuid) -> Result<&mut Topic, ApplyError> {
        let topic = Arc::make_mut(&mut self.topics).get_mut(&topic_id);
        topic.map(Arc::make_mut).ok_or(ApplyError::UnknownTopic(topic_id))
    }

    fn partition_mut(&mut self, topic_id: Uuid, partition: PartitionIndex) -> Result<&mut Partition, ApplyError> {
        let unknown = ApplyError::UnknownPartition(TopicIdPartition { topic_id, partition });
        let topic = self.topic_mut(topic_id)?;
        let index = usize::try_from(partition.get()).map_err(|_| unknown.clone())?;
        topic.partitions.get_mut(index).map(Arc::make_mut).ok_or(unknown)
    }

    fn set_config(&mut self, resource: &ConfigResource, name: &Str, value: Option<&Str>) {
        let configs = Arc::make_mut(&mut self.configs);
        match value {
            Some(value) => {
                let resource = ConfigResource { kind: resource.kind, name: resource.name.detached() };
                let values = Arc::make_mut(configs.entry(resource).or_default());
                values.insert(name.detached(), value.detached());
            }
            None => {
                let Some(values) = configs.get_mut(resource) else {
                    return;
                };
                Arc::make_mut(values).remove(name);
                if values.is_empty() {
                    configs.remove(resource);
                }
            }
        }
    }

    fn advance_producer_ids(&mut self, next: ProducerId) -> Result<(), ApplyError> {
        if next < self.next_producer_id {
            return Err(ApplyError::ProducerIdsGoBack { from: self.next_producer_id, to: next });
        }
        self.next_producer_id = next;
        Ok(())
    }

    fn set_feature(&mut self, name: &Str, level: i16) {
        let features = Arc::make_mut(&mut self.features);
        if level == 0 {
            features.remove(name);
        } else {
            features.insert(name.detached(), level);
        }
    }
}

fn check(partition: &Partition, id: TopicIdPartition) -> Result<(), ApplyError> {
    match partition.broken_invariant() {
        Some(invariant) => Err(ApplyError::BrokenInvariant { partition: id, invariant }),
        None => Ok(()),
    }
}

fn set_if_given<T: Clone>(field: &mut T, change: &Option<T>) {
    if let Some(value) = change {
        field.clone_from(value);
    }
}
