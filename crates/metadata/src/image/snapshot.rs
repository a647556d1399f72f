//! An image as the records that make it.

use super::{Broker, Image, Partition, Topic, TopicIdPartition};
use crate::record::{Record, RegisterBrokerRecord, RegisteredPartition};

impl Image {
    /// Records that, applied in order to an empty image, make this one.
    pub fn to_records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        records.extend(self.cluster_id.clone().map(Record::ClusterId));
        records.extend(self.nodes.values().cloned().map(Record::Node));
        let mut brokers: Vec<&Broker> = self.brokers().collect();
        brokers.sort_unstable_by_key(|broker| broker.epoch);
        records.extend(brokers.into_iter().map(registration));
        records.push(Record::NextBrokerEpoch(self.next_broker_epoch));
        for topic in self.topics.values() {
            records.push(Record::Topic { topic_id: topic.id, name: topic.name.clone() });
            records.extend(
                topic.partitions().map(|(index, partition)| whole(topic, topic.id_partition(index), partition)),
            );
        }
        records.extend(self.brokers().flat_map(unclean_replicas));
        for (resource, values) in self.configs.iter() {
            records.extend(values.iter().map(|(name, value)| Record::Config {
                resource: resource.clone(),
                name: name.clone(),
                value: Some(value.clone()),
            }));
        }
        records.push(Record::ProducerIds { next_producer_id: self.next_producer_id });
        records.extend(self.features().map(|(name, level)| Record::FeatureLevel { name: name.clone(), level }));
        records
    }
}

fn registration(broker: &Broker) -> Record {
    Record::RegisterBroker(Box::new(RegisterBrokerRecord {
        broker_id: broker.id,
        broker_epoch: broker.epoch,
        incarnation_id: broker.incarnation_id,
        directory_id: broker.directory_id,
        endpoints: broker.endpoints.clone(),
        rack: broker.rack.clone(),
        fenced: broker.fenced,
        stopping: broker.stopping,
        in_controlled_shutdown: broker.in_controlled_shutdown,
    }))
}

fn unclean_replicas(broker: &Broker) -> impl Iterator<Item = Record> {
    broker.unclean.iter().map(|(partition, position)| Record::ReplicaUnclean {
        broker_id: broker.id,
        partition: *partition,
        position: *position,
    })
}

fn whole(topic: &Topic, partition: TopicIdPartition, state: &Partition) -> Record {
    Record::Partition(Box::new(RegisteredPartition {
        topic_id: topic.id,
        partition: partition.partition,
        replicas: state.replicas.clone(),
        isr: state.isr.clone(),
        elr: state.elr.clone(),
        last_known_elr: state.last_known_elr.clone(),
        adding_replicas: state.adding_replicas.clone(),
        removing_replicas: state.removing_replicas.clone(),
        original_replicas: state.original_replicas.clone(),
        directories: state.directories.clone(),
        leader: state.leader,
        leader_recovery: state.leader_recovery,
        leader_epoch: state.leader_epoch,
        partition_epoch: state.partition_epoch,
    }))
}
