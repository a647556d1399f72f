//! One partition's log: what it is made of. Each group of operations has its own file.

mod append;
mod clean;
mod close;
mod cut;
mod damage;
mod deletion;
mod flush;
mod open;
mod read;
mod rebuild;
mod recovery;
mod retention;
mod snapshots;
mod swaps;
mod timestamps;
mod truncate;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidelog_wire::types::{LeaderEpoch, Offset};

use crate::config::LogConfig;
use crate::context::Context;
use crate::epochs::Epochs;
use crate::error::{AppendError, StorageError};
use crate::log_dir::LogId;
use crate::marks::{Mark, MarkKey, Marks};
use crate::producers::Producers;
use crate::segment::{Active, Segment};

pub use append::Appended;
pub use clean::Cleanable;
pub use deletion::DeletedFiles;
pub use flush::{FlushDone, FlushJob};
pub use read::{ReadJob, ReadStart};
pub use timestamps::{TimestampOffset, TimestampSearch};

pub(crate) use deletion::{delete_log_dir, remove_dir};
pub(crate) use open::{Opening, open_log};

/// One partition's log. Offsets grow to the right:
///
/// ```text
///   log_start <= ... <= durable_end <= log_end
///       |  on disk for sure  |  page cache  |
/// ```
///
/// Belongs to one thread at a time. Files exist only once something was appended.
#[derive(Debug)]
pub struct Log {
    context: Arc<Context>,
    marks: Arc<Marks>,
    id: LogId,
    dir: Arc<Path>,
    config: Arc<LogConfig>,
    /// Oldest first, each ends where the next begins; the last one is appended to.
    segments: Vec<Segment>,
    /// Of the last segment; loaded by the first append.
    active: Option<Box<Active>>,
    log_start: Offset,
    log_end: Offset,
    epochs: Epochs,
    producers: Producers,
    /// The producers are from a snapshot, which knows their last batch only.
    producers_are_partial: bool,
    recent_snapshots: snapshots::RecentSnapshots,
    flush: flush::FlushState,
    /// As in the marks file, or about to be. Only this log changes it.
    mark: Mark,
    cursors: Arc<read::Cursors>,
    cleaning: clean::Cleaning,
    damage: Option<Box<Damage>>,
    /// The directory and `partition.metadata` exist.
    has_dir: bool,
    /// Something was changed since the log was opened, so that closing has something to write.
    is_changed: bool,
}

/// Bytes below the durable mark that recovery, or a read, found to be wrong. They are kept until [`Log::truncate_to`] or
/// [`Log::truncate_fully_and_start_at`] is told to drop them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub path: PathBuf,
    pub position: u64,
    /// Of the first batch that is not as it was written.
    pub offset: Offset,
    pub reason: String,
}

impl Log {
    pub fn id(&self) -> &LogId {
        &self.id
    }

    /// The oldest offset a consumer may read.
    pub fn log_start_offset(&self) -> Offset {
        self.log_start
    }

    /// The offset the next record gets.
    pub fn log_end_offset(&self) -> Offset {
        self.log_end
    }

    /// Everything below is on disk, or, with `write.caching`, in the page cache (then it equals the log end).
    pub fn durable_end(&self) -> Offset {
        match self.config.write_caching {
            true => self.log_end,
            false => self.flush.flushed_end,
        }
    }

    /// Bytes of all segments' batches.
    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.size_bytes).sum()
    }

    pub fn config(&self) -> &Arc<LogConfig> {
        &self.config
    }

    pub fn set_config(&mut self, config: Arc<LogConfig>) {
        self.config = config;
    }

    /// Set while bytes that were durable are known to be wrong: appends are refused, reads below still work.
    pub fn damage(&self) -> Option<&Damage> {
        self.damage.as_deref()
    }

    /// The epoch of the last batch, or the one assigned since; `LeaderEpoch::NONE` in a new log.
    pub fn latest_epoch(&self) -> LeaderEpoch {
        self.epochs.latest()
    }

    /// The answer to OffsetForLeaderEpoch (KIP-101, KIP-279): the greatest known epoch not above `epoch`, and where it
    /// ends. `(NONE, -1)` if `epoch` is newer than any known.
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> (LeaderEpoch, Offset) {
        self.epochs.end_offset_for(epoch, self.log_end)
    }

    /// The epoch of the record at `offset`.
    pub fn epoch_for_offset(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.epochs.epoch_at(offset)
    }

    /// A new leader notes that its epoch starts at the log end. An epoch older than the latest is refused.
    pub fn assign_epoch_start(&mut self, epoch: LeaderEpoch) -> Result<(), AppendError> {
        self.check_epoch(epoch)?;
        if self.epochs.assign(epoch, self.log_end) {
            self.is_changed = true;
        }
        Ok(self.accept_end()?)
    }

    /// Forgets producers silent for longer than `producer.id.expiration.ms`.
    pub fn expire_producers(&mut self, now_ms: i64, expiration_ms: i64) {
        if !self.producers.is_empty() {
            self.producers.expire(now_ms, expiration_ms);
        }
    }

    /// The log is to be deleted: a read under way must not open the file of a log that takes its name.
    pub(crate) fn retire(mut self) {
        self.drop_segments_from(0);
    }

    /// What a read under way finds of them does not count.
    fn drop_segments_from(&mut self, index: usize) {
        self.segments.drain(index..).for_each(|segment| segment.slot.retire());
    }

    fn check_epoch(&self, epoch: LeaderEpoch) -> Result<(), AppendError> {
        let latest = self.epochs.latest();
        match epoch < latest {
            true => Err(AppendError::StaleEpoch { epoch, latest }),
            false => Ok(()),
        }
    }

    fn check_intact(&self) -> Result<(), StorageError> {
        self.context.check()?;
        match &self.damage {
            None => Ok(()),
            Some(damage) => Err(StorageError::Damaged {
                path: damage.path.clone(),
                position: damage.position,
                offset: damage.offset,
                reason: damage.reason.clone(),
            }),
        }
    }

    fn mark_key(&self) -> MarkKey {
        (self.id.topic_id, self.id.partition)
    }

    /// Index of the segment that holds `offset`, or would.
    fn segment_of(&self, offset: Offset) -> Option<usize> {
        self.segments.partition_point(|segment| segment.base_offset <= offset).checked_sub(1)
    }

    /// Where the segment at `index` ends.
    fn segment_end(&self, index: usize) -> Offset {
        self.segments.get(index + 1).map_or(self.log_end, |next| next.base_offset)
    }

    /// A wrong order here would hand out records that do not exist.
    fn check_order(&self) {
        assert!(
            self.log_start <= self.log_end,
            "{:?}: log start {} beyond log end {}",
            self.id,
            self.log_start,
            self.log_end
        );
        assert!(self.flush.flushed_end <= self.log_end, "{:?}: durable end beyond log end", self.id);
    }
}
