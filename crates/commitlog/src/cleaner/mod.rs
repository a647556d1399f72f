//! Compaction: of every key the last value stays (`cleanup.policy=compact`), after Kafka's rules.
//!
//! ```text
//!   log start        first dirty offset        bound (high watermark, lag, active segment)
//!      |  cleaned before  |        dirty           |  not touched
//! ```
//! The owner of the log hands out a [`CleanJob`] over closed segments ([`crate::Log::begin_cleaning`]). Any thread runs it:
//! it notes the last offset of each key of the dirty part, then copies the segments without what is outdated into new
//! files. The owner puts those in the place of the old ones ([`crate::Log::finish_cleaning`]) unless the log was cut,
//! trimmed or deleted meanwhile. Records keep their offsets, so that cleaned logs have gaps; but the last batch of a
//! cleaned segment stays, if need be without records, so that segments still join.

mod checkpoint;
mod job;
mod offset_map;
mod output;
mod rewrite;

pub use job::{CleanError, CleanJob, CleanStats, Cleaned, CleanerLimits};

pub(crate) use checkpoint::CleanerCheckpoint;
pub(crate) use job::{CleanedSegment, Source, Token};
pub(crate) use output::{cleaned_path, discard};
