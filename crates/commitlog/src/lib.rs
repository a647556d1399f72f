//! One partition's log on disk: segments, indexes, epochs, producers, recovery.
//!
//! [`LogDir`] is a directory of logs and what they share: open files, the durable mark, the reserve of free space, the
//! offline state. [`Log`] is one partition, owned by one thread. Everything blocks; only [`FlushJob::run`],
//! [`ReadJob::run`], [`TimestampSearch::run`], [`CleanJob::run`] and [`DeletedFiles::remove`] wait for the device, and they may run on another thread.
//! What the files hold byte by byte is in `docs/ON_DISK_FORMAT.md`.
#![forbid(unsafe_code)]

mod clean_shutdown;
mod cleaner;
mod config;
mod context;
pub mod disk;
mod epochs;
mod error;
mod files;
mod log;
mod log_dir;
mod marks;
mod names;
mod partition_metadata;
mod producers;
mod segment;
mod space;
mod validate;

pub use cleaner::{CleanError, CleanJob, CleanStats, Cleaned, CleanerLimits};
pub use config::{LogConfig, RecordValidation, StoredCompression};
pub use error::{AppendError, InvalidBatch, ProducerError, ReadError, RecordRule, RejectedRecord, StorageError};
pub use log::{
    Appended, Cleanable, Damage, DeletedFiles, FlushDone, FlushJob, Log, ReadJob, ReadStart, TimestampOffset,
    TimestampSearch,
};
pub use log_dir::{FoundLog, LogDir, LogDirOptions, LogDirStart, LogId, RecoveryReport, UncleanReason};
pub use validate::{ValidBatch, Validator};
