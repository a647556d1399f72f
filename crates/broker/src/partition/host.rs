//! The partition itself: what it consists of, and how an event passes through it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use tidelog_commitlog::{Log, LogId, StorageError};
use tidelog_metadata::{LogPosition, TopicIdPartition};
use tidelog_replication::{Effect, EpochEnd, EpochHistory, LogOffsets, Partition as Protocol};
use tidelog_wire::types::{BrokerId, LeaderEpoch, Offset, PartitionIndex};
use tidelog_wire::{Str, Uuid};

use super::acks::AckQueue;
use super::append::PendingProduce;
use super::trim::TrimWaiter;
use super::watch::Watcher;
use crate::coordinator_host::OFFSETS_TOPIC;
use crate::shard::Shard;
use crate::throttle::Throttled;

/// How the rest of the shard holds a partition. Partitions of one shard are called directly; where a partition lives is
/// this type's business and nobody else's.
pub(crate) type PartitionHandle = Rc<PartitionHost>;

/// Names one partition of one incarnation of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PartitionId {
    pub topic: Str,
    pub topic_id: Uuid,
    pub index: PartitionIndex,
}

impl PartitionId {
    pub(crate) fn log_id(&self) -> LogId {
        LogId { topic: self.topic.clone(), partition: self.index, topic_id: self.topic_id }
    }

    /// As the metadata names it.
    pub(crate) fn id_partition(&self) -> TopicIdPartition {
        TopicIdPartition { topic_id: self.topic_id, partition: self.index }
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.index)
    }
}

/// A replica and everyone who waits for it.
pub(crate) struct PartitionHost {
    pub id: PartitionId,
    /// Names this host in the shard's table, for results that come back from other threads.
    pub key: u64,
    pub(super) state: RefCell<State>,
    /// It waits in the turn's list of appends or flushes already.
    pub(super) append_queued: Cell<bool>,
    pub(super) flush_queued: Cell<bool>,
    /// It waits in a fetcher's list of partitions to name.
    pub fetch_queued: Cell<bool>,
    /// The leader that our replica fetcher asks.
    pub following: Cell<BrokerId>,
    /// This leader isolated itself (docs/REPLICATION.md R9).
    pub stepped_aside: Cell<bool>,
    /// Where a read came upon damaged records. The log is used on as long as nobody else leads: it may be the only one.
    pub damaged_at: Cell<Option<Offset>>,
    /// The controller was told that durable records are wrong.
    pub damage_reported: Cell<bool>,
    /// Deleted, reassigned or closed: nothing happens to it any more.
    pub stopped: Cell<bool>,
    /// How the topic's config has its replication throttled.
    pub throttled: Cell<Throttled>,
    /// Bytes appended since the start, by which parked fetches estimate what became readable.
    pub appended_bytes: Cell<u64>,
    pub(super) watchers: RefCell<Vec<Watcher>>,
}

pub(super) struct State {
    /// `None` once the host is stopped and its log closed or deleted.
    pub log: Option<Log>,
    pub protocol: Protocol,
    pub effects: Vec<Effect>,
    /// The log could not be changed as an effect asked: whoever fetched is to wait before the next attempt.
    pub has_change_failed: bool,
    pub pending: Vec<PendingProduce>,
    /// A disk thread judges what comes before all that is pending.
    pub is_judging: bool,
    pub acks: AckQueue,
    pub trims: Vec<TrimWaiter>,
    /// The tick that is booked with the shard.
    pub booked_tick_ms: Option<i64>,
}

impl PartitionHost {
    pub(crate) fn new(id: PartitionId, key: u64, log: Log, protocol: Protocol) -> Self {
        Self {
            id,
            key,
            state: RefCell::new(State {
                log: Some(log),
                protocol,
                effects: Vec::new(),
                has_change_failed: false,
                pending: Vec::new(),
                is_judging: false,
                acks: AckQueue::default(),
                trims: Vec::new(),
                booked_tick_ms: None,
            }),
            append_queued: Cell::new(false),
            flush_queued: Cell::new(false),
            fetch_queued: Cell::new(false),
            following: Cell::new(BrokerId::NONE),
            stepped_aside: Cell::new(false),
            damaged_at: Cell::new(None),
            damage_reported: Cell::new(false),
            stopped: Cell::new(false),
            throttled: Cell::default(),
            appended_bytes: Cell::new(0),
            watchers: RefCell::default(),
        }
    }

    /// Passes one event to the protocol and executes what comes of it.
    pub(super) fn event<R>(
        self: &Rc<Self>,
        shard: &Rc<Shard>,
        event: impl FnOnce(&mut Protocol, Option<&Log>, &mut Vec<Effect>, i64) -> R,
    ) -> R {
        let _section = shard.panics.section("a partition");
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let now_ms = shard.clock.monotonic_ms();
        let result = event(&mut state.protocol, state.log.as_ref(), &mut state.effects, now_ms);
        self.execute_effects(shard, state);
        result
    }

    /// Who leads changed, or may have: a coordinator lives and dies with the leadership.
    pub(super) fn leadership_changed(self: &Rc<Self>, shard: &Shard) {
        if self.id.topic.as_str() == OFFSETS_TOPIC {
            shard.turn.leadership_changed(Rc::clone(self));
        }
    }

    /// Durable records of the log are known to be wrong.
    pub(crate) fn is_damaged(&self) -> bool {
        let is_log_damaged = || self.state.borrow().log.as_ref().is_some_and(|log| log.damage().is_some());
        self.damaged_at.get().is_some() || is_log_damaged()
    }

    /// Another leads now: what is damaged is given up. The host is to be set aside next.
    pub(crate) fn admit_damage(&self) -> Result<(), StorageError> {
        match (self.damaged_at.get(), self.state.borrow_mut().log.as_mut()) {
            (Some(offset), Some(log)) => log.admit_damage(offset),
            _ => Ok(()),
        }
    }

    /// This replica lacked records, and is in sync all the same: nobody has them any more.
    pub(crate) fn accept_end(&self, shard: &Shard) {
        let accepted = self.state.borrow_mut().log.as_mut().map(Log::accept_end);
        if let Some(Err(error)) = accepted {
            shard.storage_error(&error);
        }
    }

    pub(crate) fn is_leader(&self) -> bool {
        self.state.borrow().protocol.is_leader()
    }

    pub(crate) fn leader_epoch(&self) -> LeaderEpoch {
        self.state.borrow().protocol.leader_epoch()
    }

    pub(crate) fn high_watermark(&self) -> Offset {
        self.state.borrow().protocol.high_watermark()
    }

    /// Number of in-sync replicas if this replica leads.
    pub(crate) fn isr_size(&self) -> usize {
        self.state.borrow().protocol.isr().len()
    }

    /// Log start and end, and bytes on disk.
    pub(crate) fn log_extent(&self) -> Option<(Offset, Offset, u64)> {
        let state = self.state.borrow();
        let log = state.log.as_ref()?;
        Some((log.log_start_offset(), log.log_end_offset(), log.size_bytes()))
    }

    /// Where the log ends, as the controller compares replicas that may lack records.
    pub(crate) fn log_position(&self) -> Option<LogPosition> {
        let state = self.state.borrow();
        let log = state.log.as_ref()?;
        Some(LogPosition { last_epoch: log.latest_epoch(), log_end: log.log_end_offset() })
    }

    /// Takes the log out, for its closing or deletion. The host is of no use afterwards.
    pub(crate) fn take_log(&self) -> Option<Log> {
        self.stopped.set(true);
        self.state.borrow_mut().log.take()
    }
}

pub(super) fn offsets_of(log: &Log) -> LogOffsets {
    LogOffsets { start: log.log_start_offset(), durable_end: log.durable_end(), end: log.log_end_offset() }
}

/// The log's leader-epoch checkpoint, as the protocol asks for it.
pub(super) struct History<'a>(pub &'a Log);

impl EpochHistory for History<'_> {
    fn latest_epoch(&self) -> LeaderEpoch {
        self.0.latest_epoch()
    }

    fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        let (leader_epoch, end_offset) = self.0.end_offset_for_epoch(epoch);
        (leader_epoch != LeaderEpoch::NONE).then_some(EpochEnd { leader_epoch, end_offset })
    }
}
