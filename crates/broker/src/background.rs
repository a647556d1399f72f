//! Background work of a shard: deleting files, syncing durable marks, retention, producer expiry, checkpoints.
//!
//! None of it is urgent and all of it is batched, so that ten thousand idle partitions cost next to nothing.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tidelog_commitlog::DeletedFiles;
use tokio::time::sleep;
use tracing::{debug, warn};

use crate::net::LocalNotify;
use crate::retry::{Attempt, Task};
use crate::shard::Shard;

/// Durable marks are synced so long after a flush; nothing waits for them.
const MARKS_AFTER: Duration = Duration::from_millis(50);
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(60);
/// Partitions looked at before other tasks of the shard get their turn.
const PARTITIONS_PER_SLICE: usize = 256;

/// Files that wait for the end of `file.delete.delay.ms`.
#[derive(Default)]
pub(crate) struct Deletions(RefCell<Vec<DeletedFiles>>);

impl Deletions {
    pub(crate) fn add(&self, deleted: impl IntoIterator<Item = DeletedFiles>) {
        self.0.borrow_mut().extend(deleted);
    }

    fn take_due(&self, wall_ms: i64) -> Vec<DeletedFiles> {
        let (due, waiting) = self.0.take().into_iter().partition(|files: &DeletedFiles| files.due_ms() <= wall_ms);
        *self.0.borrow_mut() = waiting;
        due
    }
}

/// Knows that flushes ended whose marks are not written yet.
#[derive(Default)]
pub(crate) struct Marks {
    is_pending: Cell<bool>,
    pending: LocalNotify,
}

impl Marks {
    pub(crate) fn flushed(&self) {
        if !self.is_pending.replace(true) {
            self.pending.notify();
        }
    }
}

/// Syncs the durable marks, at most once per [`MARKS_AFTER`].
pub(crate) async fn sync_marks(shard: Rc<Shard>) {
    loop {
        shard.marks.pending.notified().await;
        sleep(MARKS_AFTER).await;
        shard.marks.is_pending.set(false);
        if sync_marks_once(&shard).await == Attempt::Again {
            shard.retries.later(Task::SyncMarks);
        }
    }
}

pub(crate) async fn sync_marks_once(shard: &Rc<Shard>) -> Attempt {
    let log_dir = shard.log_dir.clone();
    match shard.disk.run(move || log_dir.sync_marks()).await {
        Ok(Ok(_)) => Attempt::Done,
        Ok(Err(error)) => {
            shard.storage_error(&error);
            Attempt::Again
        }
        // A disk thread that gave up has said why.
        Err(_) => Attempt::Again,
    }
}

/// Retention, in slices.
pub(crate) async fn apply_retention(shard: Rc<Shard>) {
    loop {
        sleep(shard.options.disk.retention_check_interval).await;
        for slice in shard.partitions.all().chunks(PARTITIONS_PER_SLICE) {
            for partition in slice {
                partition.apply_retention(&shard);
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Removes deleted files, forgets silent producers, closes idle files.
pub(crate) async fn keep_house(shard: Rc<Shard>) {
    loop {
        sleep(HOUSEKEEPING_INTERVAL).await;
        let wall_ms = shard.clock.wall_ms();
        remove_files(&shard, wall_ms);
        let expiration_ms = shard.config.borrow().producer_id_expiration_ms;
        for slice in shard.partitions.all().chunks(PARTITIONS_PER_SLICE) {
            for partition in slice {
                partition.expire_producers(wall_ms, expiration_ms);
            }
            tokio::task::yield_now().await;
        }
        let log_dir = shard.log_dir.clone();
        let _ = shard.disk.run(move || log_dir.close_idle_files()).await;
    }
}

fn remove_files(shard: &Shard, wall_ms: i64) {
    let due = shard.deletions.take_due(wall_ms);
    if due.is_empty() {
        return;
    }
    debug!(count = due.len(), "removing deleted files");
    // Nobody waits for the result: what is left over goes at the next start.
    drop(shard.disk.run(move || {
        for files in due {
            if let Err(error) = files.remove() {
                warn!(%error, "cannot remove deleted files");
            }
        }
    }));
}
