//! Counters of one shard: plain cells, read only when a scrape asks the shard for a copy.
//!
//! Names in the exposition are those of Kafka's JMX exporter, so that existing dashboards work
//! ([`crate::exposition`] writes them).

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use tidelog_wire::ApiKey;

/// Upper bounds of the latency histogram's buckets, in microseconds.
pub(crate) const LATENCY_BOUNDS_US: [u64; 14] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000];

/// A count that only grows.
#[derive(Default)]
pub(crate) struct Counter(Cell<u64>);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.set(self.0.get() + count);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.get()
    }
}

/// Requests of one API.
#[derive(Clone, Debug, Default)]
pub(crate) struct ApiStats {
    pub requests: u64,
    pub total_us: u64,
    /// One more than there are bounds: the last counts what is above all of them.
    pub buckets: [u64; LATENCY_BOUNDS_US.len() + 1],
}

impl ApiStats {
    fn record(&mut self, took: Duration) {
        let took_us = took.as_micros() as u64;
        let bucket = LATENCY_BOUNDS_US.partition_point(|bound| *bound < took_us);
        self.requests += 1;
        self.total_us += took_us;
        self.buckets[bucket] += 1;
    }
}

/// What one shard counted.
#[derive(Default)]
pub(crate) struct Metrics {
    pub messages_in: Counter,
    pub bytes_in: Counter,
    pub bytes_out: Counter,
    pub replication_bytes_in: Counter,
    pub replication_bytes_out: Counter,
    pub failed_produce_requests: Counter,
    pub failed_fetch_requests: Counter,
    pub isr_shrinks: Counter,
    pub isr_expands: Counter,
    pub flushes: Counter,
    pub bad_requests: Counter,
    pub offset_commits: Counter,
    apis: RefCell<BTreeMap<ApiKey, ApiStats>>,
}

impl Metrics {
    pub(crate) fn request_answered(&self, key: ApiKey, took: Duration) {
        self.apis.borrow_mut().entry(key).or_default().record(took);
    }

    pub(crate) fn api_stats(&self) -> Vec<(ApiKey, ApiStats)> {
        let apis = self.apis.borrow();
        apis.iter().map(|(key, stats)| (*key, stats.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_is_counted_under_the_first_bound_that_holds_it() {
        let metrics = Metrics::default();
        for took_us in [100, 101, 10_000_000] {
            metrics.request_answered(ApiKey::Produce, Duration::from_micros(took_us));
        }
        let stats = &metrics.api_stats()[0].1;
        assert_eq!((stats.buckets[0], stats.buckets[1]), (1, 1));
        assert_eq!(stats.buckets[LATENCY_BOUNDS_US.len()], 1);
        assert_eq!(stats.requests, 3);
    }
}
