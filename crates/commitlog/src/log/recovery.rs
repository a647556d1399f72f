//! Recovery: after a crash, what is in the files decides how far the log reaches.
//!
//! ```text
//!   segments below the mark's        from the mark's segment on: every batch is checked
//!   trusted, their ends compared     |------------------------------|=======|......
//!                                                                 mark    torn tail: cut
//! ```
//! A batch counts only if its offsets follow those before (compaction leaves gaps), its epoch does not fall and its CRC is right. What does not count
//! is a torn tail above the durable mark, and corruption below it: that is kept and reported.

use std::collections::BTreeSet;
use std::io;

use tidelog_wire::record_batch::BatchHeader;
use tidelog_wire::types::{LeaderEpoch, Offset};

use super::swaps::end_of;
use super::{Damage, Log};
use crate::epochs::Epochs;
use crate::error::StorageError;
use crate::log_dir::{RecoveryReport, UncleanReason};
use crate::names;
use crate::segment::{Active, BatchScanner, ScanStep, Segment, is_zero, last_position};

/// The files of a log's directory.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Base offsets and file lengths, ascending.
    pub(super) segments: Vec<(Offset, u64)>,
    /// Ascending.
    pub(super) snapshots: Vec<Offset>,
    /// Of segments that have one.
    pub(super) indexes: BTreeSet<Offset>,
    pub(super) time_indexes: BTreeSet<Offset>,
    /// Base offset and name.
    pub(super) deleted: Vec<(Offset, String)>,
    pub(super) temporary: Vec<String>,
    pub(super) has_epochs: bool,
}

/// Where the scan of one segment stopped.
struct ScanEnd {
    /// The offset after the last good batch.
    next_offset: Offset,
    position: u64,
    /// Why there is no further batch, if it is not that the file ends or goes on with zeros.
    fault: Option<String>,
}

/// The last batch of a segment that is not scanned.
struct Tail {
    next_offset: Offset,
    position: u64,
    epoch: Option<LeaderEpoch>,
}

impl Log {
    /// Finds out how far the log reaches and brings every file in line with it.
    pub(super) fn recover(
        &mut self,
        found: &Found,
        now_ms: i64,
        report: &mut RecoveryReport,
    ) -> Result<(), StorageError> {
        // Nobody knows, so they are no proof of damage.
        self.mark.has_gaps |= report.unclean.contains(&UncleanReason::MarkUnreadable);
        let segments = self.usable_segments(found, report)?;
        self.is_changed = self.has_dir;
        let Some((first, _)) = segments.first().copied() else {
            return self.recover_without_segments(found, report);
        };
        if first > self.log_start && self.mark.durable_end > self.log_start {
            self.miss_first_segment(first, report);
            return self.settle(report);
        }
        self.log_start = self.log_start.max(first);
        let (start, epochs) = self.scan_start(&segments, found)?;
        let start_offset = segments[start].0;
        self.epochs = epochs;
        self.epochs.truncate_from_end(start_offset);
        self.segments = segments[..start].iter().map(|(base, len)| Segment::new(*base, *len)).collect();
        self.log_end = start_offset;
        self.heal_indexes(|base| found.indexes.contains(&base) && found.time_indexes.contains(&base))?;
        // Later snapshots may tell of batches that are gone.
        for offset in found.snapshots.iter().filter(|offset| **offset > start_offset) {
            self.context.remove_file(&self.dir.join(names::segment_file(*offset, names::SNAPSHOT)))?;
        }
        (self.producers, self.producers_are_partial) = self.producers_at(start_offset)?;
        match self.check_trusted(start_offset)? {
            Some(damage) => self.stop_at_damage(damage, report),
            None => self.scan_segments(&segments[start..], now_ms, report)?,
        }
        self.settle(report)
    }

    /// The log's beginning is lost: none of the rest is shown, so that the log is not taken for a shorter one.
    fn miss_first_segment(&mut self, first: Offset, report: &mut RecoveryReport) {
        let path = self.dir.join(names::segment_file(self.log_start, names::LOG));
        let reason = format!("the log starts at {}, its first segment at {first}", self.log_start);
        self.log_end = self.log_start;
        self.report_damage(Damage { path, position: 0, offset: self.log_start, reason }, report);
    }

    /// Drops what a restart at a new log start left behind, and segments that a crash outlived while the first one did not,
    /// and accepts a later first segment if the earlier ones were deleted on purpose.
    fn usable_segments(&mut self, found: &Found, report: &RecoveryReport) -> Result<Vec<(Offset, u64)>, StorageError> {
        let mut segments = found.segments.clone();
        let first_useful = segments.partition_point(|(base, _)| *base <= self.mark.log_start).saturating_sub(1);
        for (base, _) in segments.drain(..first_useful) {
            // Left there, it would be taken for the segment before the first one, which it does not join.
            for extension in [names::LOG, names::INDEX, names::TIME_INDEX, names::SNAPSHOT] {
                self.context.remove_file(&self.dir.join(names::segment_file(base, extension)))?;
            }
        }
        let Some((first, _)) = segments.first().copied() else {
            return Ok(segments);
        };
        if first > self.mark.log_start {
            if self.deleted_up_to(found, first)? {
                self.mark.log_start = first;
                self.log_start = first;
                self.marks.set(self.mark_key(), self.mark);
            } else if self.mark.durable_end <= self.mark.log_start
                && !report.unclean.contains(&UncleanReason::MarkUnreadable)
            {
                // Nothing was durable: the log was told to restart below them, or the first segment never reached the disk.
                segments.clear();
            }
        }
        Ok(segments)
    }

    /// Whether a segment that was deleted on purpose ends where `first` begins. One that ends before explains nothing:
    /// what was to follow it may have been lost.
    fn deleted_up_to(&self, found: &Found, first: Offset) -> Result<bool, StorageError> {
        let is_log = |name: &str| matches!(names::parse_segment_file(name), Some((_, names::DELETED_LOG)));
        let below = found.deleted.iter().filter(|(base, name)| *base < first && is_log(name));
        for (base, name) in below {
            if end_of(&self.context, &self.dir.join(name), *base)? == first {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn recover_without_segments(&mut self, found: &Found, report: &mut RecoveryReport) -> Result<(), StorageError> {
        self.log_end = self.log_start;
        self.flush.flushed_end = self.log_start;
        if self.mark.durable_end > self.mark.log_start {
            report.unclean.push(UncleanReason::LogMissing { durable_mark: self.mark.durable_end });
        }
        self.distrust_names()?;
        // A snapshot that outlived its segments tells of another history than the one that begins here.
        match found.segments.is_empty() && found.snapshots.is_empty() {
            true => Ok(()),
            false => self.remove_segment_files(Offset::ZERO, true),
        }
    }

    /// The segment from which on everything is checked, and the epochs known below it. Everything before it was synced
    /// together with its indexes, the epochs and the snapshot at its end: that is so once the mark lies *above* the
    /// next segment's base.
    fn scan_start(&self, segments: &[(Offset, u64)], found: &Found) -> Result<(usize, Epochs), StorageError> {
        let below_mark = segments.partition_point(|(base, _)| *base < self.mark.durable_end);
        let mut start = below_mark.saturating_sub(1);
        while start > 0 && !found.snapshots.contains(&segments[start].0) {
            start -= 1;
        }
        match self.read_epochs(found)? {
            Some(epochs) if start > 0 => Ok((start, epochs)),
            // The batches tell them all. What a checkpoint says of offsets below may be of a log that was dropped.
            Some(_) | None => Ok((0, Epochs::default())),
        }
    }

    /// Whether the segments that are not scanned end where the next one begins.
    fn check_trusted(&mut self, end: Offset) -> Result<Option<(usize, Damage)>, StorageError> {
        let mut epochs_agree = true;
        for index in 0..self.segments.len() {
            let segment = &self.segments[index];
            let next = self.segments.get(index + 1).map_or(end, |next| next.base_offset);
            let tail = self.tail(index)?;
            let (offset, position) = (tail.next_offset, tail.position);
            if offset != next || position != segment.size_bytes {
                let reason = format!("the segment ends at offset {offset}, the next begins at {next}");
                let path = segment.path(&self.dir, names::LOG);
                return Ok(Some((index, Damage { path, position, offset, reason })));
            }
            epochs_agree &= self.epochs.epoch_at(offset + -1) == tail.epoch;
        }
        if !epochs_agree {
            tracing::warn!(log = %self.dir.display(), "the epoch checkpoint does not fit the batches: rebuilding it");
            self.rebuild_epochs()?;
        }
        Ok(None)
    }

    /// Where a segment ends, judged by its batches from the last index entry on.
    fn tail(&self, index: usize) -> Result<Tail, StorageError> {
        let segment = &self.segments[index];
        let path = segment.path(&self.dir, names::LOG);
        let file = segment.file(&self.context, &self.dir)?;
        let entry = self
            .context
            .disk
            .open(&segment.path(&self.dir, names::INDEX), crate::disk::OpenMode::Existing)
            .and_then(|index| last_position(&*index, segment.base_offset));
        let start = match entry {
            Ok(Some((_, position))) if position < segment.size_bytes => position,
            _ => 0,
        };
        let mut tail = Tail { next_offset: segment.base_offset, position: start, epoch: None };
        let mut scanner = BatchScanner::of_headers(&*file, start, segment.size_bytes);
        loop {
            match scanner.step_header().map_err(|error| StorageError::read("read", &path, &error))? {
                ScanStep::Batch { header, .. } => {
                    let (next_offset, position) = (header.next_offset(), scanner.position());
                    tail = Tail { next_offset, position, epoch: Some(header.partition_leader_epoch) };
                }
                ScanStep::End | ScanStep::Invalid(_) => return Ok(tail),
            }
        }
    }

    fn stop_at_damage(&mut self, (index, damage): (usize, Damage), report: &mut RecoveryReport) {
        // Up to the damaged segment the log is whole.
        self.segments.truncate(index + 1);
        self.segments[index].size_bytes = damage.position;
        self.log_end = damage.offset;
        self.epochs.truncate_from_end(damage.offset);
        self.report_damage(damage, report);
    }

    fn report_damage(&mut self, damage: Damage, report: &mut RecoveryReport) {
        let (offset, durable_mark) = (damage.offset, self.mark.durable_end);
        report.unclean.push(UncleanReason::CorruptBelowMark { offset, durable_mark });
        self.set_damage(damage);
    }

    /// Checks the batches of `segments`, one after the other, up to the first that does not continue the log.
    fn scan_segments(
        &mut self,
        segments: &[(Offset, u64)],
        now_ms: i64,
        report: &mut RecoveryReport,
    ) -> Result<(), StorageError> {
        for (nth, (base, len)) in segments.iter().enumerate() {
            let segment = Segment::new(*base, 0);
            let mut active = Active::new(*base, now_ms);
            active.file_bytes = *len;
            let end = self.scan_segment(&segment, &mut active, report)?;
            self.segments.push(Segment { size_bytes: end.position, ..segment });
            self.log_end = end.next_offset;
            self.active = Some(Box::new(active));
            let next_base = segments.get(nth + 1).map(|(base, _)| *base);
            if next_base == Some(end.next_offset) && end.fault.is_none() {
                // As at a roll: everything about it is written, and synced with the next flush.
                self.close_segment()?;
                continue;
            }
            // What lies below the log start is promised to nobody.
            let is_short = self.mark.durable_end > end.next_offset.max(self.log_start);
            return match is_short {
                false => self.cut_torn_tail(&end, *len, next_base.is_some(), report),
                true => {
                    self.keep_damage(end, *len, next_base, report)?;
                    Ok(())
                }
            };
        }
        Ok(())
    }

    /// Feeds every good batch to the indexes, epochs and producers.
    fn scan_segment(
        &mut self,
        segment: &Segment,
        active: &mut Active,
        report: &mut RecoveryReport,
    ) -> Result<ScanEnd, StorageError> {
        let path = segment.path(&self.dir, names::LOG);
        let file = segment.file(&self.context, &self.dir)?;
        let mut scanner = BatchScanner::new(&*file, 0, active.file_bytes);
        let mut next_offset = segment.base_offset;
        let fault = loop {
            let step = scanner.step().map_err(|error| StorageError::read("read", &path, &error))?;
            let (position, header, batch) = match step {
                ScanStep::End => break None,
                ScanStep::Invalid(error) => break Some(error.to_string()),
                ScanStep::Batch { position, header, batch } => (position, header, batch),
            };
            if let Some(fault) = fault_of(&header, &batch, next_offset, self.mark.has_gaps, self.epochs.latest()) {
                // The scanner is behind the batch already.
                let size = header.size_in_bytes() as u64;
                return Ok(ScanEnd { next_offset, position: scanner.position() - size, fault: Some(fault) });
            }
            active.on_batch(&header, position, self.config.index_interval_bytes);
            self.epochs.assign(header.partition_leader_epoch, header.base_offset);
            self.producers.update(&header);
            next_offset = header.next_offset();
            report.scanned_bytes += header.size_in_bytes() as u64;
        };
        Ok(ScanEnd { next_offset, position: scanner.position(), fault })
    }

    /// Removes what follows the last good batch. Synced, so that it cannot come back behind what is appended next.
    fn cut_torn_tail(
        &mut self,
        end: &ScanEnd,
        file_bytes: u64,
        has_later_segments: bool,
        report: &mut RecoveryReport,
    ) -> Result<(), StorageError> {
        let segment = self.segments.last().expect("it was scanned");
        let path = segment.path(&self.dir, names::LOG);
        let file = segment.file(&self.context, &self.dir)?;
        let torn = garbage_bytes(&*file, end.position, file_bytes)
            .map_err(|error| StorageError::read("read", &path, &error))?;
        if torn > 0 {
            report.truncated_bytes += torn;
            tracing::warn!(
                path = %path.display(), offset = end.next_offset.0, bytes = torn,
                "cutting a torn tail: {}", end.fault.as_deref().unwrap_or("zeros")
            );
            self.context.changed("cut", &path, file.set_len(end.position))?;
            self.context.synced(&path, file.sync_data())?;
            self.active.as_mut().expect("it was scanned").file_bytes = end.position;
        }
        if has_later_segments {
            let above = self.log_end;
            self.remove_segment_files(above, false)?;
        }
        Ok(())
    }

    /// Bytes that should be there are not as they were: nothing is cut.
    fn keep_damage(
        &mut self,
        end: ScanEnd,
        file_bytes: u64,
        next_base: Option<Offset>,
        report: &mut RecoveryReport,
    ) -> Result<(), StorageError> {
        let segment = self.segments.last().expect("it was scanned");
        let path = segment.path(&self.dir, names::LOG);
        let file = segment.file(&self.context, &self.dir)?;
        let torn = garbage_bytes(&*file, end.position, file_bytes)
            .map_err(|error| StorageError::read("read", &path, &error))?;
        if torn == 0 && next_base.is_none() {
            let (log_end, durable_mark) = (end.next_offset, self.mark.durable_end);
            report.unclean.push(UncleanReason::EndsBelowMark { log_end, durable_mark });
            return Ok(());
        }
        let reason = end.fault.unwrap_or_else(|| "batches are missing".to_owned());
        self.report_damage(Damage { path, position: end.position, offset: end.next_offset, reason }, report);
        Ok(())
    }

    /// What was found becomes the log's state.
    fn settle(&mut self, report: &mut RecoveryReport) -> Result<(), StorageError> {
        if self.log_end < self.log_start {
            // All of it lies below the log start.
            let missing = self.mark.durable_end > self.mark.log_start && report.unclean.is_empty();
            if missing {
                let (log_end, durable_mark) = (self.log_end, self.mark.durable_end);
                report.unclean.push(UncleanReason::EndsBelowMark { log_end, durable_mark });
            }
            if self.damage.is_none() {
                self.remove_segment_files(Offset(0), true)?;
            }
            self.segments.clear();
            self.active = None;
            self.epochs.clear();
            self.producers.clear();
            self.log_end = self.log_start;
        }
        self.epochs.truncate_from_end(self.log_end);
        self.epochs.truncate_from_start(self.log_start);
        // What was read may be in the page cache only; the next flush makes sure. Until then the mark counts.
        self.flush.flushed_end = self.mark.durable_end.clamp(self.log_start, self.log_end);
        self.distrust_names()?;
        if self.damage.is_some() {
            self.active = None;
        }
        Ok(())
    }

    /// The log's directory and what names it may be in the page cache only: the next flush syncs them again.
    fn distrust_names(&mut self) -> Result<(), StorageError> {
        if !self.has_dir {
            return Ok(());
        }
        self.flush.owed.dir_changed = true;
        self.flush.owed.parent_changed = true;
        if self.mark.durable_end == Offset::ZERO {
            // As for a new log: its first flush may not have happened.
            let path = self.dir.join(names::PARTITION_METADATA);
            let file = self.context.open(&path, crate::disk::OpenMode::Create)?;
            self.flush.owed.files.push((path, file));
        }
        Ok(())
    }

    /// Removes the files of segments that begin above `offset`, or at it too, and makes that durable.
    fn remove_segment_files(&mut self, offset: Offset, inclusive: bool) -> Result<(), StorageError> {
        for entry in self.context.list(&self.dir)? {
            let Some((base, extension)) = names::parse_segment_file(&entry.name) else {
                continue;
            };
            if (base > offset || inclusive && base == offset) && !extension.ends_with(names::DELETED) {
                self.context.remove_file(&self.dir.join(&entry.name))?;
            }
        }
        self.context.sync_dir(&self.dir)
    }
}

/// Why a batch does not count, if it does not.
fn fault_of(
    header: &BatchHeader,
    batch: &[u8],
    expected: Offset,
    may_have_gaps: bool,
    latest_epoch: LeaderEpoch,
) -> Option<String> {
    if header.base_offset < expected || header.base_offset > expected && !may_have_gaps {
        return Some(format!("batch at offset {} where {expected} should be", header.base_offset));
    }
    if header.partition_leader_epoch < latest_epoch {
        return Some(format!("leader epoch falls from {latest_epoch} to {}", header.partition_leader_epoch));
    }
    header.verify_crc(batch).err().map(|error| error.to_string())
}

/// Bytes from `position` to the last one that is not zero.
fn garbage_bytes(file: &dyn crate::disk::DiskFile, position: u64, end: u64) -> io::Result<u64> {
    const CHUNK_BYTES: u64 = 1 << 20;
    let mut garbage = 0;
    let mut at = position;
    while at < end {
        let chunk = file.read_at(at, CHUNK_BYTES.min(end - at) as usize)?;
        if chunk.is_empty() {
            break;
        }
        if !is_zero(&chunk) {
            garbage = at - position + chunk.iter().rposition(|byte| *byte != 0).map_or(0, |index| index as u64 + 1);
        }
        at += chunk.len() as u64;
    }
    Ok(garbage)
}
