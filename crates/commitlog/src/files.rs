//! Open segment files, bounded in number.
//!
//! A segment owns a [`FileSlot`] for its whole life and opens the file through it when needed; the cache may close it
//! again behind the segment's back. Slots with unflushed data are pinned: closing those could lose a write error.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::disk::DiskFile;

pub(crate) struct FileCache {
    open: Mutex<Vec<Weak<FileSlot>>>,
    open_files_max: usize,
    /// Grows with every opened file and every sweep: the age of a slot's last use.
    clock: AtomicU64,
    /// The clock at the last sweep.
    swept: AtomicU64,
}

#[derive(Debug, Default)]
pub(crate) struct FileSlot {
    file: Mutex<Option<Arc<dyn DiskFile>>>,
    used: AtomicU64,
    pinned: AtomicBool,
    retired: AtomicBool,
}

impl FileSlot {
    pub(crate) fn pin(&self, pinned: bool) {
        self.pinned.store(pinned, Ordering::Relaxed);
    }

    pub(crate) fn close(&self) {
        *lock(&self.file) = None;
    }

    /// The segment left the log: its file is closed and not opened again, since another may have taken its name.
    pub(crate) fn retire(&self) {
        let mut file = lock(&self.file);
        self.retired.store(true, Ordering::Relaxed);
        *file = None;
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    fn close_if_older(&self, than: u64) {
        if !self.pinned.load(Ordering::Relaxed) && self.used.load(Ordering::Relaxed) <= than {
            self.close();
        }
    }

    fn is_open(&self) -> bool {
        lock(&self.file).is_some()
    }
}

impl FileCache {
    pub(crate) fn new(open_files_max: usize) -> Self {
        Self {
            open: Mutex::default(),
            open_files_max: open_files_max.max(1),
            clock: AtomicU64::new(1),
            swept: AtomicU64::new(0),
        }
    }

    /// The slot's file, opened by `open` if it is not.
    pub(crate) fn get(
        &self,
        slot: &Arc<FileSlot>,
        open: impl FnOnce() -> io::Result<Arc<dyn DiskFile>>,
    ) -> io::Result<Arc<dyn DiskFile>> {
        let mut file = lock(&slot.file);
        slot.used.store(self.clock.load(Ordering::Relaxed), Ordering::Relaxed);
        if let Some(file) = &*file {
            return Ok(file.clone());
        }
        if slot.is_retired() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let opened = open()?;
        *file = Some(opened.clone());
        drop(file);
        self.register(slot);
        Ok(opened)
    }

    /// Closes what nobody used since the last sweep.
    pub(crate) fn sweep(&self) {
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        let before = self.swept.swap(now, Ordering::Relaxed);
        let mut open = lock(&self.open);
        close_older(&mut open, before);
    }

    pub(crate) fn open_files(&self) -> usize {
        lock(&self.open).iter().filter(|slot| slot.upgrade().is_some_and(|slot| slot.is_open())).count()
    }

    fn register(&self, slot: &Arc<FileSlot>) {
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        let mut open = lock(&self.open);
        if open.len() >= self.open_files_max {
            // The oldest quarter goes at once, so that the next opens need not search again.
            let mut ages: Vec<u64> =
                open.iter().filter_map(Weak::upgrade).map(|s| s.used.load(Ordering::Relaxed)).collect();
            let quarter = ages.len() / 4;
            let threshold = match ages.is_empty() {
                true => 0,
                false => *ages.select_nth_unstable(quarter).1,
            };
            close_older(&mut open, threshold.min(now - 1));
        }
        open.push(Arc::downgrade(slot));
    }
}

fn close_older(open: &mut Vec<Weak<FileSlot>>, than: u64) {
    open.retain(|slot| {
        slot.upgrade().is_some_and(|slot| {
            slot.close_if_older(than);
            slot.is_open()
        })
    });
}

impl fmt::Debug for FileCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileCache").field("open_files", &self.open_files()).finish()
    }
}

/// The guarded values are consistent between any two statements, so a panic elsewhere does not spoil them.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
