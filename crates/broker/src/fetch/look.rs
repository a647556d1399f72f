//! One look at a slot: what of its partition goes into the answer.

use std::rc::Rc;

use tidelog_commitlog::{ReadError, ReadStart};
use tidelog_replication::{FetchAnswer, FetchError};
use tidelog_wire::ErrorCode;
use tidelog_wire::types::{BrokerEpoch, BrokerId, Offset};
use tokio::time::Instant;

use super::draft::{Draft, Marks, News, ReadFor};
use super::park::FetchCall;
use super::slot::{Slot, SlotState, TopicKey};
use crate::cluster_view::LeaderHint;
use crate::damage;
use crate::partition::{PartitionHandle, fetch_error_code};
use crate::shard::Shard;

/// Looks at the slots of one session for one request.
pub(super) struct Look<'a> {
    pub shard: &'a Rc<Shard>,
    pub call: &'a FetchCall,
    pub draft: Draft,
    /// The request's time is over: what still waits is answered as it is.
    pub is_last: bool,
    /// Of records in the whole answer.
    pub max_bytes: usize,
    /// When to look again at what the throttle holds back.
    pub throttled_until: Option<Instant>,
}

impl Look<'_> {
    /// Returns the slot's next state: a consumer is told again until it asks for something else.
    pub(super) fn consumer(&mut self, index: usize, slot: &Slot) -> SlotState {
        let Some(partition) = slot.present() else {
            let (code, hint) = self.absence(slot);
            self.draft.error(&slot.topic, slot.index, code, hint, Offset(-1));
            return SlotState::Queued;
        };
        let view = self.call.view(&partition, slot.asked.current_leader_epoch, slot.asked.fetch_offset);
        let marks = view.map(Marks::of);
        if let (Ok(marks), Some(nearer)) = (marks, self.nearer(slot, &partition)) {
            self.draft.elsewhere(&slot.topic, slot.index, marks, nearer);
            return SlotState::Queued;
        }
        match view {
            Ok(view) if slot.asked.fetch_offset < view.high_watermark => {
                self.read((index, slot), &partition, view.high_watermark, Marks::of(view), usize::MAX);
                SlotState::Queued
            }
            Ok(_) => SlotState::Idle,
            Err(FetchError::OffsetNotAvailable) if !self.is_last => SlotState::Idle,
            Err(error) => {
                self.shard.metrics.failed_fetch_requests.add(1);
                let hint = self.hint(slot, error);
                self.draft.error(&slot.topic, slot.index, fetch_error_code(error), hint, log_start_of(error));
                SlotState::Queued
            }
        }
    }

    /// A follower in the consumer's rack, if this leader is in another and has consumers read nearby (KIP-392).
    fn nearer(&self, slot: &Slot, partition: &PartitionHandle) -> Option<BrokerId> {
        let options = &self.shard.options;
        let rack = self.call.rack.as_ref().filter(|rack| options.replica.serve_nearby && !rack.is_empty())?;
        if options.rack.as_deref() == Some(rack.as_str()) {
            return None;
        }
        let image = self.shard.image();
        let is_near = |follower| {
            let broker = image.broker(follower).filter(|broker| broker.is_active());
            broker.is_some_and(|broker| broker.rack.as_ref() == Some(rack)) && !self.shard.looks_dead(follower)
        };
        partition.follower_near(slot.asked.fetch_offset, is_near)
    }

    /// Returns the slot's next state: having sent anything, we wait for the follower to name the partition again.
    pub(super) fn follower(&mut self, index: usize, slot: &Slot, replica: BrokerId, epoch: BrokerEpoch) -> SlotState {
        let Some(partition) = slot.present() else {
            self.draft.error(&slot.topic, slot.index, ErrorCode::UNKNOWN_TOPIC_ID, None, Offset(-1));
            return SlotState::Sent;
        };
        match partition.follower_answer(&slot.follower_fetch(replica, epoch)) {
            FetchAnswer::Read { from, up_to, high_watermark, log_start, news } => {
                let marks = Marks { high_watermark, log_start };
                if from < up_to {
                    let is_throttled = partition.throttled.get().as_leader;
                    if is_throttled && self.is_held_back(&partition, replica) {
                        return SlotState::Queued;
                    }
                    let bytes_before = self.draft.record_bytes;
                    let room_max = match is_throttled {
                        true => self.shard.throttles.as_leader.answer_bytes_max(),
                        false => usize::MAX,
                    };
                    return match self.read((index, slot), &partition, up_to, marks, room_max) {
                        true => {
                            if is_throttled {
                                let bytes = self.draft.record_bytes - bytes_before;
                                self.shard.throttles.as_leader.spent(bytes, Instant::now());
                            }
                            partition.answer_sent(replica, high_watermark);
                            SlotState::Sent
                        }
                        false => SlotState::Queued,
                    };
                }
                if news {
                    self.draft.marks(&slot.topic, slot.index, marks, false);
                    self.draft.news.push(News { slot: index, partition, marks });
                }
                SlotState::Idle
            }
            FetchAnswer::Diverging(end) => {
                self.draft.diverging(&slot.topic, slot.index, end);
                SlotState::Sent
            }
            FetchAnswer::WaitForImage => {
                self.draft.error(&slot.topic, slot.index, ErrorCode::UNKNOWN_LEADER_EPOCH, None, Offset(-1));
                SlotState::Sent
            }
            FetchAnswer::Error(error) => {
                self.draft.error(&slot.topic, slot.index, fetch_error_code(error), None, log_start_of(error));
                SlotState::Sent
            }
        }
    }

    /// Whether the throttle has nothing left for a follower that catches up. One that is in sync is never slowed down.
    fn is_held_back(&mut self, partition: &PartitionHandle, replica: BrokerId) -> bool {
        let free_at = self.shard.throttles.as_leader.exceeded_until(Instant::now());
        let held = free_at.filter(|_| !partition.is_in_sync(replica));
        self.throttled_until = self.throttled_until.max(held);
        held.is_some()
    }

    /// Reads into the draft if there is room; returns whether anything was added. The first batch of an answer may be
    /// larger than the room, or a reader with small limits would never get past it.
    fn read(
        &mut self,
        (index, slot): (usize, &Slot),
        partition: &PartitionHandle,
        up_to: Offset,
        marks: Marks,
        room_max: usize,
    ) -> bool {
        let left = self.max_bytes.saturating_sub(self.draft.record_bytes);
        let room = slot.asked.max_bytes.min(left).min(room_max);
        let is_first = self.draft.record_bytes == 0;
        if room == 0 && !is_first {
            return false;
        }
        match partition.read(slot.asked.fetch_offset, up_to, room, is_first) {
            Ok(ReadStart::Ready(records)) if records.is_empty() => false,
            read => {
                if let Err(ReadError::Storage(error)) = &read {
                    damage::met(self.shard, partition, error);
                }
                let asked = ReadFor {
                    slot: index,
                    topic: slot.topic.clone(),
                    index: slot.index,
                    fetch_offset: slot.asked.fetch_offset,
                };
                self.draft.records(asked, marks, read, room, self.call.read_committed);
                true
            }
        }
    }

    /// Why a partition is not here.
    fn absence(&self, slot: &Slot) -> (ErrorCode, Option<LeaderHint>) {
        let image = self.shard.image();
        let topic = match &slot.topic {
            TopicKey::Id(topic_id) => image.topic_by_id(*topic_id),
            TopicKey::Name(name) => image.topic(name),
        };
        match (topic, &slot.topic) {
            (Some(topic), _) if topic.partition(slot.index).is_some() => {
                let hint = LeaderHint::of(self.shard, &image, topic, slot.index, &self.call.listener.name)
                    .filter(|_| self.call.has_leader)
                    .map(|hint| if self.call.has_endpoints { hint } else { hint.without_endpoint() });
                (ErrorCode::NOT_LEADER_OR_FOLLOWER, hint)
            }
            (None, TopicKey::Id(_)) => (ErrorCode::UNKNOWN_TOPIC_ID, None),
            _ => (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, None),
        }
    }

    /// Errors that say "not me" come with who it is (KIP-951).
    fn hint(&self, slot: &Slot, error: FetchError) -> Option<LeaderHint> {
        match error {
            FetchError::NotLeaderOrFollower | FetchError::FencedLeaderEpoch => self.absence(slot).1,
            FetchError::UnknownLeaderEpoch | FetchError::OffsetOutOfRange { .. } | FetchError::OffsetNotAvailable => {
                None
            }
        }
    }
}

fn log_start_of(error: FetchError) -> Offset {
    match error {
        FetchError::OffsetOutOfRange { log_start } => log_start,
        _ => Offset(-1),
    }
}
