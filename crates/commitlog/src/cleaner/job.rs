//! One cleaning of one log, away from the log's owner.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tidelog_wire::record::RawRecords;
use tidelog_wire::record_batch::{BatchHeader, HEADER_SIZE};
use tidelog_wire::types::{Offset, ProducerId};

use super::offset_map::OffsetMap;
use super::output::{Output, discard};
use super::rewrite::{Rewriter, Rules, Unreadable, Verdict};
use crate::config::LogConfig;
use crate::context::Context;
use crate::error::StorageError;
use crate::files::FileSlot;
use crate::marks::Marks;
use crate::names;
use crate::segment::{BatchScanner, IndexedTimestamp, ScanStep, open_log_file};

/// Memory that a cleaning may take.
#[derive(Clone, Copy, Debug)]
pub struct CleanerLimits {
    /// `log.cleaner.dedupe.buffer.size`: what has more keys takes several cleanings.
    pub dedupe_buffer_bytes: u64,
}

impl Default for CleanerLimits {
    fn default() -> Self {
        Self { dedupe_buffer_bytes: 128 << 20 }
    }
}

/// Why a log was not cleaned. Nothing of it has changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CleanError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// It will not become readable by waiting: the log stays as it is until somebody looks.
    #[error("the batch at offset {offset} cannot be cleaned: {reason}")]
    Unreadable { offset: Offset, reason: &'static str },
    /// The log was cut, trimmed or deleted meanwhile.
    #[error("the log changed while it was cleaned")]
    Cancelled,
}

/// What one cleaning did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CleanStats {
    /// Of the segments copied; what was read for the map comes on top.
    pub read_bytes: u64,
    pub written_bytes: u64,
    pub mapped_bytes: u64,
    pub mapped_keys: u64,
    /// First offset that is dirty now.
    pub cleaned_up_to: Offset,
}

/// Tells a job that nobody wants its result any more.
pub(crate) type Token = Arc<AtomicBool>;

/// A closed segment that is to be cleaned.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) base_offset: Offset,
    /// Where the next segment begins.
    pub(crate) end: Offset,
    pub(crate) size_bytes: u64,
    pub(crate) slot: Arc<FileSlot>,
}

/// Takes the place of one segment or several.
#[derive(Clone, Debug)]
pub(crate) struct CleanedSegment {
    pub(crate) base_offset: Offset,
    pub(crate) end: Offset,
    pub(crate) size_bytes: u64,
    pub(crate) max_timestamp: Option<IndexedTimestamp>,
}

/// A cleaning to be done; see [`crate::Log::begin_cleaning`].
#[derive(Debug)]
#[must_use = "the log is being cleaned until it gets the outcome"]
pub struct CleanJob {
    pub(crate) context: Arc<Context>,
    pub(crate) marks: Arc<Marks>,
    pub(crate) dir: Arc<Path>,
    pub(crate) config: Arc<LogConfig>,
    pub(crate) sources: Vec<Source>,
    pub(crate) first_dirty: Offset,
    pub(crate) last_of_producers: HashMap<ProducerId, Offset>,
    pub(crate) now_ms: i64,
    pub(crate) token: Token,
}

/// The outcome of a cleaning, for [`crate::Log::finish_cleaning`].
#[derive(Debug)]
#[must_use = "the log is being cleaned until it gets this back"]
pub struct Cleaned {
    pub(crate) token: Token,
    pub(crate) segments: Vec<CleanedSegment>,
    pub(crate) result: Result<CleanStats, CleanError>,
}

/// What is told of every piece of work; may wait, to keep within a rate.
type Throttle<'a> = &'a mut dyn FnMut(u64);

impl CleanJob {
    /// Reads and writes for as long as it takes. `throttle` hears of every so many bytes moved, and may sleep.
    pub fn run(self, limits: &CleanerLimits, throttle: Throttle<'_>) -> Cleaned {
        let mut segments = Vec::new();
        let result = self.clean(limits, throttle, &mut segments);
        // Then the files may have gone too.
        let result = match self.token.load(Ordering::Relaxed) {
            true => Err(CleanError::Cancelled),
            false => result,
        };
        if result.is_err() {
            segments.clear();
            self.sources.iter().for_each(|source| discard(&self.context, &self.dir, source.base_offset));
        }
        Cleaned { token: self.token, segments, result }
    }

    fn clean(
        &self,
        limits: &CleanerLimits,
        throttle: Throttle<'_>,
        segments: &mut Vec<CleanedSegment>,
    ) -> Result<CleanStats, CleanError> {
        // Recovery has to know that there may be gaps. And it takes epochs from the batches that it scans, so it must not scan what has lost some.
        self.marks.sync(&self.context)?;
        let mut stats = CleanStats::default();
        let map = self.build_map(limits, throttle, &mut stats)?;
        stats.mapped_keys = map.len() as u64;
        stats.cleaned_up_to = map.latest() + 1;
        let last_of_producers = &self.last_of_producers;
        let delete_retention_ms = self.config.delete_retention_ms;
        let decompressed_bytes_max = self.config.decompressed_bytes_max();
        let rules =
            Rules { map: &map, now_ms: self.now_ms, delete_retention_ms, decompressed_bytes_max, last_of_producers };
        let sources: Vec<&Source> =
            self.sources.iter().take_while(|source| source.base_offset < stats.cleaned_up_to).collect();
        if stats.cleaned_up_to <= self.first_dirty {
            return Ok(stats);
        }
        for group in self.groups(&sources) {
            if let Some(segment) = self.clean_group(group, &rules, throttle, &mut stats)? {
                segments.push(segment);
            }
        }
        Ok(stats)
    }

    /// Notes the last offset of every key from the first dirty offset on, as far as there is room.
    fn build_map(
        &self,
        limits: &CleanerLimits,
        throttle: Throttle<'_>,
        stats: &mut CleanStats,
    ) -> Result<OffsetMap, CleanError> {
        let end = self.sources.last().map_or(self.first_dirty, |source| source.end);
        let keys_expected = (end - self.first_dirty).max(0) as u64;
        let mut map = OffsetMap::new(limits.dedupe_buffer_bytes, keys_expected, self.first_dirty);
        for source in self.sources.iter().filter(|source| source.end > self.first_dirty) {
            let mut has_room = true;
            self.for_each_batch(source, &mut |header, batch| {
                if has_room && header.last_offset() >= self.first_dirty {
                    throttle(batch.len() as u64);
                    stats.mapped_bytes += batch.len() as u64;
                    has_room = self.map_batch(&mut map, header, batch)?;
                }
                Ok(has_room)
            })?;
            if !has_room {
                break;
            }
        }
        Ok(map)
    }

    /// Returns whether to go on.
    fn map_batch(&self, map: &mut OffsetMap, header: &BatchHeader, batch: &Bytes) -> Result<bool, CleanError> {
        let unreadable = |reason| CleanError::Unreadable { offset: header.base_offset, reason };
        // Whether its records count depends on how the transaction ended, which nobody here knows yet.
        if header.attributes.is_transactional() && !header.attributes.is_control() {
            return Ok(false);
        }
        if !header.attributes.is_control() && header.record_count > 0 {
            let codec = header.attributes.compression().map_err(|_| unreadable("unknown compression"))?;
            let section = codec.decompress(&batch.slice(HEADER_SIZE..), self.config.decompressed_bytes_max());
            let section = section.map_err(|error| unreadable(Unreadable::from(error).0))?;
            for record in RawRecords::new(&section).take(header.record_count as usize) {
                let record = record.map_err(|_| unreadable("a record is malformed"))?;
                let offset = header.base_offset + i64::from(record.offset_delta);
                if offset >= self.first_dirty
                    && let Some(key) = record.key
                    && !map.put(key, offset)
                {
                    return Ok(false);
                }
            }
        }
        map.looked_at(header.last_offset());
        Ok(true)
    }

    /// Neighbours that fit into one segment become one.
    fn groups<'a, 's>(&self, sources: &'s [&'a Source]) -> Vec<&'s [&'a Source]> {
        let (size_max, index_max) =
            (u64::from(self.config.segment_bytes), u64::from(self.config.segment_index_bytes) / 8);
        let mut groups = Vec::new();
        let mut rest = sources;
        while let Some((first, _)) = rest.split_first() {
            let mut size = 0;
            let fits = |source: &&&Source| {
                size += source.size_bytes;
                size <= size_max
                    && size / u64::from(self.config.index_interval_bytes.max(1)) <= index_max
                    && source.end - first.base_offset <= i64::from(i32::MAX)
            };
            let count = rest.iter().take_while(fits).count().max(1);
            let (group, after) = rest.split_at(count);
            groups.push(group);
            rest = after;
        }
        groups
    }

    /// `None` if there was nothing to change.
    fn clean_group(
        &self,
        group: &[&Source],
        rules: &Rules<'_>,
        throttle: Throttle<'_>,
        stats: &mut CleanStats,
    ) -> Result<Option<CleanedSegment>, CleanError> {
        let (base_offset, end) = (group[0].base_offset, group[group.len() - 1].end);
        let mut output = Output::create(&self.context, &self.dir, base_offset, self.config.index_interval_bytes)?;
        let mut rewriter = Rewriter::default();
        let mut is_changed = group.len() > 1;
        for source in group {
            stats.read_bytes += source.size_bytes;
            self.for_each_batch(source, &mut |header, batch| {
                throttle(batch.len() as u64);
                let is_last = header.next_offset() == end;
                let verdict = rewriter
                    .judge(rules, header, batch, is_last)
                    .map_err(|error| CleanError::Unreadable { offset: header.base_offset, reason: error.0 })?;
                is_changed |= !matches!(verdict, Verdict::Keep);
                match verdict {
                    Verdict::Keep => output.put(header, batch)?,
                    Verdict::Rewritten => {
                        let rewritten = BatchHeader::parse(rewriter.batch()).expect("it was just written");
                        output.put(&rewritten, rewriter.batch())?;
                        throttle(rewriter.batch().len() as u64);
                    }
                    Verdict::Dropped => {}
                }
                Ok(true)
            })?;
        }
        if !is_changed {
            drop(output);
            discard(&self.context, &self.dir, base_offset);
            stats.written_bytes += group[0].size_bytes;
            return Ok(None);
        }
        let written = output.finish(base_offset)?;
        stats.written_bytes += written.size_bytes;
        let (size_bytes, max_timestamp) = (written.size_bytes, written.max_timestamp);
        Ok(Some(CleanedSegment { base_offset, end, size_bytes, max_timestamp }))
    }

    /// Visits the batches of a segment, whose checksums are right, for as long as `visit` says so. The last one ends where
    /// the next segment begins.
    fn for_each_batch(
        &self,
        source: &Source,
        visit: &mut dyn FnMut(&BatchHeader, &Bytes) -> Result<bool, CleanError>,
    ) -> Result<(), CleanError> {
        let path = self.dir.join(names::segment_file(source.base_offset, names::LOG));
        let file = open_log_file(&self.context, &source.slot, &self.dir, source.base_offset)?;
        let mut scanner = BatchScanner::new(&*file, 0, source.size_bytes);
        let mut next = source.base_offset;
        loop {
            if self.token.load(Ordering::Relaxed) {
                return Err(CleanError::Cancelled);
            }
            match scanner.step().map_err(|error| StorageError::read("read", &path, &error))? {
                ScanStep::Batch { header, batch, .. } => {
                    if header.base_offset < next || header.verify_crc(&batch).is_err() {
                        return Err(CleanError::Unreadable { offset: next, reason: "it is damaged" });
                    }
                    next = header.next_offset();
                    if !visit(&header, &batch)? {
                        return Ok(());
                    }
                }
                ScanStep::End if next == source.end => return Ok(()),
                ScanStep::End | ScanStep::Invalid(_) => {
                    return Err(CleanError::Unreadable { offset: next, reason: "the segment ends early" });
                }
            }
        }
    }
}

impl Cleaned {
    /// What was done, or why it was not.
    pub fn result(&self) -> &Result<CleanStats, CleanError> {
        &self.result
    }
}
