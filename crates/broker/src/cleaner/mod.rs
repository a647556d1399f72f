//! Compaction in the background: one log at a time, the dirtiest first, by a thread that lives no longer than its job.
//!
//! The shard looks around every `log.cleaner.backoff.ms`, hands out a job over segments that do not change any more, and
//! puts the new files in place when the thread is done. What changed in the log meanwhile cancels the job.

mod courtesy;
mod rate;
mod stats;

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tidelog_commitlog::{CleanError, CleanJob, CleanStats, Cleaned, CleanerLimits, StorageError};
use tokio::sync::oneshot;
use tokio::time::sleep;
use tracing::{error, info, warn};

use crate::partition::PartitionHandle;
use crate::shard::Shard;
use courtesy::Courtesy;
use rate::Rate;

pub(crate) use stats::CleanerStats;

/// Partitions looked at before other tasks of the shard get their turn.
const PARTITIONS_PER_SLICE: usize = 256;
/// Enough for the job: its buffers are on the heap.
const STACK_BYTES: usize = 512 << 10;

/// Compacts until the shard ends.
pub(crate) async fn clean_logs(shard: Rc<Shard>) {
    if !shard.options.disk.is_cleaner_enabled {
        return;
    }
    let mut config = shard.config.subscribe();
    loop {
        let has_progressed = match dirtiest(&shard).await {
            Some(partition) => clean(&shard, &partition).await,
            None => false,
        };
        if !has_progressed {
            let back_off = Duration::from_millis(config.borrow_and_update().log_cleaner_backoff_ms.max(1));
            // A shorter back-off counts at once.
            tokio::select! {
                () = sleep(back_off) => {}
                _ = config.changed() => {}
            }
        }
    }
}

/// The log with the greatest dirty share among those that are due.
async fn dirtiest(shard: &Rc<Shard>) -> Option<PartitionHandle> {
    let wall_ms = shard.clock.wall_ms();
    let (mut due, mut greatest) = (None, 0.0);
    let now = Instant::now();
    shard.cleaner.begin_look();
    for slice in shard.partitions.all().chunks(PARTITIONS_PER_SLICE) {
        for partition in slice {
            let Some(look) = partition.cleanable(shard, wall_ms) else {
                continue;
            };
            shard.cleaner.seen(&look.cleanable);
            let ratio = look.cleanable.dirty_ratio();
            if look.is_due && ratio > greatest && !shard.cleaner.is_uncleanable(partition.key, now) {
                (due, greatest) = (Some(Rc::clone(partition)), ratio);
            }
        }
        tokio::task::yield_now().await;
    }
    due
}

/// Returns whether another look is worth it at once.
async fn clean(shard: &Rc<Shard>, partition: &PartitionHandle) -> bool {
    let Some(job) = partition.begin_cleaning(shard) else {
        return false;
    };
    let before = partition.first_dirty_offset();
    let began = Instant::now();
    let cleaned = match run(shard, job) {
        Ok(running) => running.await,
        Err(reason) => {
            warn!(%reason, "cannot start the cleaner's thread");
            partition.forget_cleaning();
            return false;
        }
    };
    let Ok(cleaned) = cleaned else {
        error!(partition = %partition.id, "the cleaner's thread panicked");
        partition.forget_cleaning();
        shard.cleaner.set_uncleanable(partition.key, Instant::now());
        return false;
    };
    match partition.finish_cleaning(shard, cleaned) {
        Ok(stats) => {
            note(shard, partition, &stats, began);
            write_checkpoint(shard).await;
            if before.is_none_or(|before| stats.cleaned_up_to <= before) {
                // Something that cannot be compacted stands at its very beginning; others must not wait for it.
                shard.cleaner.set_uncleanable(partition.key, Instant::now());
            } else {
                shard.cleaner.set_cleanable(partition.key);
            }
            true
        }
        Err(CleanError::Cancelled) => true,
        Err(CleanError::Storage(reason)) => {
            shard.storage_error(&reason);
            if !matches!(reason, StorageError::DiskFull { .. }) {
                shard.cleaner.set_uncleanable(partition.key, Instant::now());
            }
            false
        }
        Err(reason @ CleanError::Unreadable { .. }) => {
            warn!(partition = %partition.id, %reason, "the log is not compacted for a while");
            shard.cleaner.set_uncleanable(partition.key, Instant::now());
            true
        }
    }
}

fn run(shard: &Shard, job: CleanJob) -> io::Result<oneshot::Receiver<Cleaned>> {
    let config = shard.config.borrow().clone();
    let limits = CleanerLimits { dedupe_buffer_bytes: config.log_cleaner_dedupe_buffer_bytes };
    let mut rate = Rate::new(config.log_cleaner_io_max_bytes_per_second);
    let mut courtesy = Courtesy::new(shard.disk.rounds());
    let (done, cleaned) = oneshot::channel();
    std::thread::Builder::new().name("log-cleaner".to_owned()).stack_size(STACK_BYTES).spawn(move || {
        courtesy::lower_priority();
        let cleaned = job.run(&limits, &mut |bytes| {
            rate.moved(bytes);
            courtesy.worked();
        });
        // The shard may have ended.
        let _ = done.send(cleaned);
    })?;
    Ok(cleaned)
}

fn note(shard: &Shard, partition: &PartitionHandle, stats: &CleanStats, began: Instant) {
    let took = began.elapsed();
    shard.cleaner.cleaned(stats, took);
    let input_bytes = stats.mapped_bytes + stats.read_bytes;
    info!(
        partition = %partition.id,
        read_bytes = stats.read_bytes,
        kept_bytes = stats.written_bytes,
        dirty_bytes = stats.mapped_bytes,
        keys = stats.mapped_keys,
        cleaned_up_to = stats.cleaned_up_to.get(),
        took_ms = took.as_millis() as u64,
        mb_per_second = (input_bytes as f64 / 1e6 / took.as_secs_f64().max(1e-6)) as u64,
        "log compacted"
    );
}

async fn write_checkpoint(shard: &Rc<Shard>) {
    let log_dir = shard.log_dir.clone();
    if let Ok(Err(reason)) = shard.disk.run(move || log_dir.write_cleaner_checkpoint()).await {
        shard.storage_error(&reason);
    }
}
