//! Where a segment begins and ends: making the first file, rolling to the next (`segment.bytes`, `segment.ms`, full index).

use std::io::IoSlice;
use std::path::Path;

use tidelog_wire::record_batch::BatchHeader;
use tidelog_wire::types::Offset;

use super::Log;
use super::append::fits_relative;
use crate::disk::OpenMode;
use crate::error::StorageError;
use crate::segment::{Active, Segment};
use crate::{names, partition_metadata};

impl Log {
    /// Takes up the last segment after opening, cutting back or closing.
    pub(super) fn prepare_append(&mut self, now_ms: i64) -> Result<(), StorageError> {
        let Some(segment) = self.segments.last() else {
            return Ok(());
        };
        if self.active.is_some() {
            return Ok(());
        }
        let active = match Active::load(&self.context, &self.dir, segment, now_ms)? {
            Some(active) => active,
            None => self.rebuild_index(self.segments.len() - 1, now_ms)?,
        };
        self.active = Some(Box::new(active));
        Ok(())
    }

    /// Makes the first segment if there is none.
    pub(super) fn ensure_segment(&mut self, base_offset: Offset, now_ms: i64) -> Result<(), StorageError> {
        if self.segments.is_empty() {
            self.ensure_dir()?;
            self.add_segment(base_offset, now_ms)?;
        }
        Ok(())
    }

    /// Ends the last segment and begins the next.
    pub(super) fn roll(&mut self, now_ms: i64) -> Result<(), StorageError> {
        self.close_segment()?;
        self.add_segment(self.log_end, now_ms)
    }

    pub(super) fn is_roll_due(&self, next: &BatchHeader, now_ms: i64) -> bool {
        let (Some(segment), Some(active)) = (self.segments.last(), &self.active) else {
            return false;
        };
        if segment.size_bytes == 0 {
            return false;
        }
        let age_ms = match active.index.first_timestamp_ms() {
            Some(first) if first >= 0 => next.max_timestamp.saturating_sub(first),
            _ => now_ms.saturating_sub(active.created_ms),
        };
        segment.size_bytes + next.size_in_bytes() as u64 > u64::from(self.config.segment_bytes)
            || age_ms > self.segment_ms().saturating_sub(self.jitter_ms(segment.base_offset))
            || active.index.is_full(self.config.segment_index_bytes)
            || !fits_relative(segment.base_offset, next)
    }

    /// What waits in the last segment is not compacted.
    fn segment_ms(&self) -> i64 {
        match self.config.cleanup_compact {
            true => self.config.segment_ms.min(self.config.max_compaction_lag_ms),
            false => self.config.segment_ms,
        }
    }

    /// Different for every log and segment, so that logs created together do not roll together, yet the same every
    /// time it is asked for.
    fn jitter_ms(&self, base_offset: Offset) -> i64 {
        let id = self.id.topic_id.as_u128();
        let seed = (id as u64) ^ ((id >> 64) as u64) ^ (base_offset.0 as u64) ^ ((self.id.partition.0 as u64) << 32);
        // The finalizer of splitmix64.
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        match u64::try_from(self.config.segment_jitter_ms) {
            Ok(max) if max > 0 => ((mixed ^ (mixed >> 31)) % max) as i64,
            _ => 0,
        }
    }

    /// Ends the last segment: its file is cut to its batches, its indexes and the producers' snapshot are written.
    /// All of it is synced by the next flush, before the durable end passes into what follows.
    pub(super) fn close_segment(&mut self) -> Result<(), StorageError> {
        self.drop_recent_snapshots();
        self.write_snapshot()?;
        let segment = self.segments.last_mut().expect("a segment is to be closed");
        let active = self.active.as_mut().expect("it is loaded");
        let file = segment.file(&self.context, &self.dir)?;
        if active.file_bytes > segment.size_bytes {
            let path = segment.path(&self.dir, names::LOG);
            self.context.changed("cut", &path, file.set_len(segment.size_bytes))?;
            active.file_bytes = segment.size_bytes;
        }
        active.index.finish();
        let indexes = active.write_index(&self.context, &self.dir, segment)?;
        segment.max_timestamp = Some(active.index.max_timestamp());
        segment.slot.pin(false);
        self.flush.owed.files.push((segment.path(&self.dir, names::LOG), file));
        for (file, extension) in indexes.into_iter().zip([names::INDEX, names::TIME_INDEX]) {
            self.flush.owed.files.push((segment.path(&self.dir, extension), file));
        }
        self.flush.owed.epochs_due = true;
        self.active = None;
        Ok(())
    }

    /// What the producers were when the log ended here.
    pub(super) fn write_snapshot(&mut self) -> Result<(), StorageError> {
        let path = self.dir.join(names::segment_file(self.log_end, names::SNAPSHOT));
        let file = self.write_small(&path, &self.producers.to_snapshot())?;
        self.flush.owed.files.push((path, file));
        self.flush.owed.dir_changed = true;
        Ok(())
    }

    fn add_segment(&mut self, base_offset: Offset, now_ms: i64) -> Result<(), StorageError> {
        let segment = Segment::new(base_offset, 0);
        let path = segment.path(&self.dir, names::LOG);
        // The cache opens existing files only, since a file may vanish under a log that is being deleted.
        self.context.files.get(&segment.slot, || self.context.disk.open(&path, OpenMode::Truncate)).map_err(
            |error| match error.kind() {
                std::io::ErrorKind::StorageFull => self.context.disk_full(),
                _ => StorageError::read("create", &path, &error),
            },
        )?;
        self.segments.push(segment);
        self.active = Some(Box::new(Active::new(base_offset, now_ms)));
        self.flush.owed.dir_changed = true;
        Ok(())
    }

    fn ensure_dir(&mut self) -> Result<(), StorageError> {
        if self.has_dir {
            return Ok(());
        }
        self.context.changed("create", &self.dir, self.context.disk.create_dir(&self.dir))?;
        let path = self.dir.join(names::PARTITION_METADATA);
        let file = self.write_small(&path, partition_metadata::format(self.id.topic_id).as_bytes())?;
        self.flush.owed.files.push((path, file));
        self.flush.owed.dir_changed = true;
        self.flush.owed.parent_changed = true;
        self.has_dir = true;
        Ok(())
    }

    pub(super) fn write_small(
        &self,
        path: &Path,
        contents: &[u8],
    ) -> Result<std::sync::Arc<dyn crate::disk::DiskFile>, StorageError> {
        let file = self.context.open(path, OpenMode::Truncate)?;
        self.context.changed("write", path, file.write_at(0, &mut [IoSlice::new(contents)]))?;
        Ok(file)
    }
}
