//! One partition of a fetch session.

use tidelog_replication::FollowerFetch;
use tidelog_wire::types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionIndex};
use tidelog_wire::{Str, Uuid};

use crate::partition::PartitionHandle;
use crate::shard::Shard;

/// A topic as the client names it: by id from Fetch 13 on, by name before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TopicKey {
    Id(Uuid),
    Name(Str),
}

/// What the reader last asked of the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub fetch_offset: Offset,
    pub max_bytes: usize,
    /// `None`: the client does not know epochs.
    pub current_leader_epoch: Option<LeaderEpoch>,
    pub last_fetched_epoch: LeaderEpoch,
    pub log_start: Offset,
}

/// What is to be done about a slot.
///
/// | state | left when |
/// |---|---|
/// | idle: nothing to send | touched, or named |
/// | queued: to be looked at for the next answer | looked at |
/// | sent (followers only): data or an error is on its way | named, or nothing could be read |
/// | waiting: the follower knows a newer epoch than our image | the image changes, or the request's time is over |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SlotState {
    Idle,
    Queued,
    Sent,
    Waiting,
}

pub(super) struct Slot {
    pub topic: TopicKey,
    pub index: PartitionIndex,
    /// `None` while there is no such partition here.
    pub partition: Option<PartitionHandle>,
    pub asked: Asked,
    pub state: SlotState,
}

impl Slot {
    /// Nothing is known here of the partition, or no longer.
    pub(super) fn is_absent(&self) -> bool {
        self.partition.as_ref().is_none_or(|partition| partition.stopped.get())
    }

    /// The partition as it is now: a topic may have appeared, or been deleted and recreated under its name. One that is
    /// found has to be watched, or the slot would wait for ever.
    pub(super) fn resolve(&mut self, shard: &Shard) -> Option<&PartitionHandle> {
        if self.is_absent() {
            self.partition = find(shard, &self.topic, self.index);
        }
        self.partition.as_ref()
    }

    pub(super) fn present(&self) -> Option<PartitionHandle> {
        self.partition.clone().filter(|_| !self.is_absent())
    }

    pub(super) fn follower_fetch(&self, replica: BrokerId, broker_epoch: BrokerEpoch) -> FollowerFetch {
        FollowerFetch {
            replica,
            broker_epoch,
            current_leader_epoch: self.asked.current_leader_epoch.unwrap_or(LeaderEpoch::NONE),
            fetch_offset: self.asked.fetch_offset,
            last_fetched_epoch: self.asked.last_fetched_epoch,
            log_start: self.asked.log_start,
        }
    }
}

pub(super) fn find(shard: &Shard, topic: &TopicKey, index: PartitionIndex) -> Option<PartitionHandle> {
    let topic_id = match topic {
        TopicKey::Id(topic_id) => *topic_id,
        TopicKey::Name(name) => shard.image().topic_id(name)?,
    };
    shard.partitions.get(topic_id, index).filter(|partition| !partition.stopped.get())
}
