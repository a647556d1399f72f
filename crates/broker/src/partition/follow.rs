//! Following: what to ask the leader, and what to do with its answer.

use std::rc::Rc;

use bytes::Bytes;
use tidelog_commitlog::AppendError;
use tidelog_replication::{FetchPosition, FetchResponse, FetchVerdict};
use tracing::warn;

use super::host::{History, PartitionHost, State};
use crate::shard::Shard;

impl PartitionHost {
    /// What to name in the next replica Fetch; `None` while there is nothing to ask.
    pub(crate) fn fetch_position(&self) -> Option<FetchPosition> {
        self.state.borrow().fetch_position()
    }

    /// The leader answered `position`. Appends what came.
    pub(crate) fn fetch_answered(
        self: &Rc<Self>,
        shard: &Rc<Shard>,
        position: &FetchPosition,
        response: &FetchResponse,
        records: Bytes,
    ) -> FetchVerdict {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let Some(log) = state.log.as_ref() else {
            return FetchVerdict::Stale;
        };
        let verdict = state.protocol.fetch_response(position, response, &History(log), &mut state.effects);
        self.execute_effects(shard, state);
        let verdict = match verdict {
            FetchVerdict::Append => self.append_fetched(shard, state, records),
            FetchVerdict::Done | FetchVerdict::Stale | FetchVerdict::BackOff => verdict,
        };
        match std::mem::take(&mut state.has_change_failed) {
            true => FetchVerdict::BackOff,
            false => verdict,
        }
    }

    fn append_fetched(self: &Rc<Self>, shard: &Rc<Shard>, state: &mut State, records: Bytes) -> FetchVerdict {
        let Some(log) = state.log.as_mut() else {
            return FetchVerdict::Stale;
        };
        let bytes = records.len() as u64;
        match log.append_as_follower(records, shard.clock.wall_ms()) {
            Ok(end) => {
                shard.metrics.replication_bytes_in.add(bytes);
                state.protocol.appended(end, shard.clock.monotonic_ms(), &mut state.effects);
                self.execute_effects(shard, state);
                self.want_flush(shard, state);
                FetchVerdict::Done
            }
            Err(error) => {
                if let AppendError::Storage(error) = &error {
                    shard.storage_error(error);
                }
                if let Some(suppressed) = shard.follow_log.permit() {
                    warn!(partition = %self.id, %error, suppressed, "cannot append what the leader sent");
                }
                FetchVerdict::BackOff
            }
        }
    }
}

impl State {
    pub(crate) fn fetch_position(&self) -> Option<FetchPosition> {
        self.protocol.fetch_position(&History(self.log.as_ref()?))
    }
}
