//! LeaveGroup in a KIP-848 group: classic members go, and administrators remove static members of either protocol.

use tidelog_wire::messages::leave_group_request::MemberIdentity;
use tidelog_wire::{ErrorCode, Str};

use super::super::ConsumerGroup;
use super::super::decision::Decision;
use super::super::subscribed;
use super::{classic_member, downgrade_if_classic};
use crate::group::Groups;
use crate::turn::Turn;

/// One new epoch for all of them.
pub(crate) fn leave(
    groups: &mut Groups,
    turn: &mut Turn,
    group_id: &Str,
    leaving: &[MemberIdentity],
) -> Vec<ErrorCode> {
    let group_id = group_id.detached();
    let Some(group) = groups.consumer_mut(&group_id) else { return vec![ErrorCode::UNKNOWN_MEMBER_ID; leaving.len()] };
    let mut decision = Decision { group_id: &group_id, group, turn };
    let results: Vec<ErrorCode> = leaving.iter().map(|member| leave_one(&mut decision, member)).collect();
    if results.iter().any(|result| result.is_none()) {
        subscribed::refresh(&mut decision, true);
    }
    downgrade_if_classic(groups, turn, &group_id);
    results
}

fn leave_one(decision: &mut Decision<'_, '_>, leaving: &MemberIdentity) -> ErrorCode {
    match who(decision.group, leaving) {
        Ok(member_id) => {
            decision.remove_member(&member_id);
            ErrorCode::NONE
        }
        Err(error_code) => error_code,
    }
}

fn who(group: &ConsumerGroup, leaving: &MemberIdentity) -> Result<Str, ErrorCode> {
    match &leaving.group_instance_id {
        // An administrator knows the instance, not the member id that it has at present.
        Some(instance_id) if leaving.member_id.is_empty() => {
            group.static_members.get(instance_id).cloned().ok_or(ErrorCode::UNKNOWN_MEMBER_ID)
        }
        instance_id => {
            let member_id = leaving.member_id.detached();
            classic_member(group, &member_id, instance_id.as_ref())?;
            Ok(member_id)
        }
    }
}
