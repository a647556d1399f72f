//! Members that are silent, or do not give up partitions in time, lose their membership. And what the coordinator hears
//! of the world between heartbeats: that it is loaded, that topics changed.

use tidelog_wire::Str;

use super::ConsumerGroup;
use super::decision::Decision;
use super::leave::remove;
use super::member::MemberState;
use crate::group::Groups;
use crate::turn::Turn;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deadlines {
    pub session_ms: i64,
    pub rebalance_ms: Option<i64>,
}

impl Decision<'_, '_> {
    /// The member has been heard of; it has a session timeout until it must be again.
    pub fn expect_heartbeat(&mut self, member_id: &Str) {
        let timeout_ms = self.turn.config.consumer_session_timeout_ms;
        let due_ms = self.turn.now_ms + i64::from(timeout_ms);
        self.deadlines(member_id).session_ms = due_ms;
        let key = self.session_key(member_id);
        self.turn.outcome.book(key, due_ms);
    }

    /// The member has to give up partitions from now on, or no longer has to.
    pub fn expect_revocation(&mut self, member_id: &Str, must_revoke: bool) {
        let key = self.rebalance_key(member_id);
        if must_revoke {
            let timeout_ms = self.group.members.get(member_id).map_or(0, |it| it.subscription.rebalance_timeout_ms);
            let due_ms = self.turn.now_ms + i64::from(timeout_ms);
            self.deadlines(member_id).rebalance_ms = Some(due_ms);
            self.turn.outcome.book(key, due_ms);
        } else if self.deadlines(member_id).rebalance_ms.take().is_some() {
            self.turn.outcome.cancel(key);
        }
    }

    fn deadlines(&mut self, member_id: &Str) -> &mut Deadlines {
        self.group.deadlines.entry(member_id.clone()).or_default()
    }
}

pub(crate) fn session_due(groups: &mut Groups, turn: &mut Turn, group_id: &Str, member_id: &Str) {
    let Some(group) = groups.consumer_mut(group_id) else { return };
    let is_due = group.deadlines.get(member_id).is_some_and(|deadlines| deadlines.session_ms <= turn.now_ms);
    if is_due && group.members.contains_key(member_id) {
        remove(&mut Decision { group_id, group, turn }, member_id);
    }
}

pub(crate) fn rebalance_due(groups: &mut Groups, turn: &mut Turn, group_id: &Str, member_id: &Str) {
    let Some(group) = groups.consumer_mut(group_id) else { return };
    let due_ms = group.deadlines.get(member_id).and_then(|deadlines| deadlines.rebalance_ms);
    if due_ms.is_some_and(|due_ms| due_ms <= turn.now_ms) && group.members.contains_key(member_id) {
        remove(&mut Decision { group_id, group, turn }, member_id);
    }
}

/// After a replay every member gets its timeouts anew.
pub(crate) fn loaded(groups: &mut Groups, turn: &mut Turn) {
    for (group_id, group) in &mut groups.by_id {
        let Some(group) = group.as_consumer_mut() else { continue };
        let members = group.members.iter();
        let members: Vec<(Str, bool)> = members
            .map(|(member_id, member)| (member_id.clone(), member.current.state == MemberState::UnrevokedPartitions))
            .collect();
        let mut decision = Decision { group_id, group, turn };
        for (member_id, must_revoke) in members {
            decision.expect_heartbeat(&member_id);
            decision.expect_revocation(&member_id, must_revoke);
        }
    }
}

/// Groups that subscribe to one of the topics, or to whatever matches, look again with their next heartbeat.
pub(crate) fn topics_changed(groups: &mut Groups, _turn: &mut Turn, topics: &[Str]) {
    for group in groups.by_id.values_mut().filter_map(|group| group.as_consumer_mut()) {
        group.is_metadata_stale |= group.may_match(topics);
    }
}

impl ConsumerGroup {
    fn may_match(&self, topics: &[Str]) -> bool {
        !self.regexes.is_empty() || topics.iter().any(|topic| self.is_subscribed_to(topic))
    }
}
