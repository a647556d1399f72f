//! Making appends durable: the owner of the log begins and finishes a flush, any thread runs it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidelog_wire::types::Offset;

use super::Log;
use crate::context::Context;
use crate::disk::DiskFile;
use crate::error::StorageError;
use crate::marks::Mark;
use crate::names;

/// So many single syncs cost more than syncing the whole file system once.
const SYNC_ALL_MIN: usize = 16;

/// What lies between the log end and the disk.
#[derive(Debug, Default)]
pub(super) struct FlushState {
    /// The end of the contiguous synced prefix.
    pub(super) flushed_end: Offset,
    /// Grows with every truncation: a flush begun before says nothing about what was appended since.
    pub(super) generation: u64,
    /// For the next job.
    pub(super) owed: Owed,
    /// What the job that was begun last took over, owed again if it fails.
    pub(super) outstanding: Option<Owed>,
    /// The job and its outcome hold it too, for as long as there is one or the other.
    pub(super) job: Arc<()>,
    /// Nobody will bring its outcome.
    pub(super) is_forgotten: bool,
}

/// What has to be synced besides the batches of the last segment.
#[derive(Clone, Debug, Default)]
pub(super) struct Owed {
    /// That will not change any more.
    pub(super) files: Vec<(PathBuf, Arc<dyn DiskFile>)>,
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
    held: Arc<()>,
}

/// The outcome of a flush, for [`Log::finish_flush`].
#[derive(Debug)]
#[must_use = "the log stays in flush until it gets this back"]
pub struct FlushDone {
    end: Offset,
    generation: u64,
    result: Result<(), StorageError>,
    held: Arc<()>,
}

impl FlushState {
    /// The end of the outstanding job: what it took over is done, or owed as before.
    fn end_job(&mut self, is_done: bool) {
        self.is_forgotten = false;
        let Some(mut before) = self.outstanding.take().filter(|_| !is_done) else {
            return;
        };
        let since = std::mem::take(&mut self.owed);
        before.files.extend(since.files);
        before.dir_changed |= since.dir_changed;
        before.parent_changed |= since.parent_changed;
        before.epochs_due |= since.epochs_due;
        self.owed = before;
    }

    /// Neither the job nor its outcome exists any more.
    fn has_vanished(&self) -> bool {
        self.outstanding.is_some() && Arc::strong_count(&self.job) == 1
    }
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
        FlushDone { end: self.end, generation: self.generation, result, held: self.held }
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
            self.context.try_sync_dir(&self.dir)?;
        }
        if self.sync_parent {
            self.context.try_sync_dir(&self.context.path)?;
        }
        Ok(())
    }
}

impl Log {
    /// What has to be synced so that `durable_end` reaches the present log end; `None` if nothing has, or if a job is
    /// outstanding. Run it anywhere, then hand the result to [`Self::finish_flush`]. Appends may go on meanwhile.
    ///
    /// With `write.caching` nothing waits for it, but it also makes rolled segments durable and lets their files be
    /// closed.
    pub fn begin_flush(&mut self) -> Option<FlushJob> {
        if self.flush.has_vanished() {
            self.flush.end_job(false);
        }
        let flush = &mut self.flush;
        let is_needed = flush.flushed_end < self.log_end || !flush.owed.files.is_empty() || flush.owed.epochs_due;
        if flush.outstanding.is_some() || !is_needed || self.damage.is_some() {
            return None;
        }
        let mut active = None;
        let last = self.segments.last().filter(|segment| segment.size_bytes > 0);
        if flush.flushed_end < self.log_end
            && let Some(segment) = last
        {
            match segment.file(&self.context, &self.dir) {
                Ok(file) => active = Some((segment.path(&self.dir, names::LOG), file)),
                Err(error) => {
                    // Out of descriptors, most likely.
                    tracing::warn!(log = %self.dir.display(), "cannot flush yet: {error}");
                    return None;
                }
            }
        }
        let owed = std::mem::take(&mut flush.owed);
        let mut files = owed.files.clone();
        files.extend(active);
        let job = FlushJob {
            context: self.context.clone(),
            dir: self.dir.clone(),
            files,
            epochs: owed.epochs_due.then(|| self.epochs.to_checkpoint()),
            sync_dir: owed.dir_changed || owed.epochs_due,
            sync_parent: owed.parent_changed,
            end: self.log_end,
            generation: flush.generation,
            held: flush.job.clone(),
        };
        flush.outstanding = Some(owed);
        Some(job)
    }

    /// Whether there is something to flush: batches that somebody waits for, or files that stay open until then.
    pub fn is_flush_due(&self) -> bool {
        self.durable_end() < self.log_end || !self.flush.owed.files.is_empty()
    }

    /// Whether a flush is due that [`Self::begin_flush`] could not begin or that failed (no descriptor was free, the
    /// disk was full): it is to be asked again in a while, since the next append may never come.
    pub fn is_flush_blocked(&self) -> bool {
        let is_free = self.flush.outstanding.is_none() || self.flush.is_forgotten;
        is_free && self.check_intact().is_ok() && self.flush.flushed_end < self.log_end
    }

    /// Nobody will bring the outcome of the job begun last, if there is one. Once it ended, another may begin.
    pub fn forget_flush(&mut self) {
        self.flush.is_forgotten = self.flush.outstanding.is_some();
    }

    /// Takes the outcome of the job begun last. Returns the new durable end.
    pub fn finish_flush(&mut self, done: FlushDone) -> Result<Offset, StorageError> {
        let is_ours = Arc::ptr_eq(&done.held, &self.flush.job);
        assert!(is_ours && self.flush.outstanding.is_some(), "a flush is finished once, by the log that began it");
        self.flush.end_job(done.result.is_ok());
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

    /// The cluster goes on from where this log ends: it leads, or is in sync again. What was durable beyond is lost, and the
    /// mark comes down, or a torn tail of what is appended now would be taken for damage. It stays up while damaged
    /// records are kept.
    pub fn accept_end(&mut self) -> Result<(), StorageError> {
        if self.mark.durable_end <= self.log_end || self.damage.is_some() {
            return Ok(());
        }
        let mark = Mark { durable_end: self.flush.flushed_end, ..self.mark };
        self.marks.set_durably(&self.context, self.mark_key(), mark)?;
        self.mark = mark;
        Ok(())
    }

    /// The mark never falls here: below it lies what this replica once promised, and it stays unclean until it holds
    /// that again, is told to cut, or [`Self::accept_end`].
    fn raise_mark(&mut self) {
        if self.flush.flushed_end > self.mark.durable_end {
            self.mark.durable_end = self.flush.flushed_end;
            self.marks.set(self.mark_key(), self.mark);
        }
    }
}
