//! Metadata: who leads, who is in sync, which configs hold.

use std::rc::Rc;
use std::sync::Arc;

use tidelog_commitlog::LogConfig;
use tidelog_replication::{Assignment, IsrOutcome, IsrProposal, Settings};
use tidelog_wire::types::BrokerId;

use super::host::PartitionHost;
use crate::shard::Shard;

impl PartitionHost {
    /// The image says this of the partition.
    pub(crate) fn assigned(self: &Rc<Self>, shard: &Rc<Shard>, assignment: &Assignment<'_>) {
        let before = (self.is_leader(), self.leader_epoch());
        let followed = if assignment.leader == shard.node_id() { BrokerId::NONE } else { assignment.leader };
        let previous = self.following.replace(followed);
        if previous != followed {
            // Before the event, which asks the new leader's link.
            shard.fetchers.forget(previous, self);
        }
        self.event(shard, |protocol, _, out, now_ms| protocol.assignment_changed(assignment, now_ms, out));
        // A log that was recovered ends beyond what its durable mark vouches for, and waits for no append.
        self.want_flush(shard, &self.state.borrow());
        if before != (self.is_leader(), self.leader_epoch()) {
            self.stepped_aside.set(false);
            self.refuse_trims();
            self.leadership_changed(shard);
            self.wake_consumers(shard);
            self.wake_followers(shard);
        }
    }

    pub(crate) fn isr_resolved(self: &Rc<Self>, shard: &Rc<Shard>, proposal: &IsrProposal, outcome: IsrOutcome) {
        self.event(shard, |protocol, _, out, now_ms| protocol.isr_resolved(proposal, outcome, now_ms, out));
    }

    pub(crate) fn configured(self: &Rc<Self>, shard: &Rc<Shard>, config: Arc<LogConfig>, settings: Settings) {
        if let Some(log) = self.state.borrow_mut().log.as_mut() {
            log.set_config(config);
        }
        self.event(shard, |protocol, _, out, _| protocol.settings_changed(settings, out));
        self.want_flush(shard, &self.state.borrow());
    }

    /// The replica leaves this broker: everyone who waits for it is told.
    pub(crate) fn stop(self: &Rc<Self>, shard: &Rc<Shard>) {
        self.event(shard, |protocol, _, out, _| protocol.stopped(out));
        self.stopped.set(true);
        self.refuse_trims();
        self.leadership_changed(shard);
        shard.fetchers.forget(self.following.replace(BrokerId::NONE), self);
        self.wake_consumers(shard);
        self.wake_followers(shard);
    }

    pub(crate) fn controller_contact_lost(self: &Rc<Self>, shard: &Rc<Shard>, since_ms: i64) {
        self.event(shard, |protocol, _, _, _| protocol.controller_contact_lost(since_ms));
    }

    pub(crate) fn controller_contact_regained(self: &Rc<Self>, shard: &Rc<Shard>) {
        self.event(shard, |protocol, _, out, _| protocol.controller_contact_regained(out));
    }
}
