//! What the cleaner did and has before it, for scrapes.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::{Duration, Instant};

use tidelog_commitlog::{CleanStats, Cleanable};

use crate::back_off::BackOff;

/// What could not be compacted may be damaged for good, or have met an error that is over.
const AGAIN_FIRST: Duration = Duration::from_secs(60);
const AGAIN_LONGEST: Duration = Duration::from_secs(3600);

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
    /// Partitions whose last compaction failed, by their keys.
    uncleanable: RefCell<HashMap<u64, Uncleanable>>,
}

struct Uncleanable {
    back_off: BackOff,
    until: Instant,
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

    /// It is left alone for a while, each time for longer.
    pub(super) fn set_uncleanable(&self, partition: u64, now: Instant) {
        let mut uncleanable = self.uncleanable.borrow_mut();
        let entry = uncleanable
            .entry(partition)
            .or_insert_with(|| Uncleanable { back_off: BackOff::new(AGAIN_FIRST, AGAIN_LONGEST), until: now });
        entry.until = now + entry.back_off.next();
    }

    pub(super) fn is_uncleanable(&self, partition: u64, now: Instant) -> bool {
        self.uncleanable.borrow().get(&partition).is_some_and(|entry| now < entry.until)
    }

    pub(super) fn set_cleanable(&self, partition: u64) {
        self.uncleanable.borrow_mut().remove(&partition);
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
                "Logs whose last compaction failed.",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_could_not_be_compacted_is_tried_again() {
        let stats = CleanerStats::default();
        let began = Instant::now();
        stats.set_uncleanable(7, began);
        assert!(stats.is_uncleanable(7, began) && !stats.is_uncleanable(8, began));
        let second = began + AGAIN_FIRST;
        assert!(!stats.is_uncleanable(7, second));
        stats.set_uncleanable(7, second);
        assert!(stats.is_uncleanable(7, second + AGAIN_FIRST), "for longer than the first time");
        stats.set_cleanable(7);
        assert!(!stats.is_uncleanable(7, second));
    }
}
