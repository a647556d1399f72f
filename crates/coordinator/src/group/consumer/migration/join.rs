//! JoinGroup of a classic consumer: says what it subscribes to and still owns, and learns the epoch it is in now. There
//! is no leader among the members.

use bytes::Bytes;
use tidelog_wire::messages::{ConsumerProtocolSubscription, JoinGroupRequest, JoinGroupResponse};
use tidelog_wire::{ErrorCode, Str};

use super::super::ConsumerGroup;
use super::super::decision::Decision;
use super::super::join::replace;
use super::super::member::{ClassicMember, Subscription};
use super::{CONSUMER, downgrade_if_classic, embedded};
use crate::group::{Groups, classic};
use crate::turn::Turn;
use crate::{Caller, Response};

pub(crate) fn join(
    groups: &mut Groups,
    turn: &mut Turn,
    caller: &Caller,
    request: &JoinGroupRequest,
) -> Result<(), ErrorCode> {
    let group_id = request.group_id.detached();
    let group = groups.consumer_mut(&group_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
    let said = check_protocols(group, request)?;
    let mut decision = Decision { group_id: &group_id, group, turn };
    let Some(member_id) = admit(&mut decision, caller, request)? else { return Ok(()) };
    decision.bring_up_to_date(&member_id, subscription(caller, request, &said));
    let owned = embedded::owned(&said, decision.turn.topics);
    // Only a member in a state of the future is fenced: it comes back as a new one.
    decision.reconcile(&member_id, Some(&owned)).map_err(|_| ErrorCode::UNKNOWN_MEMBER_ID)?;
    decision.expect_heartbeat(&member_id);
    // It has to ask for its assignment, or to give up what it was told to, in that time.
    decision.expect_action(&member_id, true);
    let response = joined(&decision, member_id, request);
    turn.outcome.reply(caller.request, Response::JoinGroup(response));
    downgrade_if_classic(groups, turn, &group_id);
    Ok(())
}

/// Classic members must have a client-side assignor in common, for the day when they are among themselves again.
fn check_protocols(
    group: &ConsumerGroup,
    request: &JoinGroupRequest,
) -> Result<ConsumerProtocolSubscription, ErrorCode> {
    let classic = || group.members.values().filter_map(|member| member.subscription.classic.as_ref());
    let is_common = |name: &Str| classic().all(|member| member.protocols.iter().any(|(known, _)| known == name));
    if request.protocol_type != CONSUMER || !request.protocols.iter().any(|protocol| is_common(&protocol.name)) {
        return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    }
    let first = request.protocols.first().ok_or(ErrorCode::INCONSISTENT_GROUP_PROTOCOL)?;
    embedded::subscription(&first.metadata).map_err(|_| ErrorCode::INCONSISTENT_GROUP_PROTOCOL)
}

/// The member's id; `None` if the client was given one to come back with.
fn admit(
    decision: &mut Decision<'_, '_>,
    caller: &Caller,
    request: &JoinGroupRequest,
) -> Result<Option<Str>, ErrorCode> {
    let holder = request.group_instance_id.as_ref().map(|it| decision.group.static_members.get(it).cloned());
    let is_new = match &holder {
        Some(holder) => holder.is_none(),
        None => !decision.group.members.contains_key(&request.member_id),
    };
    if is_new && decision.group.members.len() >= decision.turn.config.consumer_max_size {
        return Err(ErrorCode::GROUP_MAX_SIZE_REACHED);
    }
    if !request.member_id.is_empty() {
        return match holder.flatten() {
            Some(holder) if holder != request.member_id => Err(ErrorCode::FENCED_INSTANCE_ID),
            _ => Ok(Some(request.member_id.detached())),
        };
    }
    let member_id = classic::new_member_id(caller, request);
    if let Some(holder) = holder.flatten() {
        replace(decision, &holder, &member_id);
    } else if request.group_instance_id.is_none() && caller.version >= classic::MEMBER_ID_REQUIRED_FROM {
        let response = classic::refused(ErrorCode::MEMBER_ID_REQUIRED, member_id);
        decision.turn.outcome.reply(caller.request, Response::JoinGroup(response));
        return Ok(None);
    }
    Ok(Some(member_id))
}

fn subscription(caller: &Caller, request: &JoinGroupRequest, said: &ConsumerProtocolSubscription) -> Subscription {
    let mut topic_names: Vec<Str> = said.topics.iter().map(Str::detached).collect();
    topic_names.sort_unstable();
    topic_names.dedup();
    let protocols =
        request.protocols.iter().map(|it| (it.name.detached(), Bytes::copy_from_slice(&it.metadata))).collect();
    Subscription {
        instance_id: request.group_instance_id.as_ref().map(Str::detached),
        rack_id: said.rack_id.as_ref().map(Str::detached),
        client_id: caller.client_id.to_owned().into(),
        client_host: caller.client_host.to_owned().into(),
        topic_names,
        topic_regex: None,
        rebalance_timeout_ms: match request.rebalance_timeout_ms {
            // Version 0 has only the session timeout.
            ..0 => request.session_timeout_ms,
            timeout_ms => timeout_ms,
        },
        server_assignor: None,
        classic: Some(ClassicMember { session_timeout_ms: request.session_timeout_ms, protocols }),
    }
}

fn joined(decision: &Decision<'_, '_>, member_id: Str, request: &JoinGroupRequest) -> JoinGroupResponse {
    let epoch = decision.group.members.get(&member_id).map_or(0, |member| member.current.epoch);
    JoinGroupResponse {
        generation_id: epoch,
        protocol_type: Some(Str::from_static(CONSUMER)),
        protocol_name: request.protocols.first().map(|protocol| protocol.name.clone()),
        leader: Str::default(),
        member_id,
        ..Default::default()
    }
}
