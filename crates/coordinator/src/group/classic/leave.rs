//! LeaveGroup 0-5: members go, by themselves or, from version 3 on, several at once by an administrator.
//!
//! 3 adds static members, which leave by their instance id, 5 the reason.

use tidelog_wire::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use tidelog_wire::messages::leave_group_response::{LeaveGroupResponse, MemberResponse};
use tidelog_wire::{ErrorCode, Str};

use super::{ClassicGroup, rebalance};
use crate::group::{Groups, consumer};
use crate::turn::Turn;
use crate::{Caller, Response, TimerKey};

const SEVERAL_MEMBERS_FROM: i16 = 3;

pub(crate) fn leave(groups: &mut Groups, turn: &mut Turn, caller: &Caller, request: &LeaveGroupRequest) {
    let response = if request.group_id.is_empty() {
        LeaveGroupResponse { error_code: ErrorCode::INVALID_GROUP_ID, ..Default::default() }
    } else if caller.version >= SEVERAL_MEMBERS_FROM {
        let results = leave_all(groups, turn, &request.group_id, &request.members);
        let members = request.members.iter().zip(results).map(|(member, error_code)| MemberResponse {
            member_id: member.member_id.clone(),
            group_instance_id: member.group_instance_id.clone(),
            error_code,
        });
        LeaveGroupResponse { members: members.collect(), ..Default::default() }
    } else {
        let member = MemberIdentity { member_id: request.member_id.clone(), ..Default::default() };
        let results = leave_all(groups, turn, &request.group_id, &[member]);
        LeaveGroupResponse { error_code: results.into_iter().next().unwrap_or_default(), ..Default::default() }
    };
    turn.outcome.reply(caller.request, Response::LeaveGroup(response));
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    Member,
    /// It had a member id and had not joined with it; the members need not notice.
    Pending,
}

/// One rebalance for all of them.
fn leave_all(groups: &mut Groups, turn: &mut Turn, group_id: &Str, leaving: &[MemberIdentity]) -> Vec<ErrorCode> {
    if groups.has_new_protocol(group_id) {
        return consumer::leave_classic(groups, turn, group_id, leaving);
    }
    let Some(group) = groups.classic_mut(group_id) else {
        return vec![ErrorCode::UNKNOWN_MEMBER_ID; leaving.len()];
    };
    let results: Vec<_> = leaving.iter().map(|member| leave_one(group, turn, member)).collect();
    if results.contains(&Ok(Left::Member)) {
        rebalance::prepare_or_complete(group, turn);
    } else {
        rebalance::complete_if_everybody_joined(group, turn);
    }
    groups.remove_if_unused(group_id);
    results.into_iter().map(|result| result.err().unwrap_or(ErrorCode::NONE)).collect()
}

fn leave_one(group: &mut ClassicGroup, turn: &mut Turn, leaving: &MemberIdentity) -> Result<Left, ErrorCode> {
    let member_id = match &leaving.group_instance_id {
        // An administrator knows the instance, not the member id that it has at present.
        Some(instance_id) if leaving.member_id.is_empty() => {
            group.static_members.get(instance_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?.clone()
        }
        _ => leaving.member_id.clone(),
    };
    if group.pending.remove(&member_id).is_some() {
        turn.outcome.cancel(TimerKey::PendingMember { group: group.id.clone(), member: member_id.detached() });
        return Ok(Left::Pending);
    }
    group.check_member(&member_id, leaving.group_instance_id.as_deref())?;
    rebalance::remove_member(group, turn, &member_id);
    Ok(Left::Member)
}
