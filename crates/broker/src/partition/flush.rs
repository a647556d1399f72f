//! Flushing: at most one job of a log is under way; what is appended meanwhile goes with the next one.

use std::rc::Rc;
use std::time::Duration;

use tidelog_commitlog::{FlushDone, FlushJob, Log};
use tokio::time::sleep;

use super::host::{PartitionHost, State};
use crate::shard::Shard;

/// A flush that found no free descriptor, or a full disk, is tried again after this.
const BLOCKED_FLUSH_BACK_OFF: Duration = Duration::from_millis(100);

impl PartitionHost {
    /// Has the turn begin a flush if there is anything to flush.
    pub(super) fn want_flush(self: &Rc<Self>, shard: &Shard, state: &State) {
        let Some(log) = &state.log else {
            return;
        };
        if log.is_flush_due() && !self.flush_queued.replace(true) {
            shard.turn.flush(Rc::clone(self));
        }
    }

    /// The job for the disk threads; none if one is under way already, whose end asks again, or if it has to be tried
    /// again later.
    pub(crate) fn begin_flush(self: &Rc<Self>, shard: &Rc<Shard>) -> Option<FlushJob> {
        self.flush_queued.set(false);
        let mut state = self.state.borrow_mut();
        let log = state.log.as_mut()?;
        let job = log.begin_flush();
        if job.is_none() {
            self.flush_later(shard, state.log.as_ref());
        }
        job
    }

    fn flush_later(self: &Rc<Self>, shard: &Rc<Shard>, log: Option<&Log>) {
        if log.is_some_and(Log::is_flush_blocked) && !self.flush_queued.replace(true) {
            let (partition, later) = (Rc::clone(self), Rc::clone(shard));
            shard.spawn("blocked flush", async move {
                sleep(BLOCKED_FLUSH_BACK_OFF).await;
                later.turn.flush(partition);
            });
        }
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
            Err(error) => {
                shard.storage_error(&error);
                self.flush_later(shard, state.log.as_ref());
            }
        }
    }
}
