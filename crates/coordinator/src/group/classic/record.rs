//! Classic groups as records of the log: what a generation is, members and assignments included.

use bytes::Bytes;
use tidelog_wire::Str;
use tidelog_wire::messages::group_metadata_value::MemberMetadata;
use tidelog_wire::messages::{GroupMetadataKey, GroupMetadataValue};

use super::member::{Member, Protocol, Waiting};
use super::state::State;
use super::{CONSUMER, ClassicGroup};
use crate::group::{Groups, Kind};
use crate::record::{RecordKind, ReplayError, decode_value};
use crate::{Outcome, Record};

/// What Kafka writes: the last version without tagged fields.
const VALUE_VERSION: i16 = 3;

/// Writes the group as it is; done whenever a generation is complete.
pub(super) fn write(group: &mut ClassicGroup, outcome: &mut Outcome) {
    let value = value(group, |_| true);
    outcome.records.push(Record::new(RecordKind::GroupMetadata, &key(&group.id), VALUE_VERSION, &value));
    group.is_in_log = true;
    group.former = None;
}

/// Before anything of a generation ends: the log goes on to say what it was, without those who join for the next one.
pub(super) fn remember(group: &mut ClassicGroup) {
    if matches!(group.state, State::Stable { .. }) && group.former.is_none() {
        group.former = Some(value(group, |member| !member.is_new));
    }
}

/// `member_id` has an instance id, and may be told so before there is a generation to write. As long as the log says that
/// another member has it, another coordinator would fence the one that is alive.
pub(super) fn follow_instance(group: &mut ClassicGroup, outcome: &mut Outcome, member_id: &Str) {
    let (Some(former), Some(member)) = (&mut group.former, group.members.get(member_id)) else { return };
    let is_former_self = |one: &&mut MemberMetadata| {
        member.instance_id.is_some() && one.group_instance_id == member.instance_id && one.member_id != *member_id
    };
    let Some(former_self) = former.members.iter_mut().find(is_former_self) else { return };
    if former.leader.as_ref() == Some(&former_self.member_id) {
        former.leader = Some(member_id.clone());
    }
    former_self.member_id = member_id.clone();
    former_self.client_id = member.client_id.clone();
    former_self.client_host = member.client_host.clone();
    outcome.records.push(Record::new(RecordKind::GroupMetadata, &key(&group.id), VALUE_VERSION, former));
}

fn value(group: &ClassicGroup, is_of_it: impl Fn(&Member) -> bool) -> GroupMetadataValue {
    let protocol = group.protocol.as_deref().unwrap_or_default();
    let members = group.members.iter().filter(|(_, member)| is_of_it(member));
    GroupMetadataValue {
        protocol_type: group.protocol_type.clone(),
        generation: group.generation,
        protocol: group.protocol.clone(),
        leader: group.leader.clone(),
        current_state_timestamp: group.state_since_ms.unwrap_or(-1),
        members: members.map(|(id, member)| stored(id, member, protocol)).collect(),
    }
}

/// Takes the group, without its offsets, out of the log.
pub(crate) fn tombstone(group: &ClassicGroup, outcome: &mut Outcome) {
    if group.is_in_log {
        outcome.records.push(Record::tombstone(RecordKind::GroupMetadata, &key(&group.id)));
    }
}

pub(crate) fn replay(groups: &mut Groups, key: GroupMetadataKey, value: Option<Bytes>) -> Result<(), ReplayError> {
    let Some(value) = value else {
        // What comes after it in the log stays: offsets, or the other protocol's group.
        if let Some(group) = groups.classic_mut(&key.group) {
            *group = ClassicGroup::new(group.id.clone());
            groups.remove_if_unused(&key.group);
        }
        return Ok(());
    };
    let value: GroupMetadataValue = decode_value(value)?;
    let group = groups.get_or_create(&key.group);
    group.kind = Kind::Classic(Box::new(restored(key.group.detached(), value)));
    Ok(())
}

fn key(group_id: &Str) -> GroupMetadataKey {
    GroupMetadataKey { group: group_id.clone() }
}

fn stored(member_id: &Str, member: &Member, protocol: &str) -> MemberMetadata {
    MemberMetadata {
        member_id: member_id.clone(),
        group_instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        rebalance_timeout: member.rebalance_timeout_ms,
        session_timeout: member.session_timeout_ms,
        subscription: member.metadata(protocol),
        assignment: member.assignment.clone(),
    }
}

fn restored(id: Str, value: GroupMetadataValue) -> ClassicGroup {
    let mut group = ClassicGroup::new(id);
    group.generation = value.generation;
    group.protocol_type = kept(&value.protocol_type);
    group.protocol = value.protocol.as_ref().map(kept);
    group.state_since_ms = (value.current_state_timestamp != -1).then_some(value.current_state_timestamp);
    group.is_in_log = true;
    if !value.members.is_empty() {
        group.state = State::Stable { sync_due_ms: i64::MAX };
    }
    for member in value.members {
        let protocol = group.protocol.clone().unwrap_or_default();
        if !group.members.contains_key(&member.member_id) {
            group.insert(member.member_id.detached(), restored_member(member, protocol));
        }
    }
    if let Some(leader) = value.leader.filter(|leader| group.members.contains_key(leader)) {
        group.leader = Some(leader.detached());
    }
    group.subscribed = group.subscribed_topics();
    group
}

fn restored_member(member: MemberMetadata, protocol: Str) -> Member {
    let metadata = Bytes::copy_from_slice(&member.subscription);
    Member {
        instance_id: member.group_instance_id.as_ref().map(Str::detached),
        client_id: member.client_id.detached(),
        client_host: member.client_host.detached(),
        rebalance_timeout_ms: match member.rebalance_timeout {
            ..0 => member.session_timeout,
            timeout_ms => timeout_ms,
        },
        session_timeout_ms: member.session_timeout,
        protocols: vec![Protocol { name: protocol, metadata }],
        assignment: Bytes::copy_from_slice(&member.assignment),
        waiting: Waiting::No,
        is_new: false,
        session_due_ms: i64::MAX,
        timer_due_ms: i64::MAX,
    }
}

/// Nearly all groups have one of few protocol types and assignors, of which the first is shared.
fn kept(text: &Str) -> Str {
    if text == CONSUMER { Str::from_static(CONSUMER) } else { text.detached() }
}
