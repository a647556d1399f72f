//! Records of the metadata log.

use tidelog_internal_api::metadata as proto;
use tidelog_internal_api::metadata::record::Kind;
use tidelog_metadata::{
    BrokerChange, BrokerIdentity, ConfigResource, ConfigResourceType, PartitionChange, Record, RegisterBrokerRecord,
    RegisteredPartition, TopicIdPartition,
};
use tidelog_wire::types::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch, ProducerId};

use super::CodecError;
use super::fields::*;

pub(crate) fn record_to_proto(record: &Record) -> proto::Record {
    let kind = match record {
        Record::ClusterId(cluster_id) => Kind::ClusterId(string(cluster_id)),
        Record::Node(node) => Kind::Node(node_to_proto(node)),
        Record::NextBrokerEpoch(epoch) => Kind::NextBrokerEpoch(epoch.get()),
        Record::RegisterBroker(registration) => Kind::RegisterBroker(registration_to_proto(registration)),
        Record::UnregisterBroker { broker_id, broker_epoch } => {
            Kind::UnregisterBroker(identity_to_proto(&BrokerIdentity {
                broker_id: *broker_id,
                broker_epoch: *broker_epoch,
            }))
        }
        Record::BrokerChange(change) => Kind::BrokerChange(proto::BrokerChange {
            broker: Some(proto::BrokerIdentity {
                broker_id: change.broker_id.get(),
                broker_epoch: change.broker_epoch.get(),
            }),
            fenced: change.fenced,
            stopping: change.stopping,
            in_controlled_shutdown: change.in_controlled_shutdown,
        }),
        Record::ReplicaUnclean { broker_id, partition, position } => Kind::ReplicaUnclean(proto::ReplicaUnclean {
            broker_id: broker_id.get(),
            partition: Some(partition_to_proto(partition)),
            position: Some(position_to_proto(position)),
        }),
        Record::ReplicaClean { broker_id, partition } => Kind::ReplicaClean(proto::ReplicaClean {
            broker_id: broker_id.get(),
            partition: Some(partition_to_proto(partition)),
        }),
        Record::Topic { topic_id, name } => {
            Kind::Topic(proto::Topic { topic_id: uuid_to_bytes(*topic_id), name: string(name) })
        }
        Record::RemoveTopic { topic_id } => Kind::RemoveTopic(uuid_to_bytes(*topic_id)),
        Record::Partition(partition) => Kind::Partition(whole_partition_to_proto(partition)),
        Record::PartitionChange(change) => Kind::PartitionChange(change_to_proto(change)),
        Record::Config { resource, name, value } => Kind::Config(proto::Config {
            resource_type: i32::from(resource.kind.code()),
            resource_name: string(&resource.name),
            name: string(name),
            value: value.as_ref().map(string),
        }),
        Record::ProducerIds { next_producer_id } => Kind::NextProducerId(next_producer_id.get()),
        Record::FeatureLevel { name, level } => {
            Kind::FeatureLevel(proto::FeatureLevel { name: string(name), level: i32::from(*level) })
        }
    };
    proto::Record { kind: Some(kind) }
}

pub(crate) fn record_from_proto(record: proto::Record) -> Result<Record, CodecError> {
    Ok(match record.kind.ok_or(CodecError::UnknownKind("record"))? {
        Kind::ClusterId(cluster_id) => Record::ClusterId(text(cluster_id)),
        Kind::Node(configured) => Record::Node(node(&configured)),
        Kind::NextBrokerEpoch(epoch) => Record::NextBrokerEpoch(BrokerEpoch(epoch)),
        Kind::RegisterBroker(registration) => Record::RegisterBroker(Box::new(registration_from_proto(registration)?)),
        Kind::UnregisterBroker(broker) => {
            let BrokerIdentity { broker_id, broker_epoch } = identity(broker);
            Record::UnregisterBroker { broker_id, broker_epoch }
        }
        Kind::BrokerChange(change) => {
            let broker = some_identity(change.broker)?;
            Record::BrokerChange(BrokerChange {
                broker_id: broker.broker_id,
                broker_epoch: broker.broker_epoch,
                fenced: change.fenced,
                stopping: change.stopping,
                in_controlled_shutdown: change.in_controlled_shutdown,
            })
        }
        Kind::ReplicaUnclean(replica) => Record::ReplicaUnclean {
            broker_id: BrokerId(replica.broker_id),
            partition: partition(replica.partition)?,
            position: position(replica.position)?,
        },
        Kind::ReplicaClean(replica) => {
            Record::ReplicaClean { broker_id: BrokerId(replica.broker_id), partition: partition(replica.partition)? }
        }
        Kind::Topic(topic) => Record::Topic { topic_id: uuid(&topic.topic_id)?, name: text(topic.name) },
        Kind::RemoveTopic(topic_id) => Record::RemoveTopic { topic_id: uuid(&topic_id)? },
        Kind::Partition(partition) => Record::Partition(Box::new(whole_partition_from_proto(partition)?)),
        Kind::PartitionChange(change) => Record::PartitionChange(Box::new(change_from_proto(change)?)),
        Kind::Config(config) => Record::Config {
            resource: resource(config.resource_type, config.resource_name)?,
            name: text(config.name),
            value: config.value.map(text),
        },
        Kind::NextProducerId(id) => Record::ProducerIds { next_producer_id: ProducerId(id) },
        Kind::FeatureLevel(feature) => {
            Record::FeatureLevel { name: text(feature.name), level: small(feature.level, "feature level")? }
        }
    })
}

fn resource(kind: i32, name: String) -> Result<ConfigResource, CodecError> {
    let kind =
        ConfigResourceType::from_code(small(kind, "resource type")?).ok_or(CodecError::Field("resource type"))?;
    Ok(ConfigResource { kind, name: text(name) })
}

fn registration_to_proto(registration: &RegisterBrokerRecord) -> proto::RegisterBroker {
    proto::RegisterBroker {
        broker_id: registration.broker_id.get(),
        broker_epoch: registration.broker_epoch.get(),
        incarnation_id: uuid_to_bytes(registration.incarnation_id),
        directory_id: uuid_to_bytes(registration.directory_id),
        endpoints: registration.endpoints.iter().map(endpoint_to_proto).collect(),
        rack: registration.rack.as_ref().map(string),
        fenced: registration.fenced,
        stopping: registration.stopping,
        in_controlled_shutdown: registration.in_controlled_shutdown,
    }
}

fn registration_from_proto(registration: proto::RegisterBroker) -> Result<RegisterBrokerRecord, CodecError> {
    Ok(RegisterBrokerRecord {
        broker_id: BrokerId(registration.broker_id),
        broker_epoch: BrokerEpoch(registration.broker_epoch),
        incarnation_id: uuid(&registration.incarnation_id)?,
        directory_id: uuid(&registration.directory_id)?,
        endpoints: endpoints(registration.endpoints)?,
        rack: registration.rack.map(text),
        fenced: registration.fenced,
        stopping: registration.stopping,
        in_controlled_shutdown: registration.in_controlled_shutdown,
    })
}

fn whole_partition_to_proto(partition: &RegisteredPartition) -> proto::Partition {
    proto::Partition {
        partition: Some(partition_to_proto(&TopicIdPartition {
            topic_id: partition.topic_id,
            partition: partition.partition,
        })),
        replicas: ids_to_proto(&partition.replicas),
        isr: ids_to_proto(&partition.isr),
        elr: ids_to_proto(&partition.elr),
        last_known_elr: ids_to_proto(&partition.last_known_elr),
        adding_replicas: ids_to_proto(&partition.adding_replicas),
        removing_replicas: ids_to_proto(&partition.removing_replicas),
        original_replicas: ids_to_proto(&partition.original_replicas),
        directories: partition.directories.iter().copied().map(uuid_to_bytes).collect(),
        leader: partition.leader.get(),
        leader_recovery: i32::from(partition.leader_recovery.code()),
        leader_epoch: partition.leader_epoch.get(),
        partition_epoch: partition.partition_epoch.get(),
    }
}

fn whole_partition_from_proto(whole: proto::Partition) -> Result<RegisteredPartition, CodecError> {
    let TopicIdPartition { topic_id, partition } = partition(whole.partition)?;
    Ok(RegisteredPartition {
        topic_id,
        partition,
        replicas: ids(whole.replicas),
        isr: ids(whole.isr),
        elr: ids(whole.elr),
        last_known_elr: ids(whole.last_known_elr),
        adding_replicas: ids(whole.adding_replicas),
        removing_replicas: ids(whole.removing_replicas),
        original_replicas: ids(whole.original_replicas),
        directories: uuids(whole.directories)?,
        leader: BrokerId(whole.leader),
        leader_recovery: recovery(whole.leader_recovery)?,
        leader_epoch: LeaderEpoch(whole.leader_epoch),
        partition_epoch: PartitionEpoch(whole.partition_epoch),
    })
}

fn change_to_proto(change: &PartitionChange) -> proto::PartitionChange {
    let listed = |ids: &Option<Vec<BrokerId>>| ids.as_ref().map(|ids| proto::BrokerIds { ids: ids_to_proto(ids) });
    proto::PartitionChange {
        partition: Some(partition_to_proto(&TopicIdPartition {
            topic_id: change.topic_id,
            partition: change.partition,
        })),
        isr: listed(&change.isr),
        elr: listed(&change.elr),
        last_known_elr: listed(&change.last_known_elr),
        replicas: listed(&change.replicas),
        adding_replicas: listed(&change.adding_replicas),
        removing_replicas: listed(&change.removing_replicas),
        original_replicas: listed(&change.original_replicas),
        directories: change
            .directories
            .as_ref()
            .map(|ids| proto::Directories { ids: ids.iter().copied().map(uuid_to_bytes).collect() }),
        leader: change.leader.map(BrokerId::get),
        leader_recovery: change.leader_recovery.map(|recovery| i32::from(recovery.code())),
    }
}

fn change_from_proto(change: proto::PartitionChange) -> Result<PartitionChange, CodecError> {
    let listed = |listed: Option<proto::BrokerIds>| listed.map(|listed| ids(listed.ids));
    let TopicIdPartition { topic_id, partition } = partition(change.partition)?;
    Ok(PartitionChange {
        topic_id,
        partition,
        isr: listed(change.isr),
        elr: listed(change.elr),
        last_known_elr: listed(change.last_known_elr),
        replicas: listed(change.replicas),
        adding_replicas: listed(change.adding_replicas),
        removing_replicas: listed(change.removing_replicas),
        original_replicas: listed(change.original_replicas),
        directories: change.directories.map(|directories| uuids(directories.ids)).transpose()?,
        leader: change.leader.map(BrokerId),
        leader_recovery: change.leader_recovery.map(recovery).transpose()?,
    })
}
