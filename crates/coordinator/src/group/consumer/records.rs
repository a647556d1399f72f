//! Changes as records in Kafka's format, and back.

use bytes::Bytes;
use tidelog_wire::messages::{
    ConsumerGroupCurrentMemberAssignmentKey, ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMemberMetadataKey,
    ConsumerGroupMemberMetadataValue, ConsumerGroupMetadataKey, ConsumerGroupMetadataValue,
    ConsumerGroupRegularExpressionKey, ConsumerGroupRegularExpressionValue, ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue, ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue, consumer_group_current_member_assignment_value as current_value,
    consumer_group_member_metadata_value as member_value,
    consumer_group_target_assignment_member_value as target_value,
};
use tidelog_wire::{Reader, Schema, Str};

use super::change::{Change, GroupEpoch, ResolvedRegex, TargetEpoch};
use super::member::{ClassicMember, Current, MemberState, Subscription};
use super::partitions::Partitions;
use crate::Record;
use crate::record::{RecordKind, ReplayError, decode_key, decode_value};

pub fn encode(group_id: &Str, change: &Change) -> Record {
    let group_id = group_id.clone();
    match change {
        Change::Epoch(epoch) => {
            let value = epoch.as_ref().map(epoch_value);
            record(RecordKind::ConsumerGroupMetadata, &ConsumerGroupMetadataKey { group_id }, value)
        }
        Change::Subscription(member_id, subscription) => {
            let key = ConsumerGroupMemberMetadataKey { group_id, member_id: member_id.clone() };
            let value = subscription.as_deref().map(subscription_value);
            record(RecordKind::ConsumerGroupMemberMetadata, &key, value)
        }
        Change::Regex(regex, resolved) => {
            let key = ConsumerGroupRegularExpressionKey { group_id, regular_expression: regex.clone() };
            record(RecordKind::ConsumerGroupRegularExpression, &key, resolved.as_ref().map(regex_value))
        }
        Change::TargetEpoch(epoch) => {
            let value = epoch.as_ref().map(|epoch| ConsumerGroupTargetAssignmentMetadataValue {
                assignment_epoch: epoch.epoch,
                assignment_timestamp: epoch.assigned_at_ms,
            });
            let key = ConsumerGroupTargetAssignmentMetadataKey { group_id };
            record(RecordKind::ConsumerGroupTargetAssignmentMetadata, &key, value)
        }
        Change::Target(member_id, target) => {
            let key = ConsumerGroupTargetAssignmentMemberKey { group_id, member_id: member_id.clone() };
            record(RecordKind::ConsumerGroupTargetAssignmentMember, &key, target.as_ref().map(target_value))
        }
        Change::Current(member_id, current) => {
            let key = ConsumerGroupCurrentMemberAssignmentKey { group_id, member_id: member_id.clone() };
            record(RecordKind::ConsumerGroupCurrentMemberAssignment, &key, current.as_ref().map(current_value))
        }
    }
}

fn record<K: Schema, V: Schema>(kind: RecordKind, key: &K, value: Option<V>) -> Record {
    match value {
        Some(value) => Record::new(kind, key, 0, &value),
        None => Record::tombstone(kind, key),
    }
}

fn epoch_value(epoch: &GroupEpoch) -> ConsumerGroupMetadataValue {
    ConsumerGroupMetadataValue { epoch: epoch.epoch, metadata_hash: epoch.metadata_hash }
}

fn subscription_value(subscription: &Subscription) -> ConsumerGroupMemberMetadataValue {
    let classic = subscription.classic.as_ref().map(|classic| member_value::ClassicMemberMetadata {
        session_timeout_ms: classic.session_timeout_ms,
        supported_protocols: classic
            .protocols
            .iter()
            .map(|(name, metadata)| member_value::ClassicProtocol { name: name.clone(), metadata: metadata.clone() })
            .collect(),
    });
    ConsumerGroupMemberMetadataValue {
        instance_id: subscription.instance_id.clone(),
        rack_id: subscription.rack_id.clone(),
        client_id: subscription.client_id.clone(),
        client_host: subscription.client_host.clone(),
        subscribed_topic_names: subscription.topic_names.clone(),
        subscribed_topic_regex: subscription.topic_regex.clone(),
        rebalance_timeout_ms: subscription.rebalance_timeout_ms,
        server_assignor: subscription.server_assignor.clone(),
        classic_member_metadata: classic,
    }
}

fn regex_value(resolved: &ResolvedRegex) -> ConsumerGroupRegularExpressionValue {
    ConsumerGroupRegularExpressionValue {
        topics: resolved.topics.iter().cloned().collect(),
        version: resolved.version,
        timestamp: resolved.resolved_at_ms,
    }
}

fn target_value(target: &Partitions) -> ConsumerGroupTargetAssignmentMemberValue {
    let topics = target.iter().map(|(topic_id, partitions)| target_value::TopicPartition {
        topic_id: *topic_id,
        partitions: partitions.clone(),
    });
    ConsumerGroupTargetAssignmentMemberValue { topic_partitions: topics.collect() }
}

fn current_value(current: &Current) -> ConsumerGroupCurrentMemberAssignmentValue {
    let topics = |partitions: &Partitions| {
        let topics = partitions.iter().map(|(topic_id, partitions)| current_value::TopicPartitions {
            topic_id: *topic_id,
            partitions: partitions.clone(),
            assignment_epochs: None,
        });
        topics.collect()
    };
    ConsumerGroupCurrentMemberAssignmentValue {
        member_epoch: current.epoch,
        previous_member_epoch: current.previous_epoch,
        state: current.state.code(),
        assigned_partitions: topics(&current.assigned),
        partitions_pending_revocation: topics(&current.revoking),
    }
}

/// The group's id and what the record says of it; `None` for what this version has no use for. Everything is copied out
/// of the log's memory.
pub fn decode(kind: RecordKind, key: Reader, value: Option<Bytes>) -> Result<Option<(Str, Change)>, ReplayError> {
    let decoded = match kind {
        RecordKind::ConsumerGroupMetadata => {
            let key: ConsumerGroupMetadataKey = decode_key(key)?;
            let value = optional(value)?.map(|value: ConsumerGroupMetadataValue| GroupEpoch {
                epoch: value.epoch,
                metadata_hash: value.metadata_hash,
            });
            (key.group_id, Change::Epoch(value))
        }
        RecordKind::ConsumerGroupMemberMetadata => {
            let key: ConsumerGroupMemberMetadataKey = decode_key(key)?;
            let subscription = optional(value)?.map(|value| Box::new(subscription(value)));
            (key.group_id, Change::Subscription(key.member_id.detached(), subscription))
        }
        RecordKind::ConsumerGroupRegularExpression => {
            let key: ConsumerGroupRegularExpressionKey = decode_key(key)?;
            let resolved = optional(value)?.map(resolved_regex);
            (key.group_id, Change::Regex(key.regular_expression.detached(), resolved))
        }
        RecordKind::ConsumerGroupTargetAssignmentMetadata => {
            let key: ConsumerGroupTargetAssignmentMetadataKey = decode_key(key)?;
            let value = optional(value)?.map(|value: ConsumerGroupTargetAssignmentMetadataValue| TargetEpoch {
                epoch: value.assignment_epoch,
                assigned_at_ms: value.assignment_timestamp,
            });
            (key.group_id, Change::TargetEpoch(value))
        }
        RecordKind::ConsumerGroupTargetAssignmentMember => {
            let key: ConsumerGroupTargetAssignmentMemberKey = decode_key(key)?;
            let target = optional(value)?.map(|value: ConsumerGroupTargetAssignmentMemberValue| {
                value.topic_partitions.into_iter().map(|topic| (topic.topic_id, topic.partitions)).collect()
            });
            (key.group_id, Change::Target(key.member_id.detached(), target))
        }
        RecordKind::ConsumerGroupCurrentMemberAssignment => {
            let key: ConsumerGroupCurrentMemberAssignmentKey = decode_key(key)?;
            (key.group_id, Change::Current(key.member_id.detached(), optional(value)?.map(current)))
        }
        // Written by Kafka up to 4.0; a hash has taken its place.
        RecordKind::ConsumerGroupPartitionMetadata => return Ok(None),
        RecordKind::LegacyOffsetCommit | RecordKind::OffsetCommit | RecordKind::GroupMetadata => {
            return Err(ReplayError::UnknownKind(kind as i16));
        }
    };
    Ok(Some(decoded))
}

fn optional<V: Schema>(value: Option<Bytes>) -> Result<Option<V>, ReplayError> {
    Ok(value.map(decode_value).transpose()?)
}

fn subscription(value: ConsumerGroupMemberMetadataValue) -> Subscription {
    let mut topic_names: Vec<Str> = value.subscribed_topic_names.iter().map(Str::detached).collect();
    topic_names.sort_unstable();
    topic_names.dedup();
    let classic = value.classic_member_metadata.map(|classic| ClassicMember {
        session_timeout_ms: classic.session_timeout_ms,
        protocols: classic
            .supported_protocols
            .iter()
            .map(|protocol| (protocol.name.detached(), Bytes::copy_from_slice(&protocol.metadata)))
            .collect(),
    });
    let detached = |text: Option<Str>| text.map(|text| text.detached());
    Subscription {
        instance_id: detached(value.instance_id),
        rack_id: detached(value.rack_id),
        client_id: value.client_id.detached(),
        client_host: value.client_host.detached(),
        topic_names,
        topic_regex: detached(value.subscribed_topic_regex).filter(|regex| !regex.is_empty()),
        rebalance_timeout_ms: value.rebalance_timeout_ms,
        server_assignor: detached(value.server_assignor),
        classic,
    }
}

fn resolved_regex(value: ConsumerGroupRegularExpressionValue) -> ResolvedRegex {
    ResolvedRegex {
        topics: value.topics.iter().map(Str::detached).collect(),
        version: value.version,
        resolved_at_ms: value.timestamp,
    }
}

fn current(value: ConsumerGroupCurrentMemberAssignmentValue) -> Current {
    let partitions = |topics: Vec<current_value::TopicPartitions>| -> Partitions {
        topics.into_iter().map(|topic| (topic.topic_id, topic.partitions)).collect()
    };
    Current {
        epoch: value.member_epoch,
        previous_epoch: value.previous_member_epoch,
        state: MemberState::from_code(value.state),
        assigned: partitions(value.assigned_partitions),
        revoking: partitions(value.partitions_pending_revocation),
    }
}
