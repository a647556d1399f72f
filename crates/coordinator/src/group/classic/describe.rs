//! DescribeGroups 0-6, one group. Version 6 says GROUP_ID_NOT_FOUND where earlier ones show a dead group.

use tidelog_wire::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use tidelog_wire::{ErrorCode, Str};

use super::ClassicGroup;
use super::member::Member;
use super::state::State;
use crate::group::Groups;

const NOT_FOUND_FROM: i16 = 6;

pub(crate) fn describe(groups: &Groups, version: i16, group_id: &Str) -> DescribedGroup {
    match groups.classic(group_id) {
        Some(group) => described(group),
        None if version >= NOT_FOUND_FROM => {
            let is_other_kind = groups.get(group_id).is_some();
            let why = if is_other_kind { "is not a classic group" } else { "not found" };
            DescribedGroup {
                error_code: ErrorCode::GROUP_ID_NOT_FOUND,
                error_message: Some(Str::from(format!("Group {group_id} {why}."))),
                group_id: group_id.clone(),
                group_state: "Dead".into(),
                ..Default::default()
            }
        }
        None => DescribedGroup { group_id: group_id.clone(), group_state: "Dead".into(), ..Default::default() },
    }
}

/// What members support and have been assigned is shown while it holds.
fn described(group: &ClassicGroup) -> DescribedGroup {
    let protocol = match group.state {
        State::Stable { .. } => group.protocol.clone(),
        _ => None,
    };
    let members = group.members.iter().map(|(id, member)| described_member(id, member, protocol.as_ref()));
    DescribedGroup {
        group_id: group.id.clone(),
        group_state: group.state_name().into(),
        protocol_type: group.protocol_type.clone(),
        protocol_data: protocol.clone().unwrap_or_default(),
        members: members.collect(),
        ..Default::default()
    }
}

fn described_member(member_id: &Str, member: &Member, protocol: Option<&Str>) -> DescribedGroupMember {
    DescribedGroupMember {
        member_id: member_id.clone(),
        group_instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        member_metadata: protocol.map(|protocol| member.metadata(protocol)).unwrap_or_default(),
        member_assignment: protocol.map(|_| member.assignment.clone()).unwrap_or_default(),
    }
}
