//! Flushing: at most one job of a log is under way; what is appended meanwhile goes with the next one.

use std::rc::Rc;

use tidelog_commitlog::{FlushDone, FlushJob};

use super::host::{PartitionHost, State};
use crate::shard::Shard;

impl PartitionHost {
    /// Has the turn begin a flush if there is anything to flush.
    pub(super) fn want_flush(self: &Rc<Self>, shard: &Shard, state: &State) {
        let Some(log) = &state.log else {
            return;
        };
        if log.durable_end() < log.log_end_offset() && !self.flush_queued.replace(true) {
            shard.turn.flush(Rc::clone(self));
        }
    }

    /// The job for the disk threads; none if one is under way already, whose end asks again.
    pub(crate) fn begin_flush(&self) -> Option<FlushJob> {
        self.flush_queued.set(false);
        self.state.borrow_mut().log.as_mut()?.begin_flush()
    }

    pub(crate) fn flushed(self: &Rc<Self>, shard: &Rc<Shard>, done: FlushDone) {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let Some(log) = state.log.as_mut() else {
            return;
        };
        match log.finish_flush(done) {
            Ok(durable_end) => {
                shard.metrics.flushes.add(1);
                state.protocol.flushed(durable_end, &mut state.effects);
                self.execute_effects(shard, state);
                self.want_flush(shard, state);
            }
            Err(error) => shard.storage_error(&error),
        }
    }
}
