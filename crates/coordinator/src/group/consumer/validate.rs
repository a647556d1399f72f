//! What is wrong with a ConsumerGroupHeartbeat, whatever the group.

use tidelog_wire::messages::ConsumerGroupHeartbeatRequest;
use tidelog_wire::{ErrorCode, Str};

use super::assignor::Assignor;
use super::member::{JOIN_EPOCH, LEAVE_EPOCH, STATIC_LEAVE_EPOCH};
use super::pattern::Pattern;
use super::refusal::Refusal;
use crate::GroupConfig;

/// From this version on members make their ids themselves.
const CLIENT_MADE_MEMBER_ID_VERSION: i16 = 1;

pub fn validate(config: &GroupConfig, version: i16, request: &ConsumerGroupHeartbeatRequest) -> Result<(), Refusal> {
    let needs_member_id = version >= CLIENT_MADE_MEMBER_ID_VERSION || request.member_epoch != JOIN_EPOCH;
    if needs_member_id && is_blank(&request.member_id) {
        return Err(Refusal::invalid("MemberId can't be empty."));
    }
    if is_blank(&request.group_id) {
        return Err(Refusal::invalid("GroupId can't be empty."));
    }
    if request.instance_id.as_ref().is_some_and(is_blank) {
        return Err(Refusal::invalid("InstanceId can't be empty."));
    }
    if request.rack_id.as_ref().is_some_and(is_blank) {
        return Err(Refusal::invalid("RackId can't be empty."));
    }
    match request.member_epoch {
        JOIN_EPOCH => validate_join(request)?,
        LEAVE_EPOCH => {}
        STATIC_LEAVE_EPOCH if request.instance_id.is_none() => {
            return Err(Refusal::invalid("InstanceId can't be null."));
        }
        STATIC_LEAVE_EPOCH => {}
        epoch if epoch < STATIC_LEAVE_EPOCH => {
            return Err(Refusal::invalid(format!("MemberEpoch is {epoch}, which is no epoch.")));
        }
        _ => {}
    }
    validate_assignor(config, request.server_assignor.as_ref())?;
    validate_regex(request.subscribed_topic_regex.as_ref())
}

fn validate_join(request: &ConsumerGroupHeartbeatRequest) -> Result<(), Refusal> {
    if request.rebalance_timeout_ms == -1 {
        return Err(Refusal::invalid("RebalanceTimeoutMs must be provided in first request."));
    }
    if request.topic_partitions.as_ref().is_none_or(|topics| !topics.is_empty()) {
        return Err(Refusal::invalid("TopicPartitions must be empty when (re-)joining."));
    }
    // Both may be empty: such a member belongs to the group and gets nothing.
    if request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none() {
        return Err(Refusal::invalid("SubscribedTopicNames or SubscribedTopicRegex must be set when (re-)joining."));
    }
    Ok(())
}

fn validate_assignor(config: &GroupConfig, assignor: Option<&Str>) -> Result<(), Refusal> {
    let Some(name) = assignor else { return Ok(()) };
    let is_known =
        Assignor::by_name(name).is_some() && config.consumer_assignors.iter().any(|known| name == known.as_str());
    if is_known {
        return Ok(());
    }
    let known = config.consumer_assignors.join(", ");
    let message = format!("ServerAssignor {name} is not supported. Supported assignors: {known}.");
    Err(Refusal::new(ErrorCode::UNSUPPORTED_ASSIGNOR, message))
}

fn validate_regex(regex: Option<&Str>) -> Result<(), Refusal> {
    let Some(regex) = regex.filter(|regex| !regex.is_empty()) else { return Ok(()) };
    Pattern::new(regex).map(drop).map_err(|error| {
        let message = format!("SubscribedTopicRegex `{regex}` is not a valid regular expression: {error}.");
        Refusal::new(ErrorCode::INVALID_REGULAR_EXPRESSION, message)
    })
}

fn is_blank(text: &Str) -> bool {
    text.trim().is_empty()
}
