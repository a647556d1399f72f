//! A member leaves, or is made to.
//!
//! A static member that goes with epoch -2 keeps its partitions until its session times out: another that comes with the
//! same instance id takes its place, and nobody else notices.

use tidelog_wire::Str;
use tidelog_wire::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use super::decision::Decision;
use super::join::{known_member, static_member};
use super::member::{Current, MemberState, STATIC_LEAVE_EPOCH};
use super::migration::downgrade_if_classic;
use super::partitions::Partitions;
use super::refusal::Refusal;
use super::subscribed;
use crate::group::Groups;
use crate::turn::Turn;

pub fn leave(
    groups: &mut Groups,
    turn: &mut Turn,
    request: &ConsumerGroupHeartbeatRequest,
) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
    let group_id = request.group_id.detached();
    let group = groups.consumer_mut(&group_id).ok_or_else(|| Refusal::unknown_group(&group_id))?;
    let mut decision = Decision { group_id: &group_id, group, turn };
    let member_id = request.member_id.detached();
    match &request.instance_id {
        Some(instance_id) => static_member(&decision, &member_id, instance_id)?,
        None => known_member(&decision, &member_id)?,
    };
    match request.member_epoch {
        STATIC_LEAVE_EPOCH => go_away(&mut decision, &member_id),
        _ => {
            remove(&mut decision, &member_id);
            downgrade_if_classic(groups, turn, &group_id);
        }
    }
    Ok(ConsumerGroupHeartbeatResponse {
        member_id: Some(member_id),
        member_epoch: request.member_epoch,
        ..Default::default()
    })
}

/// The others get what the member had, beginning with the next heartbeat of any of them. Only then are they looked at:
/// thousands of members may go at once.
pub fn remove(decision: &mut Decision<'_, '_>, member_id: &Str) {
    let regex = decision.group.members.get(member_id).and_then(|member| member.subscription.topic_regex.clone());
    decision.remove_member(member_id);
    if let Some(regex) = regex {
        subscribed::forget_if_unused(decision, regex);
    }
    decision.bump_epoch(decision.group.epoch.metadata_hash);
    decision.group.is_metadata_stale = true;
}

/// The session's timer goes on: who does not come back in time is removed.
fn go_away(decision: &mut Decision<'_, '_>, member_id: &Str) {
    let Some(member) = decision.group.members.get(member_id) else { return };
    let current = Current {
        epoch: STATIC_LEAVE_EPOCH,
        previous_epoch: member.current.epoch,
        state: MemberState::Stable,
        assigned: member.current.assigned.clone(),
        // A process that is gone owns nothing it was to give up.
        revoking: Partitions::default(),
    };
    decision.set_current(member_id, current);
    decision.expect_action(member_id, false);
}
