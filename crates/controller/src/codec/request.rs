//! Requests to the active controller.

use tidelog_internal_api::metadata as proto;
use tidelog_internal_api::metadata::request::Kind;
use tidelog_metadata::{
    AlterPartition, BrokerRegistration, CreateOrigin, IsrMember, PartitionAlteration, Patience, Request,
};
use tidelog_wire::types::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch};

use super::fields::*;
use super::{CodecError, kafka};

pub(crate) fn request_to_proto(request: &Request) -> Result<proto::Request, CodecError> {
    let kind = match request {
        Request::Bootstrap { cluster_id, nodes, default_configs } => Kind::Bootstrap(proto::Bootstrap {
            cluster_id: string(cluster_id),
            nodes: nodes.iter().map(node_to_proto).collect(),
            default_configs: default_configs
                .iter()
                .map(|(name, value)| proto::NamedValue { name: string(name), value: string(value) })
                .collect(),
        }),
        Request::RegisterBroker(registration) => Kind::RegisterBroker(registration_to_proto(registration)),
        Request::UnfenceBroker(broker) => Kind::UnfenceBroker(identity_to_proto(broker)),
        Request::FenceBroker(broker) => Kind::FenceBroker(identity_to_proto(broker)),
        Request::DemoteBroker(broker) => Kind::DemoteBroker(identity_to_proto(broker)),
        Request::ControlledShutdown { broker, patience } => Kind::ControlledShutdown(proto::ControlledShutdown {
            broker: Some(identity_to_proto(broker)),
            force: *patience == Patience::None,
            running_only: *patience == Patience::RunningOnly,
        }),
        Request::AlterPartition(alter) => Kind::AlterPartition(alter_to_proto(alter)),
        Request::ReportUnclean { broker, replicas } => Kind::ReportUnclean(proto::ReportUnclean {
            broker: Some(identity_to_proto(broker)),
            replicas: replicas.iter().map(report_to_proto).collect(),
        }),
        Request::ReplicaRecovered { broker, partitions } => Kind::ReplicaRecovered(proto::ReplicaRecovered {
            broker: Some(identity_to_proto(broker)),
            partitions: partitions.iter().map(partition_to_proto).collect(),
        }),
        Request::AllocateProducerIds(broker) => Kind::AllocateProducerIds(identity_to_proto(broker)),
        Request::BalanceLeaders => Kind::BalanceLeaders(proto::Empty {}),
        Request::CreateTopics { request, origin } => Kind::CreateTopics(proto::CreateTopics {
            request: Some(kafka::request_to_proto(request)?),
            by_broker: *origin == CreateOrigin::Broker,
        }),
        Request::DeleteTopics(request) => Kind::DeleteTopics(kafka::request_to_proto(request)?),
        Request::CreatePartitions(request) => Kind::CreatePartitions(kafka::request_to_proto(request)?),
        Request::IncrementalAlterConfigs(request) => Kind::IncrementalAlterConfigs(kafka::request_to_proto(request)?),
        Request::AlterConfigs(request) => Kind::AlterConfigs(kafka::request_to_proto(request)?),
        Request::ElectLeaders(request) => Kind::ElectLeaders(kafka::request_to_proto(request)?),
        Request::AlterPartitionReassignments(request) => {
            Kind::AlterPartitionReassignments(kafka::request_to_proto(request)?)
        }
        Request::UnregisterBroker(request) => Kind::UnregisterBroker(kafka::request_to_proto(request)?),
    };
    Ok(proto::Request { kind: Some(kind) })
}

pub(crate) fn request_from_proto(request: proto::Request) -> Result<Request, CodecError> {
    Ok(match request.kind.ok_or(CodecError::UnknownKind("request"))? {
        Kind::Bootstrap(bootstrap) => Request::Bootstrap {
            cluster_id: text(bootstrap.cluster_id),
            nodes: bootstrap.nodes.iter().map(node).collect(),
            default_configs: bootstrap
                .default_configs
                .into_iter()
                .map(|set| (text(set.name), text(set.value)))
                .collect(),
        },
        Kind::RegisterBroker(registration) => Request::RegisterBroker(Box::new(registration_from_proto(registration)?)),
        Kind::UnfenceBroker(broker) => Request::UnfenceBroker(identity(broker)),
        Kind::FenceBroker(broker) => Request::FenceBroker(identity(broker)),
        Kind::DemoteBroker(broker) => Request::DemoteBroker(identity(broker)),
        Kind::ControlledShutdown(shutdown) => {
            let patience = match (shutdown.force, shutdown.running_only) {
                (true, _) => Patience::None,
                (false, true) => Patience::RunningOnly,
                (false, false) => Patience::Full,
            };
            Request::ControlledShutdown { broker: some_identity(shutdown.broker)?, patience }
        }
        Kind::AlterPartition(alter) => Request::AlterPartition(alter_from_proto(alter)?),
        Kind::ReportUnclean(report) => {
            Request::ReportUnclean { broker: some_identity(report.broker)?, replicas: reports(report.replicas)? }
        }
        Kind::ReplicaRecovered(recovered) => Request::ReplicaRecovered {
            broker: some_identity(recovered.broker)?,
            partitions: recovered.partitions.into_iter().map(|one| partition(Some(one))).collect::<Result<_, _>>()?,
        },
        Kind::AllocateProducerIds(broker) => Request::AllocateProducerIds(identity(broker)),
        Kind::BalanceLeaders(_) => Request::BalanceLeaders,
        Kind::CreateTopics(create) => Request::CreateTopics {
            request: kafka::request_from_proto(create.request.ok_or(CodecError::Field("request"))?)?,
            origin: if create.by_broker { CreateOrigin::Broker } else { CreateOrigin::Admin },
        },
        Kind::DeleteTopics(message) => Request::DeleteTopics(kafka::request_from_proto(message)?),
        Kind::CreatePartitions(message) => Request::CreatePartitions(kafka::request_from_proto(message)?),
        Kind::IncrementalAlterConfigs(message) => Request::IncrementalAlterConfigs(kafka::request_from_proto(message)?),
        Kind::AlterConfigs(message) => Request::AlterConfigs(kafka::request_from_proto(message)?),
        Kind::ElectLeaders(message) => Request::ElectLeaders(kafka::request_from_proto(message)?),
        Kind::AlterPartitionReassignments(message) => {
            Request::AlterPartitionReassignments(kafka::request_from_proto(message)?)
        }
        Kind::UnregisterBroker(message) => Request::UnregisterBroker(kafka::request_from_proto(message)?),
    })
}

fn registration_to_proto(registration: &BrokerRegistration) -> proto::BrokerRegistration {
    proto::BrokerRegistration {
        broker_id: registration.broker_id.get(),
        cluster_id: registration.cluster_id.as_ref().map(string),
        incarnation_id: uuid_to_bytes(registration.incarnation_id),
        directory_id: uuid_to_bytes(registration.directory_id),
        endpoints: registration.endpoints.iter().map(endpoint_to_proto).collect(),
        rack: registration.rack.as_ref().map(string),
        previous_broker_epoch: registration.previous_broker_epoch.get(),
        replicas: registration.replicas.iter().map(report_to_proto).collect(),
        may_lack_logs: registration.may_lack_logs,
    }
}

fn registration_from_proto(registration: proto::BrokerRegistration) -> Result<BrokerRegistration, CodecError> {
    Ok(BrokerRegistration {
        broker_id: BrokerId(registration.broker_id),
        cluster_id: registration.cluster_id.map(text),
        incarnation_id: uuid(&registration.incarnation_id)?,
        directory_id: uuid(&registration.directory_id)?,
        endpoints: endpoints(registration.endpoints)?,
        rack: registration.rack.map(text),
        previous_broker_epoch: BrokerEpoch(registration.previous_broker_epoch),
        replicas: reports(registration.replicas)?,
        may_lack_logs: registration.may_lack_logs,
    })
}

fn alter_to_proto(alter: &AlterPartition) -> proto::AlterPartition {
    let member = |member: &IsrMember| proto::BrokerIdentity {
        broker_id: member.broker_id.get(),
        broker_epoch: member.broker_epoch.get(),
    };
    let alteration = |alteration: &PartitionAlteration| proto::PartitionAlteration {
        partition: Some(partition_to_proto(&alteration.partition)),
        leader_epoch: alteration.leader_epoch.get(),
        partition_epoch: alteration.partition_epoch.get(),
        new_isr: alteration.new_isr.iter().map(member).collect(),
        leader_recovery: i32::from(alteration.leader_recovery.code()),
    };
    proto::AlterPartition {
        broker: Some(identity_to_proto(&alter.broker)),
        partitions: alter.partitions.iter().map(alteration).collect(),
    }
}

fn alter_from_proto(alter: proto::AlterPartition) -> Result<AlterPartition, CodecError> {
    let member = |member: proto::BrokerIdentity| IsrMember {
        broker_id: BrokerId(member.broker_id),
        broker_epoch: BrokerEpoch(member.broker_epoch),
    };
    let alteration = |alteration: proto::PartitionAlteration| {
        Ok(PartitionAlteration {
            partition: partition(alteration.partition)?,
            leader_epoch: LeaderEpoch(alteration.leader_epoch),
            partition_epoch: PartitionEpoch(alteration.partition_epoch),
            new_isr: alteration.new_isr.into_iter().map(member).collect(),
            leader_recovery: recovery(alteration.leader_recovery)?,
        })
    };
    Ok(AlterPartition {
        broker: some_identity(alter.broker)?,
        partitions: alter.partitions.into_iter().map(alteration).collect::<Result<_, CodecError>>()?,
    })
}
