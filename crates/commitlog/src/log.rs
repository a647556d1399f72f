//! One partition's log.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tidelog_wire::types::{LeaderEpoch, Offset};

use crate::config::LogConfig;
use crate::error::{AppendError, ReadError, StorageError};

/// One partition's log. Offsets grow to the right:
///
/// ```text
///   log_start <= ... <= durable_end <= log_end
///       |  on disk for sure  |  page cache  |
/// ```
///
/// Belongs to one thread at a time. Files exist only once something was appended.
#[derive(Debug)]
pub struct Log {}

/// What became of one appended batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub base_offset: Offset,
    pub last_offset: Offset,
    /// The time the broker stamped, if the topic is LogAppendTime; -1 otherwise, as in a Produce response.
    pub log_append_time_ms: i64,
    /// The batch was in the log already and nothing was appended: the offsets are those it has there. It is
    /// acknowledged like any other, once the high watermark passes `last_offset`.
    pub duplicate: bool,
}

/// A record's place found by its timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampOffset {
    pub timestamp_ms: i64,
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
}

/// Bytes below the durable mark that recovery or a read found to be wrong. They are kept until
/// [`Log::truncate_to`] or [`Log::truncate_fully_and_start_at`] is told to drop them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub path: PathBuf,
    pub position: u64,
    pub offset: Offset,
    pub reason: String,
}

/// The blocking half of a flush; see [`Log::begin_flush`].
#[derive(Debug)]
pub struct FlushJob {}

impl FlushJob {
    /// Waits for the device. Never fails visibly: the outcome travels in [`FlushDone`].
    pub fn run(self) -> FlushDone {
        todo!()
    }
}

#[derive(Debug)]
#[must_use = "the log stays in flush until it gets this back"]
pub struct FlushDone {}

/// The start of a read: done, or to be done where waiting for the device harms nobody.
#[derive(Debug)]
pub enum ReadStart {
    Ready(Bytes),
    Cold(ReadJob),
}

#[derive(Debug)]
pub struct ReadJob {}

impl ReadJob {
    pub fn run(self) -> Result<Bytes, ReadError> {
        todo!()
    }
}

/// Files that left the log and wait for their end, renamed to `.deleted` (a segment) or `-delete` (a log).
#[derive(Debug)]
pub struct DeletedFiles {}

impl DeletedFiles {
    /// When `file.delete.delay.ms` is over and [`Self::remove`] is due.
    pub fn due_ms(&self) -> i64 {
        todo!()
    }

    /// Removes them from the disk. If this is never called, the next start does it.
    pub fn remove(self) -> Result<(), StorageError> {
        todo!()
    }
}

#[expect(unused_variables)]
impl Log {
    /// The oldest offset a consumer may read.
    pub fn log_start_offset(&self) -> Offset {
        todo!()
    }

    /// The offset the next record gets.
    pub fn log_end_offset(&self) -> Offset {
        todo!()
    }

    /// Everything below is on disk, or, with `write.caching`, in the page cache (then it equals the log end).
    pub fn durable_end(&self) -> Offset {
        todo!()
    }

    /// Bytes of all segments' batches.
    pub fn size_bytes(&self) -> u64 {
        todo!()
    }

    pub fn config(&self) -> &Arc<LogConfig> {
        todo!()
    }

    pub fn set_config(&mut self, config: Arc<LogConfig>) {
        todo!()
    }

    /// Set while bytes that were durable are known to be wrong: appends are refused, reads below still work.
    pub fn damage(&self) -> Option<&Damage> {
        todo!()
    }

    /// Appends one producer's batch; see [`Self::append_all_as_leader`].
    pub fn append_as_leader(
        &mut self,
        records: Bytes,
        leader_epoch: LeaderEpoch,
        now_ms: i64,
    ) -> Result<Appended, AppendError> {
        todo!()
    }

    /// Validates and appends producers' batches (one each) in order, with one write for all: offsets and leader epoch
    /// are set, timestamps too if the topic is LogAppendTime. One result per batch, in order; a refused batch does
    /// not hinder the others. After a storage error every batch of the call has it.
    pub fn append_all_as_leader(
        &mut self,
        batches: &[Bytes],
        leader_epoch: LeaderEpoch,
        now_ms: i64,
    ) -> Vec<Result<Appended, AppendError>> {
        todo!()
    }

    /// Appends whole batches as fetched from the leader, byte for byte, with one write. A batch cut off at the end of
    /// `records` is left out. Returns the new log end.
    pub fn append_as_follower(
        &mut self,
        records: Bytes,
        now_ms: i64,
    ) -> Result<Offset, AppendError> {
        todo!()
    }

    /// Whole batches from the one that holds `from` on, as many as end at or below `upper_bound` and fit in
    /// `max_bytes`; with `at_least_one`, the first even if it alone is larger. Empty at the upper bound or log end.
    /// Stays within one segment.
    ///
    /// A wrong `from` is [`ReadError::OutOfRange`]. May wait for the device: [`Self::begin_read`] does not.
    pub fn read(
        &mut self,
        from: Offset,
        upper_bound: Offset,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<Bytes, ReadError> {
        todo!()
    }

    /// As [`Self::read`], but what is not in the page cache comes as a job for another thread.
    pub fn begin_read(
        &mut self,
        from: Offset,
        upper_bound: Offset,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<ReadStart, ReadError> {
        todo!()
    }

    /// What has to be synced so that `durable_end` reaches the present log end; `None` if nothing has, or if a job is
    /// outstanding. Run it anywhere, then hand the result to [`Self::finish_flush`]. Appends may go on meanwhile.
    pub fn begin_flush(&mut self) -> Option<FlushJob> {
        todo!()
    }

    /// The new durable end.
    pub fn finish_flush(&mut self, done: FlushDone) -> Result<Offset, StorageError> {
        todo!()
    }

    /// `begin_flush`, `run` and `finish_flush` in one, for shutdown and tests.
    pub fn flush(&mut self) -> Result<Offset, StorageError> {
        todo!()
    }

    /// The epoch of the last batch, or the one assigned since; `LeaderEpoch::NONE` in a new log.
    pub fn latest_epoch(&self) -> LeaderEpoch {
        todo!()
    }

    /// The answer to OffsetForLeaderEpoch (KIP-279): the greatest known epoch not above `epoch`, and where it ends.
    /// `(NONE, -1)` if there is none.
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> (LeaderEpoch, Offset) {
        todo!()
    }

    /// The epoch of the record at `offset`.
    pub fn epoch_for_offset(&self, offset: Offset) -> Option<LeaderEpoch> {
        todo!()
    }

    /// A new leader notes that its epoch starts at the log end. Older epochs than the latest are refused.
    pub fn assign_epoch_start(&mut self, epoch: LeaderEpoch) -> Result<(), AppendError> {
        todo!()
    }

    /// Drops everything at and above `offset` (a batch that straddles it goes as a whole). The lowered durable mark is
    /// on disk first, the cut itself before this returns.
    pub fn truncate_to(&mut self, offset: Offset) -> Result<(), StorageError> {
        todo!()
    }

    /// Drops everything and restarts empty at `offset`.
    pub fn truncate_fully_and_start_at(&mut self, offset: Offset) -> Result<(), StorageError> {
        todo!()
    }

    /// Moves the log start up (DeleteRecords, or a leader's log start in a Fetch). On disk when this returns. Whole
    /// segments below are handed back as deleted files. Offsets above the log end are the caller's mistake.
    pub fn advance_log_start(
        &mut self,
        offset: Offset,
        now_ms: i64,
    ) -> Result<Vec<DeletedFiles>, StorageError> {
        todo!()
    }

    /// Applies `retention.ms` and `retention.bytes`, never past `high_watermark`.
    pub fn apply_retention(
        &mut self,
        now_ms: i64,
        high_watermark: Offset,
    ) -> Result<Vec<DeletedFiles>, StorageError> {
        todo!()
    }

    /// Forgets producers silent for longer than `producer.id.expiration.ms`.
    pub fn expire_producers(&mut self, now_ms: i64) {
        todo!()
    }

    /// The first record below `upper_bound` with at least this timestamp (ListOffsets).
    pub fn offset_for_timestamp(
        &mut self,
        timestamp_ms: i64,
        upper_bound: Offset,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        todo!()
    }

    /// The record below `upper_bound` with the greatest timestamp, the first of several (ListOffsets -3, KIP-734).
    pub fn max_timestamp(
        &mut self,
        upper_bound: Offset,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        todo!()
    }

    /// Flushes, trims the preallocated tail, writes the producers' snapshot and the epochs.
    pub fn close_clean(self) -> Result<(), StorageError> {
        todo!()
    }
}
