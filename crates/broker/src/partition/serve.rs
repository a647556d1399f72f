//! Serving others: fetches of followers and consumers, offset look-ups.

use std::rc::Rc;

use tidelog_commitlog::{ReadError, ReadStart, StorageError, TimestampSearch};
use tidelog_replication::{ConsumerView, FetchAnswer, FetchError, FollowerFetch};
use tidelog_wire::types::{BrokerId, LeaderEpoch, Offset};

use super::host::{History, PartitionHost};
use crate::shard::Shard;

impl PartitionHost {
    /// A follower named this partition in a Fetch: its progress counts, then it is answered.
    pub(crate) fn follower_fetched(self: &Rc<Self>, shard: &Rc<Shard>, fetch: &FollowerFetch) -> FetchAnswer {
        self.event(shard, |protocol, log, out, now_ms| match log {
            Some(log) => protocol.follower_fetched(fetch, &History(log), now_ms, out),
            None => FetchAnswer::Error(FetchError::NotLeaderOrFollower),
        })
    }

    /// The answer to a fetch that was parked, as it is now.
    pub(crate) fn follower_answer(&self, fetch: &FollowerFetch) -> FetchAnswer {
        let state = self.state.borrow();
        match &state.log {
            Some(log) => state.protocol.follower_answer(fetch, &History(log)),
            None => FetchAnswer::Error(FetchError::NotLeaderOrFollower),
        }
    }

    pub(crate) fn session_opened(&self, replica: BrokerId) {
        self.state.borrow_mut().protocol.session_opened(replica);
    }

    pub(crate) fn answer_sent(&self, replica: BrokerId, high_watermark: Offset) {
        self.state.borrow_mut().protocol.answer_sent(replica, high_watermark);
    }

    pub(crate) fn consumer_fetch(
        &self,
        current_leader_epoch: Option<LeaderEpoch>,
        offset: Offset,
    ) -> Result<ConsumerView, FetchError> {
        self.state.borrow().protocol.consumer_fetch(current_leader_epoch, offset)
    }

    /// For a consumer that reads from followers too.
    pub(crate) fn nearby_fetch(
        &self,
        current_leader_epoch: Option<LeaderEpoch>,
        offset: Offset,
    ) -> Result<ConsumerView, FetchError> {
        self.state.borrow().protocol.nearby_fetch(current_leader_epoch, offset)
    }

    /// The in-sync follower with the most records among those that `is_near` and can go on at `offset`.
    pub(crate) fn follower_near(&self, offset: Offset, is_near: impl Fn(BrokerId) -> bool) -> Option<BrokerId> {
        let state = self.state.borrow();
        let near = state.protocol.followers_at(offset).filter(|(follower, _)| is_near(*follower));
        near.max_by_key(|(_, end)| *end).map(|(follower, _)| follower)
    }

    /// Leaders only.
    pub(crate) fn is_in_sync(&self, replica: BrokerId) -> bool {
        self.state.borrow().protocol.isr().contains(&replica)
    }

    pub(crate) fn consumer_view(&self, current_leader_epoch: Option<LeaderEpoch>) -> Result<ConsumerView, FetchError> {
        self.state.borrow().protocol.consumer_view(current_leader_epoch)
    }

    pub(crate) fn check_leader(&self, current_leader_epoch: Option<LeaderEpoch>) -> Result<LeaderEpoch, FetchError> {
        self.state.borrow().protocol.check_leader(current_leader_epoch)
    }

    /// Whole batches of `[from, up_to)`; see [`tidelog_commitlog::Log::begin_read`].
    pub(crate) fn read(
        &self,
        from: Offset,
        up_to: Offset,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<ReadStart, ReadError> {
        match self.state.borrow_mut().log.as_mut() {
            Some(log) => log.begin_read(from, up_to, max_bytes, at_least_one),
            None => Ok(ReadStart::Ready(bytes::Bytes::new())),
        }
    }

    /// Where `epoch` or its nearest predecessor ends, for OffsetForLeaderEpoch.
    pub(crate) fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> (LeaderEpoch, Offset) {
        let state = self.state.borrow();
        let unknown = (LeaderEpoch::NONE, Offset(-1));
        state.log.as_ref().map_or(unknown, |log| log.end_offset_for_epoch(epoch))
    }

    pub(crate) fn epoch_for_offset(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.state.borrow().log.as_ref()?.epoch_for_offset(offset)
    }

    /// A search for the first record with at least this timestamp, or with `None` for the one with the greatest.
    pub(crate) fn search_timestamp(
        &self,
        timestamp_ms: Option<i64>,
        below: Offset,
    ) -> Result<Option<TimestampSearch>, StorageError> {
        let state = self.state.borrow();
        let search = state.log.as_ref().map(|log| match timestamp_ms {
            Some(timestamp_ms) => log.search_timestamp(timestamp_ms, below),
            None => log.search_max_timestamp(below),
        });
        search.transpose()
    }
}
