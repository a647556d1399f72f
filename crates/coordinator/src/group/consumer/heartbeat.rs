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
use super::member::{JOIN_EPOCH, MemberState, Subscription};
use super::partitions::Partitions;
use super::reconcile::{self, Surroundings};
use super::refusal::Refusal;
use super::validate::validate;
use super::{subscribed, target};
use crate::group::Groups;
use crate::turn::Turn;
use crate::{Caller, Response};

pub(crate) fn heartbeat(groups: &mut Groups, turn: &mut Turn, caller: &Caller, request: ConsumerGroupHeartbeatRequest) {
    let response = match validate(turn.config, caller.version, &request) {
        Ok(()) if request.member_epoch < JOIN_EPOCH => leave(groups, turn, &request),
        Ok(()) => stay(groups, turn, caller, &request),
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
        open(groups, turn, &group_id)?;
    }
    let group = groups.consumer_mut(&group_id).ok_or_else(|| Refusal::unknown_group(&group_id))?;
    let mut decision = Decision { group_id: &group_id, group, turn };
    let member_id = match request.member_id.is_empty() {
        true => Str::from(caller.fresh_member_id.to_string()),
        false => request.member_id.detached(),
    };
    let owned = owned(request);
    admit(&mut decision, &member_id, request, owned.as_ref())?;
    update_subscription(&mut decision, &member_id, caller, request);
    target::update(&mut decision);
    let is_changed = reconcile(&mut decision, &member_id, owned.as_ref())?;
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

fn update_subscription(
    decision: &mut Decision<'_, '_>,
    member_id: &Str,
    caller: &Caller,
    request: &ConsumerGroupHeartbeatRequest,
) {
    let before = decision.group.members.get(member_id).map(|member| &member.subscription);
    let subscription = subscription(before, caller, request);
    let is_changed = before.is_none_or(|before| subscription.assigns_differently_from(before));
    decision.set_subscription(member_id, subscription);
    subscribed::refresh(decision, is_changed);
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

/// One step towards the target; whether that changed what the member may own.
fn reconcile(decision: &mut Decision<'_, '_>, member_id: &Str, owned: Option<&Partitions>) -> Result<bool, Refusal> {
    let group = &*decision.group;
    let Some(member) = group.members.get(member_id) else { return Ok(false) };
    let around = Surroundings {
        target_epoch: group.target_epoch.epoch,
        target: group.target_of(member_id),
        owned,
        is_free: &|topic, partition| group.owners.get(&(topic, partition)).is_none_or(|owner| owner == member_id),
    };
    let next = reconcile::next(&member.current, &around).map_err(|_| {
        Refusal::fenced("The member is in a state that is not known. It must abandon all its partitions and rejoin.")
    })?;
    if next == member.current {
        return Ok(false);
    }
    let is_assignment_changed = next.assigned != member.current.assigned;
    let must_revoke = next.state == MemberState::UnrevokedPartitions;
    decision.set_current(member_id, next);
    decision.expect_revocation(member_id, must_revoke);
    Ok(is_assignment_changed)
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
    ConsumerGroupHeartbeatResponse {
        member_epoch: current.map_or(JOIN_EPOCH, |current| current.epoch),
        member_id: Some(member_id),
        heartbeat_interval_ms: decision.turn.config.consumer_heartbeat_interval_ms,
        assignment,
        ..Default::default()
    }
}
