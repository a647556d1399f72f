//! The log's start: DeleteRecords and retention on the leader.

use std::rc::Rc;

use tidelog_commitlog::{DeletedFiles, StorageError};
use tidelog_wire::types::Offset;
use tokio::sync::oneshot;

use super::host::{PartitionHost, State};
use crate::shard::Shard;

/// A DeleteRecords that waits until every in-sync replica has moved its log start.
pub(super) struct TrimWaiter {
    offset: Offset,
    done: oneshot::Sender<Offset>,
}

/// Why records were not deleted.
#[derive(Debug)]
pub(crate) enum TrimError {
    /// Beyond the high watermark, or negative.
    OutOfRange,
    /// The topic is compacted and nothing else: its records go by key.
    OnlyCompacted,
    Storage,
}

impl PartitionHost {
    /// Moves the log start of a leader to `offset` (`None`: the high watermark). The receiver gets the low watermark once
    /// all in-sync replicas have followed.
    pub(crate) fn delete_records(
        self: &Rc<Self>,
        shard: &Rc<Shard>,
        offset: Option<Offset>,
    ) -> Result<oneshot::Receiver<Offset>, TrimError> {
        let _section = shard.panics.section("a partition");
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if state.log.as_ref().is_some_and(|log| log.config().cleanup_compact && !log.config().cleanup_delete) {
            return Err(TrimError::OnlyCompacted);
        }
        let high_watermark = state.protocol.high_watermark();
        let offset = offset.unwrap_or(high_watermark);
        if offset < Offset::ZERO || offset > high_watermark {
            return Err(TrimError::OutOfRange);
        }
        self.move_log_start(shard, state, |log, now_ms| log.advance_log_start(offset, now_ms))
            .map_err(|_| TrimError::Storage)?;
        let (done, trimmed) = oneshot::channel();
        match state.protocol.low_watermark() {
            Some(low_watermark) if low_watermark >= offset => {
                let _ = done.send(low_watermark);
            }
            _ => state.trims.push(TrimWaiter { offset, done }),
        }
        Ok(trimmed)
    }

    /// Applies retention by time and size if this replica leads.
    pub(crate) fn apply_retention(self: &Rc<Self>, shard: &Rc<Shard>) {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if state.protocol.is_leader() {
            let high_watermark = state.protocol.high_watermark();
            // The error is noted by the shard, and the next round tries again.
            let _ = self.move_log_start(shard, state, |log, now_ms| log.apply_retention(now_ms, high_watermark));
        }
    }

    pub(crate) fn expire_producers(&self, wall_ms: i64, expiration_ms: i64) {
        if let Some(log) = self.state.borrow_mut().log.as_mut() {
            log.expire_producers(wall_ms, expiration_ms);
        }
    }

    fn move_log_start(
        self: &Rc<Self>,
        shard: &Rc<Shard>,
        state: &mut State,
        operation: impl FnOnce(&mut tidelog_commitlog::Log, i64) -> Result<Vec<DeletedFiles>, StorageError>,
    ) -> Result<(), StorageError> {
        let Some(log) = state.log.as_mut() else {
            return Ok(());
        };
        let before = log.log_start_offset();
        let moved = operation(log, shard.clock.wall_ms());
        let start = log.log_start_offset();
        let moved = moved.map(|deleted| shard.deletions.add(deleted)).inspect_err(|error| shard.storage_error(error));
        // Also when only the files below it could not be put away.
        if start > before {
            state.protocol.log_start_advanced(start, &mut state.effects);
            self.execute_effects(shard, state);
        }
        // Retention may have closed the last segment.
        self.want_flush(shard, state);
        moved
    }

    /// Who waits hears NOT_LEADER_OR_FOLLOWER: a later leader may begin below.
    pub(super) fn refuse_trims(&self) {
        self.state.borrow_mut().trims.clear();
    }

    pub(super) fn release_trims(&self, state: &mut State, low_watermark: Offset) {
        let (released, waiting) = std::mem::take(&mut state.trims)
            .into_iter()
            .partition(|waiter: &TrimWaiter| waiter.offset <= low_watermark);
        state.trims = waiting;
        for waiter in released {
            // The request may have timed out.
            let _ = waiter.done.send(low_watermark);
        }
    }
}
