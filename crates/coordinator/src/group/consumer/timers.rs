//! Members that are silent, or do not give up partitions in time, lose their membership. And what the coordinator hears
//! of the world between heartbeats: that it is loaded, that topics changed.

use tidelog_wire::Str;

use super::ConsumerGroup;
use super::decision::Decision;
use super::leave::remove;
use super::member::MemberState;
use super::migration::downgrade_if_classic;
use crate::group::Groups;
use crate::turn::Turn;

/// Of one member; the timers themselves may fire earlier, and are then booked again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deadlines {
    session_due_ms: i64,
    /// When the session's timer fires: signs of life move the deadline and not the timer.
    session_timer_ms: Option<i64>,
    /// Until when the member has to give up partitions or, with the classic protocol, to join or sync.
    action_due_ms: Option<i64>,
}

impl Decision<'_, '_> {
    /// The member has been heard of; it has a session timeout until it must be again.
    pub fn expect_heartbeat(&mut self, member_id: &Str) {
        let due_ms = self.turn.now_ms + self.session_timeout_ms(member_id);
        let deadlines = self.deadlines(member_id);
        deadlines.session_due_ms = due_ms;
        if deadlines.session_timer_ms.is_none_or(|timer_ms| due_ms < timer_ms) {
            self.book_session(member_id, due_ms);
        }
    }

    fn session_timeout_ms(&self, member_id: &Str) -> i64 {
        let classic = self.group.members.get(member_id).and_then(|member| member.subscription.classic.as_ref());
        let timeout_ms = match classic {
            Some(classic) => Some(classic.session_timeout_ms),
            None => self.turn.topics.group_settings(self.group_id).session_timeout_ms,
        };
        i64::from(timeout_ms.unwrap_or(self.turn.config.consumer_session_timeout_ms))
    }

    fn book_session(&mut self, member_id: &Str, due_ms: i64) {
        self.deadlines(member_id).session_timer_ms = Some(due_ms);
        let key = self.session_key(member_id);
        self.turn.outcome.book(key, due_ms);
    }

    /// The member has its rebalance timeout from now on to do what it has to, or no longer has to do anything.
    pub fn expect_action(&mut self, member_id: &Str, is_expected: bool) {
        let key = self.rebalance_key(member_id);
        if is_expected {
            let timeout_ms = self.group.members.get(member_id).map_or(0, |it| it.subscription.rebalance_timeout_ms);
            let due_ms = self.turn.now_ms + i64::from(timeout_ms);
            self.deadlines(member_id).action_due_ms = Some(due_ms);
            self.turn.outcome.book(key, due_ms);
        } else if self.deadlines(member_id).action_due_ms.take().is_some() {
            self.turn.outcome.cancel(key);
        }
    }

    pub fn is_action_expected(&self, member_id: &Str) -> bool {
        self.group.deadlines.get(member_id).is_some_and(|deadlines| deadlines.action_due_ms.is_some())
    }

    fn deadlines(&mut self, member_id: &Str) -> &mut Deadlines {
        self.group.deadlines.entry(member_id.clone()).or_default()
    }
}

pub(crate) fn session_due(groups: &mut Groups, turn: &mut Turn, group_id: &Str, member_id: &Str) {
    let Some(group) = groups.consumer_mut(group_id) else { return };
    let Some(deadlines) = group.deadlines.get(member_id).copied() else { return };
    let mut decision = Decision { group_id, group, turn };
    if decision.turn.now_ms < deadlines.session_due_ms {
        decision.book_session(member_id, deadlines.session_due_ms);
    } else {
        remove(&mut decision, member_id);
        downgrade_if_classic(groups, turn, group_id);
    }
}

pub(crate) fn rebalance_due(groups: &mut Groups, turn: &mut Turn, group_id: &Str, member_id: &Str) {
    let Some(group) = groups.consumer_mut(group_id) else { return };
    let due_ms = group.deadlines.get(member_id).and_then(|deadlines| deadlines.action_due_ms);
    if due_ms.is_some_and(|due_ms| due_ms <= turn.now_ms) {
        remove(&mut Decision { group_id, group, turn }, member_id);
        downgrade_if_classic(groups, turn, group_id);
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
            decision.expect_action(&member_id, must_revoke);
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
