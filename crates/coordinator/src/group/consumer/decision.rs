//! One operation's hold on a group: every change goes to the log and to the state in the same step.

use tidelog_wire::Str;

use super::ConsumerGroup;
use super::change::{Change, GroupEpoch};
use super::member::{Current, MemberState, Subscription};
use super::partitions::Partitions;
use super::reconcile::{self, Surroundings};
use super::refusal::Refusal;
use super::{records, subscribed, target};
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

    /// What the member says, what the topics are, and who is to own what because of that.
    pub fn bring_up_to_date(&mut self, member_id: &Str, subscription: Subscription) {
        let before = self.group.members.get(member_id).map(|member| &member.subscription);
        let is_changed = before.is_none_or(|before| subscription.assigns_differently_from(before));
        self.set_subscription(member_id, subscription);
        subscribed::refresh(self, is_changed);
        target::update(self);
    }

    /// One step towards the target; whether that changed what the member may own.
    pub fn reconcile(&mut self, member_id: &Str, owned: Option<&Partitions>) -> Result<bool, Refusal> {
        let group = &*self.group;
        let Some(member) = group.members.get(member_id) else { return Ok(false) };
        if member.is_reconciled_to(group.target_epoch.epoch) {
            return Ok(false);
        }
        let around = Surroundings {
            target_epoch: group.target_epoch.epoch,
            target: group.target_of(member_id),
            owned,
            is_free: &|topic, partition| group.owners.get(&(topic, partition)).is_none_or(|owner| owner == member_id),
        };
        let next = reconcile::next(&member.current, &around).map_err(|_| {
            Refusal::fenced(
                "The member is in a state that is not known. It must abandon all its partitions and rejoin.",
            )
        })?;
        if next == member.current {
            return Ok(false);
        }
        let is_assignment_changed = next.assigned != member.current.assigned;
        let must_revoke = next.state == MemberState::UnrevokedPartitions;
        self.set_current(member_id, next);
        self.expect_action(member_id, must_revoke);
        Ok(is_assignment_changed)
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
