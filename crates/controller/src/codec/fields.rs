//! The small parts that records, requests and responses share.

use bytes::Bytes;
use tidelog_internal_api::metadata as proto;
use tidelog_metadata::{BrokerIdentity, Endpoint, LeaderRecovery, LogPosition, Node, ReplicaReport, TopicIdPartition};
use tidelog_wire::types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionIndex};
use tidelog_wire::{Str, Uuid};

use super::CodecError;

pub(super) fn uuid_to_bytes(uuid: Uuid) -> Bytes {
    Bytes::copy_from_slice(&uuid.0)
}

pub(super) fn uuid(bytes: &[u8]) -> Result<Uuid, CodecError> {
    bytes.try_into().map(Uuid).map_err(|_| CodecError::Field("uuid"))
}

pub(super) fn uuids(ids: Vec<Bytes>) -> Result<Vec<Uuid>, CodecError> {
    ids.iter().map(|id| uuid(id)).collect()
}

pub(super) fn text(string: String) -> Str {
    Str::from(string)
}

pub(super) fn string(text: &Str) -> String {
    text.as_str().to_owned()
}

pub(super) fn small<T: TryFrom<i32>>(value: i32, field: &'static str) -> Result<T, CodecError> {
    T::try_from(value).map_err(|_| CodecError::Field(field))
}

pub(super) fn ids_to_proto(ids: &[BrokerId]) -> Vec<i32> {
    ids.iter().map(|id| id.get()).collect()
}

pub(super) fn ids(ids: Vec<i32>) -> Vec<BrokerId> {
    ids.into_iter().map(BrokerId).collect()
}

pub(super) fn node_to_proto(node: &Node) -> proto::Node {
    proto::Node { id: node.id.get(), is_broker: node.is_broker, is_controller: node.is_controller }
}

pub(super) fn node(node: &proto::Node) -> Node {
    Node { id: BrokerId(node.id), is_broker: node.is_broker, is_controller: node.is_controller }
}

pub(super) fn endpoint_to_proto(endpoint: &Endpoint) -> proto::Endpoint {
    proto::Endpoint {
        listener: string(&endpoint.listener),
        host: string(&endpoint.host),
        port: u32::from(endpoint.port),
        security_protocol: i32::from(endpoint.security_protocol),
    }
}

pub(super) fn endpoints(endpoints: Vec<proto::Endpoint>) -> Result<Vec<Endpoint>, CodecError> {
    let endpoint = |endpoint: proto::Endpoint| {
        Ok(Endpoint {
            listener: text(endpoint.listener),
            host: text(endpoint.host),
            port: u16::try_from(endpoint.port).map_err(|_| CodecError::Field("port"))?,
            security_protocol: small(endpoint.security_protocol, "security protocol")?,
        })
    };
    endpoints.into_iter().map(endpoint).collect()
}

pub(super) fn identity_to_proto(broker: &BrokerIdentity) -> proto::BrokerIdentity {
    proto::BrokerIdentity { broker_id: broker.broker_id.get(), broker_epoch: broker.broker_epoch.get() }
}

pub(super) fn identity(broker: proto::BrokerIdentity) -> BrokerIdentity {
    BrokerIdentity { broker_id: BrokerId(broker.broker_id), broker_epoch: BrokerEpoch(broker.broker_epoch) }
}

pub(super) fn some_identity(broker: Option<proto::BrokerIdentity>) -> Result<BrokerIdentity, CodecError> {
    broker.map(identity).ok_or(CodecError::Field("broker"))
}

pub(super) fn partition_to_proto(partition: &TopicIdPartition) -> proto::TopicPartition {
    proto::TopicPartition { topic_id: uuid_to_bytes(partition.topic_id), partition: partition.partition.get() }
}

pub(super) fn partition(partition: Option<proto::TopicPartition>) -> Result<TopicIdPartition, CodecError> {
    let partition = partition.ok_or(CodecError::Field("partition"))?;
    Ok(TopicIdPartition { topic_id: uuid(&partition.topic_id)?, partition: PartitionIndex(partition.partition) })
}

pub(super) fn position_to_proto(position: &LogPosition) -> proto::LogPosition {
    proto::LogPosition { last_epoch: position.last_epoch.get(), log_end: position.log_end.get() }
}

pub(super) fn position(position: Option<proto::LogPosition>) -> Result<LogPosition, CodecError> {
    let position = position.ok_or(CodecError::Field("log position"))?;
    Ok(LogPosition { last_epoch: LeaderEpoch(position.last_epoch), log_end: Offset(position.log_end) })
}

pub(super) fn report_to_proto(report: &ReplicaReport) -> proto::ReplicaReport {
    proto::ReplicaReport {
        partition: Some(partition_to_proto(&report.partition)),
        unclean: report.unclean,
        position: Some(position_to_proto(&report.position)),
    }
}

pub(super) fn reports(reports: Vec<proto::ReplicaReport>) -> Result<Vec<ReplicaReport>, CodecError> {
    let report = |report: proto::ReplicaReport| {
        Ok(ReplicaReport {
            partition: partition(report.partition)?,
            unclean: report.unclean,
            position: position(report.position)?,
        })
    };
    reports.into_iter().map(report).collect()
}

pub(super) fn recovery(code: i32) -> Result<LeaderRecovery, CodecError> {
    LeaderRecovery::from_code(small(code, "leader recovery")?).ok_or(CodecError::Field("leader recovery"))
}
