//! Opening a log: from what a clean close left, or by recovery.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tidelog_wire::types::Offset;

use super::clean::Cleaning;
use super::flush::FlushState;
use super::recovery::Found;
use super::swaps::finish_swaps;
use super::{Damage, Log};
use crate::config::LogConfig;
use crate::context::Context;
use crate::epochs::Epochs;
use crate::error::StorageError;
use crate::log_dir::{LogId, RecoveryReport, UncleanReason};
use crate::marks::{Mark, Marks, crc32c};
use crate::names;
use crate::producers::Producers;
use crate::segment::Segment;

/// What the log directory knows about a log that is to be opened.
pub(crate) struct Opening {
    pub(crate) context: Arc<Context>,
    pub(crate) marks: Arc<Marks>,
    pub(crate) id: LogId,
    pub(crate) dir: Arc<Path>,
    pub(crate) config: Arc<LogConfig>,
    pub(crate) now_ms: i64,
    /// The last run closed this log and the directory in order.
    pub(crate) is_clean: bool,
    /// Reasons that hold for every log of the directory that has data.
    pub(crate) directory_reasons: Vec<UncleanReason>,
    /// Some mark in the directory is unreadable; it may be this log's.
    pub(crate) mark_may_be_lost: bool,
}

pub(crate) fn open_log(opening: Opening) -> Result<(Log, RecoveryReport), StorageError> {
    finish_swaps(&opening.context, &opening.dir)?;
    let found = list_files(&opening)?;
    let has_dir = found.is_some();
    let found = found.unwrap_or_default();
    let key = (opening.id.topic_id, opening.id.partition);
    let mark = opening.marks.get(key);
    let mut log = opening.empty_log(mark.unwrap_or_default(), has_dir);
    let mut report = RecoveryReport { has_no_trace: !has_dir && mark.is_none(), ..RecoveryReport::default() };
    let has_data = !found.segments.is_empty();
    if has_data || mark.is_some() {
        report.unclean.extend(opening.directory_reasons);
    }
    if has_data && mark.is_none() && opening.mark_may_be_lost {
        report.unclean.push(UncleanReason::MarkUnreadable);
    }
    if mark.is_some_and(|mark| mark.is_cached) && !opening.is_clean {
        report.unclean.push(UncleanReason::WriteCaching);
    }
    if !(opening.is_clean && log.open_clean(&found)?) {
        log.recover(&found, opening.now_ms, &mut report)?;
    }
    log.cleaning.first_dirty = log.cleaning.first_dirty.min(log.log_end);
    log.remove_leftovers(&found)?;
    log.check_order();
    Ok((log, report))
}

impl Opening {
    fn empty_log(&self, mark: Mark, has_dir: bool) -> Log {
        let first_dirty = self.context.cleaner_checkpoint.get(&self.id).unwrap_or_default();
        Log {
            context: self.context.clone(),
            marks: self.marks.clone(),
            id: self.id.clone(),
            dir: self.dir.clone(),
            config: self.config.clone(),
            segments: Vec::new(),
            active: None,
            log_start: mark.log_start,
            log_end: mark.log_start,
            epochs: Epochs::default(),
            producers: Producers::default(),
            producers_are_partial: false,
            recent_snapshots: super::snapshots::RecentSnapshots::default(),
            flush: FlushState { flushed_end: mark.log_start, ..FlushState::default() },
            mark,
            cursors: Arc::default(),
            cleaning: Cleaning { first_dirty, ..Cleaning::default() },
            damage: None,
            has_dir,
            is_changed: false,
        }
    }
}

/// What lies in the log's directory; `None` if there is none.
fn list_files(opening: &Opening) -> Result<Option<Found>, StorageError> {
    let entries = match opening.context.disk.list(&opening.dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StorageError::read("list", &opening.dir, &error)),
    };
    let mut found = Found::default();
    let mut segments = BTreeMap::new();
    for entry in entries {
        match names::parse_segment_file(&entry.name) {
            Some((base, names::LOG)) => {
                let path = opening.dir.join(&entry.name);
                let len = opening.context.disk.file_len(&path);
                segments.insert(base, len.map_err(|error| StorageError::read("examine", &path, &error))?);
            }
            Some((base, names::INDEX)) => drop(found.indexes.insert(base)),
            Some((base, names::TIME_INDEX)) => drop(found.time_indexes.insert(base)),
            Some((offset, names::SNAPSHOT)) => found.snapshots.push(offset),
            Some((base, extension)) if extension.ends_with(names::DELETED) => {
                found.deleted.push((base, entry.name));
            }
            _ if entry.name == names::EPOCHS => found.has_epochs = true,
            _ if names::is_unfinished(&entry.name) => found.temporary.push(entry.name),
            _ => {}
        }
    }
    found.segments = segments.into_iter().collect();
    found.snapshots.sort_unstable();
    Ok(Some(found))
}

impl Log {
    /// Believes what a clean close left, if it is all there. Otherwise `false`, and nothing is changed.
    fn open_clean(&mut self, found: &Found) -> Result<bool, StorageError> {
        if !self.mark.is_closed_at(found.segments.last()) {
            return Ok(false);
        }
        if found.segments.first().is_some_and(|(base, _)| *base > self.mark.log_start) {
            return Ok(false);
        }
        let epochs = self.read_epochs(found)?;
        let is_as_closed = |epochs: &Epochs| crc32c(epochs.to_checkpoint().as_bytes()) == self.mark.closed_epochs_crc;
        let Some(epochs) = epochs.filter(|epochs| !found.has_epochs || is_as_closed(epochs)) else {
            return Ok(false);
        };
        let producers = match found.snapshots.last() {
            Some(offset) if *offset == self.mark.durable_end.max(self.mark.log_start) => self.read_snapshot(*offset)?,
            _ => Some(Producers::default()),
        };
        let Some(producers) = producers else {
            return Ok(false);
        };
        self.log_end = self.mark.durable_end.max(self.mark.log_start);
        self.flush.flushed_end = self.log_end;
        self.segments = found.segments.iter().map(|(base, len)| Segment::new(*base, *len)).collect();
        self.epochs = epochs;
        self.producers_are_partial = !producers.is_empty();
        self.producers = producers;
        Ok(true)
    }

    /// The checkpoint; empty if there is none, `None` if it is damaged.
    pub(super) fn read_epochs(&self, found: &Found) -> Result<Option<Epochs>, StorageError> {
        if !found.has_epochs {
            return Ok(found.segments.is_empty().then(Epochs::default));
        }
        let contents = self.context.read_file(&self.dir.join(names::EPOCHS))?;
        let text = contents.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok());
        Ok(text.and_then(Epochs::parse_checkpoint))
    }

    /// `None` if it is damaged or absent.
    pub(super) fn read_snapshot(&self, offset: Offset) -> Result<Option<Producers>, StorageError> {
        let path = self.dir.join(names::segment_file(offset, names::SNAPSHOT));
        Ok(self.context.read_file(&path)?.and_then(|bytes| Producers::parse_snapshot(&bytes)))
    }

    /// The latest usable snapshot at or below `end` and its offset. One from below the first segment is of no use: nobody
    /// knows what its producers appended since, and half of that would have them refused.
    pub(super) fn latest_snapshot(&self, end: Offset) -> Result<(Producers, Offset), StorageError> {
        let first = self.segments.first().map_or(end, |segment| segment.base_offset);
        if self.has_dir {
            let entries = self.context.list(&self.dir)?;
            let offset = |name: &str| match names::parse_segment_file(name) {
                Some((offset, names::SNAPSHOT)) if (first..=end).contains(&offset) => Some(offset),
                _ => None,
            };
            let mut offsets: Vec<Offset> = entries.iter().filter_map(|entry| offset(&entry.name)).collect();
            offsets.sort_unstable();
            for offset in offsets.into_iter().rev() {
                if let Some(producers) = self.read_snapshot(offset)? {
                    return Ok((producers, offset));
                }
            }
        }
        Ok((Producers::default(), Offset::ZERO))
    }

    /// Files that a crash kept from being removed.
    fn remove_leftovers(&mut self, found: &Found) -> Result<(), StorageError> {
        if !found.deleted.is_empty() {
            // Their absence has to be explained first.
            self.marks.sync(&self.context)?;
        }
        let names = found.deleted.iter().map(|(_, name)| name).chain(&found.temporary);
        for name in names {
            self.context.remove_file(&self.dir.join(name))?;
        }
        Ok(())
    }

    pub(super) fn set_damage(&mut self, damage: Damage) {
        tracing::error!(
            log = %self.dir.display(), position = damage.position, offset = damage.offset.0,
            "durable data is damaged and kept: {}", damage.reason
        );
        self.damage = Some(Box::new(damage));
    }
}
