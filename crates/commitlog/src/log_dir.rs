//! A directory of logs and what they share.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tidelog_wire::types::{BrokerEpoch, Offset, PartitionIndex};
use tidelog_wire::{Str, Uuid};

use crate::config::LogConfig;
use crate::context::Context;
use crate::disk::Disk;
use crate::error::StorageError;
use crate::files::lock;
use crate::log::{self, DeletedFiles, Log, Opening};
use crate::marks::{MarkKey, Marks};
use crate::{clean_shutdown, names, partition_metadata};

/// A directory of logs. A handle: clones share everything.
#[derive(Clone, Debug)]
pub struct LogDir {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    context: Arc<Context>,
    marks: Arc<Marks>,
    directory_id: Uuid,
    /// Topic ids of the directories found at start or used since.
    found: Mutex<HashMap<String, Uuid>>,
    is_clean: bool,
    /// Logs opened once: a clean shutdown says nothing about what was done since.
    opened: Mutex<HashSet<MarkKey>>,
    directory_reasons: Vec<UncleanReason>,
    marks_may_be_lost: bool,
    /// Names of deleted directories must differ.
    deletions: AtomicU64,
}

#[derive(Clone, Debug)]
pub struct LogDirOptions {
    /// Of segment files and indexes; files with unflushed data stay open beyond it.
    pub open_files_max: usize,
    /// Appends are refused with `DiskFull` when the file system has less than this left.
    pub reserve_bytes: u64,
}

impl Default for LogDirOptions {
    fn default() -> Self {
        Self { open_files_max: 4096, reserve_bytes: 64 << 20 }
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
    /// A log of which there is no trace may have been lost with its mark: the file of marks is new since the controller
    /// last heard of this directory, or damaged.
    pub may_lack_logs: bool,
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
    /// There is neither a file nor a mark of it: nothing was ever appended, unless [`LogDirStart::may_lack_logs`].
    pub has_no_trace: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UncleanReason {
    /// The directory is not the one the logs were written in.
    DirectoryIdChanged { was: Uuid },
    /// There is no log, and there was one that reached this far.
    LogMissing { durable_mark: Offset },
    /// The log is intact but ends below what was durable.
    EndsBelowMark { log_end: Offset, durable_mark: Offset },
    /// See [`Log::damage`].
    CorruptBelowMark { offset: Offset, durable_mark: Offset },
    /// The file of durable marks is lost or unreadable, so nobody knows how far the log reached.
    MarkUnreadable,
    /// It was written with `write.caching=true`, and the last run did not shut down cleanly.
    WriteCaching,
}

impl LogDir {
    /// Opens or makes the directory. Deletes the clean-shutdown marker durably before it returns, finishes deletions
    /// that a crash interrupted. `directory_id` is the `directory.id` of `meta.properties`.
    pub fn open(
        disk: Arc<dyn Disk>,
        path: &Path,
        directory_id: Uuid,
        options: LogDirOptions,
    ) -> Result<(LogDir, LogDirStart), StorageError> {
        create_dirs(&*disk, path)?;
        let context = Arc::new(Context::new(disk, path, &options));
        let clean_shutdown = clean_shutdown::take(&context)?;
        context.cleaner_checkpoint.load(&context)?;
        let (found, deleted) = list_logs(&context)?;
        let (marks, marks_found) = Marks::open(&context, directory_id, !found.is_empty())?;
        finish_deletions(&context, &marks, &deleted)?;
        context.sync_dir(path)?;
        let other_directory = marks_found.other_directory.map(|was| UncleanReason::DirectoryIdChanged { was });
        let names = found.iter().map(|log| (log.id.dir_name(), log.id.topic_id));
        let shared = Shared {
            context,
            marks: Arc::new(marks),
            directory_id,
            found: Mutex::new(names.collect()),
            is_clean: clean_shutdown.is_some(),
            opened: Mutex::default(),
            directory_reasons: other_directory.into_iter().collect(),
            marks_may_be_lost: marks_found.may_be_lost,
            deletions: AtomicU64::new(0),
        };
        let may_lack_logs = marks_found.is_new || marks_found.may_be_lost;
        Ok((LogDir { shared: Arc::new(shared) }, LogDirStart { clean_shutdown, found, may_lack_logs }))
    }

    pub fn path(&self) -> &Path {
        &self.shared.context.path
    }

    /// Topic id and partition of the logs that the marks promise records of, whether they are there or not.
    pub fn logs_with_records(&self) -> Vec<(Uuid, PartitionIndex)> {
        self.shared.marks.with_records()
    }

    /// The controller was told what was found: [`LogDirStart::may_lack_logs`] for a new file of marks is over.
    pub fn set_known(&self) {
        self.shared.marks.set_known();
    }

    /// Opens a log that is on disk, recovering it if need be, or an empty one, which touches no file until its first
    /// append. May run on several threads at once for different logs.
    pub fn open_log(
        &self,
        id: &LogId,
        config: Arc<LogConfig>,
        now_ms: i64,
    ) -> Result<(Log, RecoveryReport), StorageError> {
        let shared = &self.shared;
        shared.context.check()?;
        let name = id.dir_name();
        let dir: Arc<Path> = shared.context.path.join(&name).into();
        let key = (id.topic_id, id.partition);
        self.claim(&name, &dir, id)?;
        log::open_log(Opening {
            context: shared.context.clone(),
            marks: shared.marks.clone(),
            id: id.clone(),
            dir,
            config,
            now_ms,
            is_clean: shared.is_clean && lock(&shared.opened).insert(key),
            directory_reasons: shared.directory_reasons.clone(),
            mark_may_be_lost: shared.marks_may_be_lost,
        })
    }

    /// Makes sure that a directory of this name is this log's.
    fn claim(&self, name: &str, dir: &Path, id: &LogId) -> Result<(), StorageError> {
        let found = lock(&self.shared.found).get(name).copied();
        match found {
            None => {
                lock(&self.shared.found).insert(name.to_owned(), id.topic_id);
                Ok(())
            }
            Some(found) if found == id.topic_id => Ok(()),
            // Its topic id is unreadable. The first flush makes it durable, so without a mark nothing in there is.
            Some(Uuid::ZERO) => {
                if self.shared.marks.get((id.topic_id, id.partition)).is_none() && !self.shared.marks_may_be_lost {
                    self.discard(dir)?;
                }
                lock(&self.shared.found).insert(name.to_owned(), id.topic_id);
                Ok(())
            }
            Some(found) => Err(StorageError::TopicIdMismatch { path: dir.to_owned(), expected: id.topic_id, found }),
        }
    }

    fn discard(&self, dir: &Path) -> Result<(), StorageError> {
        tracing::warn!(dir = %dir.display(), "dropping a log that crashed before its first flush");
        let hidden = self.hide(dir, 0)?;
        // The log that takes its place must not find it again after the next crash.
        self.shared.context.sync_dir(&self.shared.context.path)?;
        hidden.map_or(Ok(()), DeletedFiles::remove)
    }

    /// Takes a log out of the directory: its mark is forgotten, its directory renamed to `...-delete`.
    /// The files go when the result is told so. `None` if it never had files.
    pub fn delete_log(&self, log: Log, now_ms: i64) -> Result<Option<DeletedFiles>, StorageError> {
        let due_ms = now_ms.saturating_add(log.config().file_delete_delay_ms);
        let id = log.id().clone();
        log.retire();
        self.delete(&id, due_ms)
    }

    /// The same for a log found at start that is not to be opened (a stray).
    pub fn delete_found(&self, found: &FoundLog, now_ms: i64) -> Result<Option<DeletedFiles>, StorageError> {
        self.delete(&found.id, now_ms)
    }

    fn delete(&self, id: &LogId, due_ms: i64) -> Result<Option<DeletedFiles>, StorageError> {
        self.shared.context.check()?;
        let key = (id.topic_id, id.partition);
        self.shared.marks.forget(key);
        self.shared.context.cleaner_checkpoint.forget(id);
        lock(&self.shared.opened).insert(key);
        let name = id.dir_name();
        let hidden = self.hide(&self.shared.context.path.join(&name), due_ms)?;
        // Until it is out of the way no other log gets the directory.
        lock(&self.shared.found).remove(&name);
        Ok(hidden)
    }

    fn hide(&self, dir: &Path, due_ms: i64) -> Result<Option<DeletedFiles>, StorageError> {
        let unique = self.shared.deletions.fetch_add(1, Ordering::Relaxed);
        log::delete_log_dir(&self.shared.context, &self.shared.marks, dir, unique, due_ms)
    }

    /// Writes the durable ends that changed since the last call and syncs their file. To be called once per round of
    /// flushes, by a disk thread; nothing waits for it. Returns whether there was anything to do.
    pub fn sync_marks(&self) -> Result<bool, StorageError> {
        self.shared.marks.sync(&self.shared.context)
    }

    /// Writes up to where the logs were compacted. Waits for the device.
    pub fn write_cleaner_checkpoint(&self) -> Result<(), StorageError> {
        self.shared.context.cleaner_checkpoint.write(&self.shared.context)
    }

    /// Closes files not used since the last call. To be called now and then (a minute); idle logs then hold none.
    pub fn close_idle_files(&self) {
        self.shared.context.files.sweep();
    }

    /// Whether an append that found the disk full is worth trying again. Asks the file system.
    pub fn has_room(&self) -> bool {
        let context = &self.shared.context;
        context.reserve.has_room(&*context.disk, &context.path)
    }

    /// What appends are refused with, if there is no room for them. Asks the file system.
    pub fn disk_full(&self) -> Option<StorageError> {
        (!self.has_room()).then(|| self.shared.context.disk_full())
    }

    /// Segment files open now, for metrics.
    pub fn open_files(&self) -> usize {
        self.shared.context.files.open_files()
    }

    /// The error that took this directory offline.
    pub fn failure(&self) -> Option<StorageError> {
        self.shared.context.failure().cloned()
    }

    /// Syncs what the closed logs wrote, then the marks, and writes the clean-shutdown marker. Every log must have been
    /// closed clean before.
    pub fn close_clean(self, broker_epoch: BrokerEpoch) -> Result<(), StorageError> {
        let Shared { context, marks, directory_id, .. } = &*self.shared;
        context.check()?;
        if marks.has_closed() {
            context.sync_all()?;
            marks.apply_closed();
        }
        marks.forget_damage(context, *directory_id)?;
        marks.sync(context)?;
        clean_shutdown::write(context, broker_epoch)
    }
}

impl LogId {
    fn dir_name(&self) -> String {
        names::log_dir(&self.topic, self.partition)
    }
}

fn create_dirs(disk: &dyn Disk, path: &Path) -> Result<(), StorageError> {
    if disk.list(path).is_ok() {
        return Ok(());
    }
    let ancestors: Vec<&Path> = path.ancestors().filter(|path| !path.as_os_str().is_empty()).collect();
    for dir in ancestors.into_iter().rev() {
        disk.create_dir(dir).map_err(|error| StorageError::read("create", dir, &error))?;
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    disk.sync_dir(parent).map_err(|error| StorageError::read("sync", parent, &error))
}

/// The logs, and the directories of deleted ones.
fn list_logs(context: &Context) -> Result<(Vec<FoundLog>, Vec<PathBuf>), StorageError> {
    let (mut found, mut deleted) = (Vec::new(), Vec::new());
    for entry in context.list(&context.path)? {
        let Some((topic, partition)) = names::parse_log_dir(&entry.name).filter(|_| entry.is_dir) else {
            continue;
        };
        if entry.name.ends_with(names::DELETE_DIR) {
            deleted.push(context.path.join(&entry.name));
            continue;
        }
        let topic_id = read_topic_id(context, &context.path.join(&entry.name))?.unwrap_or(Uuid::ZERO);
        found.push(FoundLog { id: LogId { topic: Str::from(topic.to_owned()), partition, topic_id } });
    }
    Ok((found, deleted))
}

fn read_topic_id(context: &Context, dir: &Path) -> Result<Option<Uuid>, StorageError> {
    let contents = context.read_file(&dir.join(names::PARTITION_METADATA))?;
    let text = contents.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok());
    Ok(text.and_then(partition_metadata::parse))
}

/// Forgets the marks of deleted logs, which the names of their directories prove to be deleted, then removes them.
fn finish_deletions(context: &Context, marks: &Marks, deleted: &[PathBuf]) -> Result<(), StorageError> {
    for dir in deleted {
        let partition = dir.file_name().and_then(|name| names::parse_log_dir(name.to_str()?));
        if let Some((_, partition)) = partition
            && let Some(topic_id) = read_topic_id(context, dir)?
        {
            marks.forget((topic_id, partition));
        }
    }
    marks.sync(context)?;
    for dir in deleted {
        log::remove_dir(context, dir)?;
    }
    Ok(())
}
