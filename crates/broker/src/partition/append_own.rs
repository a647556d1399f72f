//! Appends of the broker's own: records of a coordinator, which lives on the partition's leader.
//!
//! They do not need min.insync.replicas to be appended, only to be committed: what was decided is in the log at once, and
//! whoever depends on it waits for the high watermark.

use std::rc::Rc;

use bytes::Bytes;
use tidelog_replication::Acks;
use tidelog_wire::types::{LeaderEpoch, Offset};

use super::acks::{AppendOutcome, ReplyTo};
use super::host::{PartitionHost, State};
use crate::shard::Shard;

impl PartitionHost {
    /// Leads in this epoch, and may speak for the partition.
    pub(crate) fn leads_in(&self, leader_epoch: LeaderEpoch) -> bool {
        !self.stopped.get() && self.state.borrow().protocol.check_produce(Acks::Leader) == Ok(leader_epoch)
    }

    /// Whether what is appended now can be committed.
    pub(crate) fn has_min_isr(&self) -> bool {
        self.state.borrow().protocol.check_produce(Acks::All).is_ok()
    }

    /// Appends whole batches with one write, as the leader of `leader_epoch`. `reply` hears when they are committed or
    /// nobody knows any more whether they will be. On an error some of them may have been written, and `reply` is not used.
    pub(crate) fn append_own(
        self: &Rc<Self>,
        shard: &Rc<Shard>,
        batches: &[Bytes],
        leader_epoch: LeaderEpoch,
        reply: ReplyTo,
    ) -> Result<(), String> {
        if !self.leads_in(leader_epoch) {
            return Err("it does not lead any more".to_owned());
        }
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let Some(log) = state.log.as_mut() else {
            return Err("its log is closed".to_owned());
        };
        let results = log.append_all_as_leader(batches, leader_epoch, shard.clock.wall_ms());
        let log_end = log.log_end_offset();
        state.protocol.appended(log_end, shard.clock.monotonic_ms(), &mut state.effects);
        self.execute_effects(shard, state);
        self.want_flush(shard, state);
        for result in results {
            result.map_err(|error| {
                shard.append_error(&error);
                error.to_string()
            })?;
        }
        park(state, log_end, reply);
        Ok(())
    }

    /// `reply` hears when all that is in the log now is committed.
    pub(crate) fn when_committed(&self, reply: ReplyTo) {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if let Some(log_end) = state.log.as_ref().map(|log| log.log_end_offset()) {
            park(state, log_end, reply);
        }
    }
}

fn park(state: &mut State, end: Offset, reply: ReplyTo) {
    let log_start = state.log.as_ref().map_or_else(Default::default, |log| log.log_start_offset());
    let outcome = AppendOutcome::Stored { base_offset: end, log_append_time_ms: -1, log_start };
    if end > state.protocol.high_watermark() {
        state.acks.park(end, outcome, reply);
        state.protocol.ack_parked(end);
    } else {
        reply.fill(outcome);
    }
}
