//! What the cleaner did and has before it, for scrapes.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::time::Duration;

use tidelog_commitlog::{CleanStats, Cleanable};

#[derive(Default)]
pub(crate) struct CleanerStats {
    /// Of the last look around.
    dirty_ratio_max: Cell<f64>,
    overdue_ms_max: Cell<i64>,
    /// Of the last cleaning.
    recopy_ratio: Cell<f64>,
    last_clean_seconds: Cell<f64>,
    read_bytes: Cell<u64>,
    removed_bytes: Cell<u64>,
    cleanings: Cell<u64>,
    /// Keys of partitions whose records cannot be read.
    uncleanable: RefCell<HashSet<u64>>,
}

impl CleanerStats {
    pub(super) fn begin_look(&self) {
        self.dirty_ratio_max.set(0.0);
        self.overdue_ms_max.set(0);
    }

    pub(super) fn seen(&self, cleanable: &Cleanable) {
        self.dirty_ratio_max.set(self.dirty_ratio_max.get().max(cleanable.dirty_ratio()));
        self.overdue_ms_max.set(self.overdue_ms_max.get().max(cleanable.overdue_ms));
    }

    pub(super) fn cleaned(&self, stats: &CleanStats, took: Duration) {
        self.recopy_ratio.set(stats.written_bytes as f64 / stats.read_bytes.max(1) as f64);
        self.last_clean_seconds.set(took.as_secs_f64());
        self.read_bytes.set(self.read_bytes.get() + stats.read_bytes);
        let removed_bytes = stats.read_bytes.saturating_sub(stats.written_bytes);
        self.removed_bytes.set(self.removed_bytes.get() + removed_bytes);
        self.cleanings.set(self.cleanings.get() + 1);
    }

    /// Until the broker starts again.
    pub(super) fn set_uncleanable(&self, partition: u64) {
        self.uncleanable.borrow_mut().insert(partition);
    }

    pub(super) fn is_uncleanable(&self, partition: u64) -> bool {
        self.uncleanable.borrow().contains(&partition)
    }

    /// Name, help and value of each gauge.
    pub(crate) fn gauges(&self) -> [(&'static str, &'static str, f64); 5] {
        [
            (
                "kafka_log_logcleanermanager_max_dirty_percent",
                "Share of the dirtiest log that is to be compacted.",
                self.dirty_ratio_max.get() * 100.0,
            ),
            (
                "kafka_log_logcleaner_max_compaction_delay_secs",
                "How long a log is overdue by max.compaction.lag.ms.",
                self.overdue_ms_max.get() as f64 / 1000.0,
            ),
            (
                "kafka_log_logcleaner_cleaner_recopy_percent",
                "Share of its input that the last compaction kept.",
                self.recopy_ratio.get() * 100.0,
            ),
            (
                "kafka_log_logcleaner_max_clean_time_secs",
                "How long the last compaction took.",
                self.last_clean_seconds.get(),
            ),
            (
                "kafka_log_logcleanermanager_uncleanable_partitions_count",
                "Logs whose records cannot be read.",
                self.uncleanable.borrow().len() as f64,
            ),
        ]
    }

    /// Name, help and value of each counter.
    pub(crate) fn counters(&self) -> [(&'static str, &'static str, u64); 3] {
        [
            ("kafka_log_logcleaner_cleaned_bytes_total", "Bytes read by compaction.", self.read_bytes.get()),
            ("kafka_log_logcleaner_removed_bytes_total", "Bytes that compaction freed.", self.removed_bytes.get()),
            ("kafka_log_logcleaner_cleanings_total", "Compactions done.", self.cleanings.get()),
        ]
    }
}
