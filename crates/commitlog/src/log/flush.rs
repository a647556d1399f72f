//! Making appends durable: the owner of the log begins and finishes a flush, any thread runs it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidelog_wire::types::Offset;

use super::Log;
use crate::context::Context;
use crate::disk::DiskFile;
use crate::error::StorageError;
use crate::names;

/// So many single syncs cost more than syncing the whole file system once.
const SYNC_ALL_MIN: usize = 16;

/// What lies between the log end and the disk.
#[derive(Debug, Default)]
pub(super) struct FlushState {
    /// The end of the contiguous synced prefix.
    pub(super) flushed_end: Offset,
    pub(super) outstanding: bool,
    /// Grows with every truncation: a flush begun before says nothing about what was appended since.
    pub(super) generation: u64,
    /// Files that will not change any more.
    pub(super) unsynced: Vec<(PathBuf, Arc<dyn DiskFile>)>,
    /// Names in the log's directory changed.
    pub(super) dir_changed: bool,
    /// The log's directory itself is new.
    pub(super) parent_changed: bool,
    /// The epochs of a closed segment are not in the checkpoint yet.
    pub(super) epochs_due: bool,
}

/// The blocking half of a flush; see [`Log::begin_flush`].
#[derive(Debug)]
#[must_use = "the log stays in flush until it gets the outcome"]
pub struct FlushJob {
    context: Arc<Context>,
    dir: Arc<Path>,
    files: Vec<(PathBuf, Arc<dyn DiskFile>)>,
    epochs: Option<String>,
    sync_dir: bool,
    sync_parent: bool,
    end: Offset,
    generation: u64,
}

/// The outcome of a flush, for [`Log::finish_flush`].
#[derive(Debug)]
#[must_use = "the log stays in flush until it gets this back"]
pub struct FlushDone {
    end: Offset,
    generation: u64,
    result: Result<(), StorageError>,
}

impl FlushJob {
    /// Waits for the device. Never fails visibly: the outcome travels in [`FlushDone`].
    pub fn run(self) -> FlushDone {
        let result = self.sync();
        self.done(result)
    }

    /// Runs many at once, in order. From a number of syncs on, one of the whole file system takes their place:
    /// each of them would make the device empty its cache, and new files want a journal commit besides.
    pub fn run_all(jobs: Vec<Self>) -> Vec<FlushDone> {
        let syncs: usize = jobs.iter().map(Self::syncs).sum();
        let shares_directory = jobs.windows(2).all(|pair| Arc::ptr_eq(&pair[0].context, &pair[1].context));
        if syncs < SYNC_ALL_MIN || jobs.len() < 2 || !shares_directory {
            return jobs.into_iter().map(Self::run).collect();
        }
        let written: Result<(), StorageError> = jobs.iter().try_for_each(Self::write_epochs);
        let result = written.and_then(|()| jobs[0].context.sync_all());
        jobs.into_iter().map(|job| job.done(result.clone())).collect()
    }

    fn done(self, result: Result<(), StorageError>) -> FlushDone {
        FlushDone { end: self.end, generation: self.generation, result }
    }

    fn syncs(&self) -> usize {
        let others = [self.epochs.is_some(), self.sync_dir, self.sync_parent];
        self.files.len() + others.into_iter().filter(|is_needed| *is_needed).count()
    }

    fn write_epochs(&self) -> Result<(), StorageError> {
        match &self.epochs {
            Some(epochs) => self.context.replace_file(&self.dir.join(names::EPOCHS), epochs.as_bytes()),
            None => Ok(()),
        }
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.context.check()?;
        for (path, file) in &self.files {
            self.context.synced(path, file.sync_data())?;
        }
        if let Some(epochs) = &self.epochs {
            self.context.replace_file_durably(&self.dir.join(names::EPOCHS), epochs.as_bytes())?;
        }
        if self.sync_dir {
            self.context.sync_dir(&self.dir)?;
        }
        if self.sync_parent {
            self.context.sync_dir(&self.context.path)?;
        }
        Ok(())
    }
}

impl Log {
    /// What has to be synced so that `durable_end` reaches the present log end; `None` if nothing has, or if a job is
    /// outstanding. Run it anywhere, then hand the result to [`Self::finish_flush`]. Appends may go on meanwhile.
    ///
    /// With `write.caching` nothing waits for it, but it should still be done now and then: it also makes rolled
    /// segments durable and lets their files be closed.
    pub fn begin_flush(&mut self) -> Option<FlushJob> {
        let flush = &mut self.flush;
        let is_needed = flush.flushed_end < self.log_end || !flush.unsynced.is_empty() || flush.epochs_due;
        if flush.outstanding || !is_needed || self.damage.is_some() {
            return None;
        }
        let mut files = std::mem::take(&mut flush.unsynced);
        let last = self.segments.last().filter(|segment| segment.size_bytes > 0);
        if flush.flushed_end < self.log_end
            && let Some(segment) = last
        {
            match segment.file(&self.context, &self.dir) {
                Ok(file) => files.push((segment.path(&self.dir, names::LOG), file)),
                Err(error) => {
                    // Out of descriptors, most likely.
                    tracing::warn!(log = %self.dir.display(), "cannot flush yet: {error}");
                    flush.unsynced = files;
                    return None;
                }
            }
        }
        flush.outstanding = true;
        let epochs = std::mem::take(&mut flush.epochs_due).then(|| self.epochs.to_checkpoint());
        Some(FlushJob {
            context: self.context.clone(),
            dir: self.dir.clone(),
            files,
            sync_dir: std::mem::take(&mut flush.dir_changed) || epochs.is_some(),
            epochs,
            sync_parent: std::mem::take(&mut flush.parent_changed),
            end: self.log_end,
            generation: flush.generation,
        })
    }

    /// Whether a flush is due that [`Self::begin_flush`] could not begin (no descriptor was free): it is to be asked
    /// again in a while, since the next append may never come.
    pub fn is_flush_blocked(&self) -> bool {
        !self.flush.outstanding && self.damage.is_none() && self.flush.flushed_end < self.log_end
    }

    /// Takes the outcome of the job begun last. Returns the new durable end.
    pub fn finish_flush(&mut self, done: FlushDone) -> Result<Offset, StorageError> {
        assert!(self.flush.outstanding, "a flush is finished once");
        self.flush.outstanding = false;
        done.result?;
        if done.generation == self.flush.generation {
            self.flush.flushed_end = self.flush.flushed_end.max(done.end);
            self.raise_mark();
        }
        if self.flush.flushed_end == self.log_end
            && let Some(segment) = self.segments.last()
        {
            segment.slot.pin(false);
        }
        self.check_order();
        Ok(self.durable_end())
    }

    /// `begin_flush`, `run` and `finish_flush` in one, for shutdown and tests.
    pub fn flush(&mut self) -> Result<Offset, StorageError> {
        self.context.check()?;
        match self.begin_flush() {
            Some(job) => {
                let done = job.run();
                self.finish_flush(done)
            }
            None => Ok(self.durable_end()),
        }
    }

    /// The mark never falls here: below it lies what this replica once promised, and it stays unclean until it holds
    /// that again or is told to cut.
    fn raise_mark(&mut self) {
        if self.flush.flushed_end > self.mark.durable_end {
            self.mark.durable_end = self.flush.flushed_end;
            self.marks.set(self.mark_key(), self.mark);
        }
    }
}
