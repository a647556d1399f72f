//! Heartbeat of a classic consumer: whether it has to join again.

use tidelog_wire::ErrorCode;
use tidelog_wire::messages::HeartbeatRequest;

use super::super::ConsumerGroup;
use super::super::decision::Decision;
use super::super::member::MemberState;
use super::super::subscribed;
use super::{check_generation, classic_member};
use crate::group::Groups;
use crate::turn::Turn;

pub(crate) fn heartbeat(groups: &mut Groups, turn: &mut Turn, request: &HeartbeatRequest) -> Result<(), ErrorCode> {
    let group_id = request.group_id.detached();
    let group = groups.consumer_mut(&group_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
    let member_id = request.member_id.detached();
    let (member, _) = classic_member(group, &member_id, request.group_instance_id.as_ref())?;
    check_generation(member, request.generation_id)?;
    let mut decision = Decision { group_id: &group_id, group, turn };
    decision.expect_heartbeat(&member_id);
    subscribed::refresh(&mut decision, false);
    if !must_join(decision.group, &member_id) {
        return Ok(());
    }
    if !decision.is_action_expected(&member_id) {
        decision.expect_action(&member_id, true);
    }
    Err(ErrorCode::REBALANCE_IN_PROGRESS)
}

/// The group has moved on, the member has to give something up, or what it waited for has become free.
fn must_join(group: &ConsumerGroup, member_id: &str) -> bool {
    let Some(member) = group.members.get(member_id) else { return false };
    let is_free = |topic, partition| group.owners.get(&(topic, partition)).is_none_or(|owner| owner == member_id);
    match member.current.state {
        _ if member.current.epoch < group.epoch.epoch => true,
        MemberState::UnrevokedPartitions => true,
        MemberState::UnreleasedPartitions => {
            let missing = group.target_of(member_id).difference(&member.current.assigned);
            missing.filtered(is_free) == missing
        }
        MemberState::Stable | MemberState::Unknown => false,
    }
}
