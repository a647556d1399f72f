//! ConsumerGroupHeartbeat: joins, stays, changes what it subscribes to, says what it owns, hears what it is to own, and
//! leaves.
//!
//! A request is full when it joins or says everything; otherwise a field that is not set is as it was. An answer carries
//! the assignment when the request was full or the assignment has just changed.

use tidelog_wire::Str;
use tidelog_wire::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use tidelog_wire::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use super::decision::Decision;
use super::join::{admit, open};
use super::leave::leave;
use super::member::{JOIN_EPOCH, Subscription};
use super::partitions::Partitions;
use super::refusal::Refusal;
use super::validate::validate;
use crate::group::Groups;
use crate::turn::Turn;
use crate::{Caller, Response};

pub(crate) fn heartbeat(
    groups: &mut Groups,
    turn: &mut Turn,
    caller: &Caller,
    request: &ConsumerGroupHeartbeatRequest,
) {
    let response = match validate(turn.config, caller.version, request) {
        Ok(()) if request.member_epoch < JOIN_EPOCH => leave(groups, turn, request),
        Ok(()) => stay(groups, turn, caller, request),
        Err(refusal) => Err(refusal),
    };
    let response = response.unwrap_or_else(ConsumerGroupHeartbeatResponse::from);
    turn.outcome.reply(caller.request, Response::ConsumerGroupHeartbeat(response));
}

/// Joins or goes on.
fn stay(
    groups: &mut Groups,
    turn: &mut Turn,
    caller: &Caller,
    request: &ConsumerGroupHeartbeatRequest,
) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
    let group_id = request.group_id.detached();
    if request.member_epoch == JOIN_EPOCH {
        open(groups, turn, &group_id, request.instance_id.as_ref())?;
    }
    // Kafka tells a member whose session ended, and whose group went or turned back meanwhile, GROUP_ID_NOT_FOUND: its
    // client gives up for good (Java) or asks the same for ever (librdkafka before 2.14.3) instead of joining again.
    let group = groups.consumer_mut(&group_id).ok_or_else(|| Refusal::unknown_member(&group_id, &request.member_id))?;
    let mut decision = Decision { group_id: &group_id, group, turn };
    let member_id = match request.member_id.is_empty() {
        true => Str::from(caller.fresh_member_id.to_string()),
        false => request.member_id.detached(),
    };
    let owned = owned(request);
    admit(&mut decision, &member_id, request, owned.as_ref())?;
    let before = decision.group.members.get(&member_id).map(|member| &member.subscription);
    let subscription = subscription(before, caller, request);
    decision.bring_up_to_date(&member_id, subscription);
    let is_changed = decision.reconcile(&member_id, owned.as_ref())?;
    decision.expect_heartbeat(&member_id);
    Ok(response(&decision, member_id, is_changed || is_full(request)))
}

fn owned(request: &ConsumerGroupHeartbeatRequest) -> Option<Partitions> {
    let topics = request.topic_partitions.as_ref()?;
    Some(topics.iter().map(|topic| (topic.topic_id, topic.partitions.clone())).collect())
}

fn is_full(request: &ConsumerGroupHeartbeatRequest) -> bool {
    let says_topics = request.subscribed_topic_names.is_some() || request.subscribed_topic_regex.is_some();
    request.member_epoch == JOIN_EPOCH
        || (request.rebalance_timeout_ms != -1 && says_topics && request.topic_partitions.is_some())
}

fn subscription(
    before: Option<&Subscription>,
    caller: &Caller,
    request: &ConsumerGroupHeartbeatRequest,
) -> Subscription {
    // Who joins says everything.
    let before = before.filter(|_| request.member_epoch != JOIN_EPOCH);
    let mut now = Subscription { classic: None, ..before.cloned().unwrap_or_default() };
    let own = |text: &Str| text.detached();
    if now.client_id != *caller.client_id {
        now.client_id = caller.client_id.to_owned().into();
    }
    if now.client_host != *caller.client_host {
        now.client_host = caller.client_host.to_owned().into();
    }
    now.instance_id = request.instance_id.as_ref().map(own).or(now.instance_id);
    now.rack_id = request.rack_id.as_ref().map(own).or(now.rack_id);
    now.server_assignor = request.server_assignor.as_ref().map(own).or(now.server_assignor);
    if request.rebalance_timeout_ms != -1 {
        now.rebalance_timeout_ms = request.rebalance_timeout_ms;
    }
    if let Some(names) = &request.subscribed_topic_names {
        now.topic_names = names.iter().map(own).collect();
        now.topic_names.sort_unstable();
        now.topic_names.dedup();
    }
    if let Some(regex) = &request.subscribed_topic_regex {
        now.topic_regex = (!regex.is_empty()).then(|| regex.detached());
    }
    now
}

fn response(decision: &Decision<'_, '_>, member_id: Str, has_assignment: bool) -> ConsumerGroupHeartbeatResponse {
    let current = decision.group.members.get(&member_id).map(|member| &member.current);
    let assignment = current.filter(|_| has_assignment).map(|current| Assignment {
        topic_partitions: current
            .assigned
            .iter()
            .map(|(topic_id, partitions)| TopicPartitions { topic_id: *topic_id, partitions: partitions.clone() })
            .collect(),
    });
    let config = decision.turn.config;
    let settings = decision.turn.topics.group_settings(decision.group_id);
    ConsumerGroupHeartbeatResponse {
        member_epoch: current.map_or(JOIN_EPOCH, |current| current.epoch),
        member_id: Some(member_id),
        heartbeat_interval_ms: settings.heartbeat_interval_ms.unwrap_or(config.consumer_heartbeat_interval_ms),
        assignment,
        ..Default::default()
    }
}
