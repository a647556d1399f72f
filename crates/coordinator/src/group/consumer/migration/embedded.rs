//! What classic consumers tell each other inside of JoinGroup and SyncGroup: here the coordinator reads and writes it.

use bytes::Bytes;
use tidelog_wire::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription, consumer_protocol_assignment};
use tidelog_wire::{DecodeError, Message, Reader, Schema, Writer};

use super::super::partitions::Partitions;
use crate::Topics;

/// Later versions begin with what the last one known is, whatever they add.
fn version_of<M: Schema>(reader: &mut Reader) -> Result<i16, DecodeError> {
    let version = reader.i16()?;
    match version < 0 {
        true => Err(DecodeError::UnsupportedVersion { schema: M::NAME, version }),
        false => Ok(version.min(*M::VERSIONS.end())),
    }
}

pub fn subscription(metadata: &Bytes) -> Result<ConsumerProtocolSubscription, DecodeError> {
    let mut reader = Reader::new(metadata.clone());
    let version = version_of::<ConsumerProtocolSubscription>(&mut reader)?;
    ConsumerProtocolSubscription::decode(&mut reader, version)
}

/// Partitions of topics that exist.
pub fn owned(subscription: &ConsumerProtocolSubscription, topics: &dyn Topics) -> Partitions {
    let owned = subscription.owned_partitions.iter();
    owned.filter_map(|topic| Some((topics.id(&topic.topic)?, topic.partitions.clone()))).collect()
}

/// A member that was never assigned anything has no bytes at all.
pub fn assignment(bytes: &Bytes) -> Result<ConsumerProtocolAssignment, DecodeError> {
    if bytes.is_empty() {
        return Ok(ConsumerProtocolAssignment::default());
    }
    let mut reader = Reader::new(bytes.clone());
    let version = version_of::<ConsumerProtocolAssignment>(&mut reader)?;
    ConsumerProtocolAssignment::decode(&mut reader, version)
}

pub fn assigned(assignment: &ConsumerProtocolAssignment, topics: &dyn Topics) -> Partitions {
    let assigned = assignment.assigned_partitions.iter();
    assigned.filter_map(|topic| Some((topics.id(&topic.topic)?, topic.partitions.clone()))).collect()
}

/// In the version in which the member subscribes, for it reads no later one.
pub fn encode_assignment(partitions: &Partitions, metadata: &Bytes, topics: &dyn Topics) -> Bytes {
    let version = version_of::<ConsumerProtocolAssignment>(&mut Reader::new(metadata.clone())).unwrap_or(0);
    let named = partitions.iter().filter_map(|(topic_id, partitions)| {
        let topic = topics.name(*topic_id)?;
        Some(consumer_protocol_assignment::TopicPartition { topic, partitions: partitions.clone() })
    });
    let assignment = ConsumerProtocolAssignment { assigned_partitions: named.collect(), user_data: None };
    let mut writer = Writer::with_capacity(64);
    writer.i16(version);
    match assignment.encode(&mut writer, version) {
        Ok(()) => writer.into_bytes(),
        // Names of topics are short.
        Err(_) => Bytes::new(),
    }
}
