//! One operation's hold on a group: every change goes to the log and to the state in the same step.

use tidelog_wire::Str;

use super::ConsumerGroup;
use super::change::{Change, GroupEpoch};
use super::member::{Current, Subscription};
use super::records;
use crate::TimerKey;
use crate::turn::Turn;

pub struct Decision<'a, 'b> {
    pub group_id: &'a Str,
    pub group: &'a mut ConsumerGroup,
    pub turn: &'a mut Turn<'b>,
}

impl Decision<'_, '_> {
    pub fn commit(&mut self, change: Change) {
        self.turn.outcome.records.push(records::encode(self.group_id, &change));
        self.group.apply(change);
    }

    pub fn bump_epoch(&mut self, metadata_hash: i64) {
        let epoch = GroupEpoch { epoch: self.group.epoch.epoch.saturating_add(1), metadata_hash };
        self.commit(Change::Epoch(Some(epoch)));
    }

    /// Changes nothing, and writes nothing, if the member says what it said before.
    pub fn set_subscription(&mut self, member_id: &Str, subscription: Subscription) {
        let is_same = self.group.members.get(member_id).is_some_and(|member| member.subscription == subscription);
        if !is_same {
            self.commit(Change::Subscription(member_id.clone(), Some(Box::new(subscription))));
        }
    }

    pub fn set_current(&mut self, member_id: &Str, current: Current) {
        self.commit(Change::Current(member_id.clone(), Some(current)));
    }

    /// Everything of the member but the regular expression it may have been the last to use.
    pub fn remove_member(&mut self, member_id: &Str) {
        for key in [self.session_key(member_id), self.rebalance_key(member_id)] {
            self.turn.outcome.cancel(key);
        }
        self.commit(Change::Current(member_id.clone(), None));
        self.commit(Change::Target(member_id.clone(), None));
        self.commit(Change::Subscription(member_id.clone(), None));
    }

    pub fn session_key(&self, member_id: &Str) -> TimerKey {
        TimerKey::ConsumerSession { group: self.group_id.clone(), member: member_id.clone() }
    }

    pub fn rebalance_key(&self, member_id: &Str) -> TimerKey {
        TimerKey::ConsumerRebalance { group: self.group_id.clone(), member: member_id.clone() }
    }
}
