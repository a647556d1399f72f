//! A directory of logs and what they share.

use std::path::Path;
use std::sync::Arc;

use tidelog_wire::types::{BrokerEpoch, Offset, PartitionIndex};
use tidelog_wire::{Str, Uuid};

use crate::config::LogConfig;
use crate::disk::Disk;
use crate::error::StorageError;
use crate::log::{DeletedFiles, Log};

/// A handle; clones share everything.
#[derive(Clone, Debug)]
pub struct LogDir {}

#[derive(Clone, Debug)]
pub struct LogDirOptions {
    /// Of segment files and indexes; files with unflushed data stay open beyond it.
    pub open_files_max: usize,
    /// Appends are refused with `DiskFull` when the file system has less than this left.
    pub reserve_bytes: u64,
    /// `producer.id.expiration.ms`
    pub producer_id_expiration_ms: i64,
}

impl Default for LogDirOptions {
    fn default() -> Self {
        Self {
            open_files_max: 4096,
            reserve_bytes: 64 << 20,
            producer_id_expiration_ms: 86_400_000,
        }
    }
}

/// Names one log. The directory is `<topic>-<partition>`; the id tells a recreated topic from its predecessor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LogId {
    pub topic: Str,
    pub partition: PartitionIndex,
    pub topic_id: Uuid,
}

/// A log directory on disk at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundLog {
    pub id: LogId,
}

/// What the start of a log directory found.
#[derive(Clone, Debug)]
pub struct LogDirStart {
    /// The broker epoch in the clean-shutdown marker, if the last run ended with one.
    pub clean_shutdown: Option<BrokerEpoch>,
    /// Logs with files. Every other log is empty (and costs nothing), or missing if [`RecoveryReport::unclean`] says so.
    pub found: Vec<FoundLog>,
}

/// What opening one log found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Why this replica may lack data it acknowledged. Empty for a clean replica, and a crash alone does not make an
    /// unclean one.
    pub unclean: Vec<UncleanReason>,
    /// Bytes read and checked; 0 after a clean shutdown.
    pub scanned_bytes: u64,
    /// Bytes of a torn tail that were cut off.
    pub truncated_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UncleanReason {
    /// The directory is not the one the logs were written in.
    DirectoryIdChanged { was: Uuid },
    /// There is no log, and there was one that reached this far.
    LogMissing { durable_mark: Offset },
    /// The log is intact but ends below what was durable.
    EndsBelowMark {
        log_end: Offset,
        durable_mark: Offset,
    },
    /// See [`Log::damage`].
    CorruptBelowMark {
        offset: Offset,
        durable_mark: Offset,
    },
    /// The file of durable marks is lost or unreadable, so nobody knows how far the log reached.
    MarkUnreadable,
    /// `write.caching=true`, and the last run did not shut down cleanly.
    WriteCaching,
}

#[expect(unused_variables)]
impl LogDir {
    /// Opens or makes the directory. Deletes the clean-shutdown marker durably before it returns, finishes deletions
    /// that a crash interrupted. `directory_id` is the `directory.id` of `meta.properties`.
    pub fn open(
        disk: Arc<dyn Disk>,
        path: &Path,
        directory_id: Uuid,
        options: LogDirOptions,
    ) -> Result<(LogDir, LogDirStart), StorageError> {
        todo!()
    }

    pub fn path(&self) -> &Path {
        todo!()
    }

    /// Opens a log that is on disk, recovering it if need be, or an empty one, which touches no file until its first
    /// append. May run on several threads at once for different logs.
    pub fn open_log(
        &self,
        id: &LogId,
        config: Arc<LogConfig>,
        now_ms: i64,
    ) -> Result<(Log, RecoveryReport), StorageError> {
        todo!()
    }

    /// Takes a log out of the directory: its mark is forgotten, then its directory renamed to `...-delete`.
    /// The files go when the result is told so. `None` if it never had files.
    pub fn delete_log(&self, log: Log, now_ms: i64) -> Result<Option<DeletedFiles>, StorageError> {
        todo!()
    }

    /// The same for a log found at start that is not to be opened (a stray).
    pub fn delete_found(
        &self,
        found: &FoundLog,
        now_ms: i64,
    ) -> Result<Option<DeletedFiles>, StorageError> {
        todo!()
    }

    /// Writes the durable ends that changed since the last call and syncs their file. To be called once per round of
    /// flushes, by a disk thread; nothing waits for it. Returns whether there was anything to do.
    pub fn sync_marks(&self) -> Result<bool, StorageError> {
        todo!()
    }

    /// Closes files not used since the last call. To be called now and then (a minute); idle logs then hold none.
    pub fn close_idle_files(&self) {
        todo!()
    }

    /// The error that took this directory offline.
    pub fn failure(&self) -> Option<StorageError> {
        todo!()
    }

    /// Syncs the marks and writes the clean-shutdown marker. Every log must have been closed clean before.
    pub fn close_clean(self, broker_epoch: BrokerEpoch) -> Result<(), StorageError> {
        todo!()
    }
}
