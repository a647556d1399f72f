//! Executes what the replication protocol asks for. The only place where its effects become facts.

use std::rc::Rc;

use tidelog_commitlog::{Log, StorageError};
use tidelog_replication::Effect;
use tidelog_wire::types::Offset;
use tracing::{debug, info};

use super::host::{PartitionHost, State, offsets_of};
use super::refusal::Refusal;
use crate::damage;
use crate::shard::Shard;
use crate::timers::Expires;

impl PartitionHost {
    /// Executes effects, and those that come of executing them, until there are none; then books the next tick.
    pub(super) fn execute_effects(self: &Rc<Self>, shard: &Rc<Shard>, state: &mut State) {
        while !state.effects.is_empty() {
            let mut effects = std::mem::take(&mut state.effects);
            for effect in effects.drain(..) {
                self.execute(shard, state, effect);
            }
            if state.effects.is_empty() {
                state.effects = effects;
            }
        }
        self.book_tick(shard, state);
    }

    fn execute(self: &Rc<Self>, shard: &Rc<Shard>, state: &mut State, effect: Effect) {
        match effect {
            Effect::HighWatermark(_) => shard.turn.high_watermarks_moved(),
            Effect::ReleaseAcks { through } => state.acks.release(through),
            Effect::FailAcks { beyond, error } => state.acks.fail(beyond, &Refusal::from(error)),
            Effect::WakeConsumers => self.wake_consumers(shard),
            Effect::WakeFollowers => self.wake_followers(shard),
            Effect::LowWatermark(low_watermark) => self.release_trims(state, low_watermark),
            Effect::ProposeIsr(proposal) => shard.isr_proposals.propose(Rc::clone(self), *proposal),
            Effect::FetchReady => {
                if let Some(position) = state.fetch_position() {
                    shard.fetchers.ready(shard, position.leader, self);
                }
            }
            Effect::StartEpoch { leader_epoch, start } => {
                debug!(partition = %self.id, epoch = %leader_epoch, %start, "leading");
                let assigned = state.log.as_mut().map(|log| log.assign_epoch_start(leader_epoch));
                if let Some(Err(error)) = assigned {
                    shard.append_error(&error);
                }
            }
            Effect::TruncateTo(offset) => {
                if let Some(suppressed) = shard.truncation_log.permit() {
                    info!(partition = %self.id, to = %offset, suppressed, "truncating to what the leader has");
                }
                self.cut(shard, state, |log| log.truncate_to(offset));
            }
            Effect::RestartAt(offset) => {
                info!(partition = %self.id, at = %offset, "starting over where the leader's log starts");
                self.cut(shard, state, |log| log.truncate_fully_and_start_at(offset));
            }
            Effect::ReapplyAssignment => shard.turn.reapply(Rc::clone(self)),
            Effect::AdvanceLogStart(offset) => self.follow_log_start(shard, state, offset),
            Effect::StepAside => {
                if let Some(suppressed) = shard.isolation_log.permit() {
                    info!(partition = %self.id, suppressed, "stepping aside: neither controller nor followers are heard");
                }
                self.stepped_aside.set(true);
                self.leadership_changed(shard);
                self.wake_consumers(shard);
            }
            Effect::Resume => {
                debug!(partition = %self.id, "no longer aside");
                self.stepped_aside.set(false);
                self.leadership_changed(shard);
            }
        }
    }

    fn cut(
        self: &Rc<Self>,
        shard: &Rc<Shard>,
        state: &mut State,
        cut: impl FnOnce(&mut Log) -> Result<(), StorageError>,
    ) {
        let Some(log) = state.log.as_mut() else {
            return;
        };
        match cut(log) {
            Ok(()) => {
                state.protocol.truncated(offsets_of(log), &mut state.effects);
                // It may have come down: an older checkpoint would outlive the next crash.
                shard.turn.high_watermarks_moved();
            }
            Err(error) => {
                match &error {
                    // No retry helps: what is to be cut lies behind records that cannot be read.
                    StorageError::Damaged { .. } => damage::met(shard, self, &error),
                    _ => shard.storage_error(&error),
                }
                state.change_failed();
            }
        }
    }

    fn follow_log_start(self: &Rc<Self>, shard: &Rc<Shard>, state: &mut State, start: Offset) {
        let Some(log) = state.log.as_mut() else {
            return;
        };
        match log.advance_log_start(start, shard.clock.wall_ms()) {
            Ok(deleted) => shard.deletions.add(deleted),
            Err(error) => shard.storage_error(&error),
        }
        // It may have moved, and only the files below it could not be put away.
        match log.log_start_offset() >= start {
            true => state.protocol.log_start_advanced(start, &mut state.effects),
            false => state.change_failed(),
        }
    }

    /// The shard ticks the partition when its protocol has a deadline; an idle one has none.
    fn book_tick(self: &Rc<Self>, shard: &Rc<Shard>, state: &mut State) {
        let Some(due_ms) = state.protocol.next_deadline_ms() else {
            return;
        };
        if state.booked_tick_ms.is_none_or(|booked| due_ms < booked) {
            state.booked_tick_ms = Some(due_ms);
            let waiting: Rc<dyn Expires> = Rc::clone(self) as _;
            shard.timers.add(shard.clock.instant_of(due_ms), waiting);
        }
    }
}

impl State {
    fn change_failed(&mut self) {
        self.has_change_failed = true;
        self.protocol.change_failed(&mut self.effects);
    }
}

impl Expires for PartitionHost {
    /// A booked tick came; whether it is still wanted is the protocol's business.
    fn expire(self: Rc<Self>, shard: &Rc<Shard>) {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        state.booked_tick_ms = None;
        if !self.stopped.get() {
            state.protocol.tick(shard.clock.monotonic_ms(), &shard.peers, &mut state.effects);
            self.execute_effects(shard, state);
        }
    }
}
