//! Stands in for the crates.io crate `base2histogram`, which openraft counts batch sizes with.
//!
//! The original fills lookup tables for sixteen bucket widths at its first use: 27 MB that stay resident,
//! three times what an idle node needs for everything else. This one offers the part of the interface that
//! openraft calls and keeps one small array per histogram, made when the first value is recorded.
//! `Cargo.toml` of the workspace says `[patch.crates-io] base2histogram = { path = ... }`.

#![forbid(unsafe_code)]

use std::fmt;
use std::marker::PhantomData;

/// Values below this have a bucket each.
const EXACT: u64 = 4;
/// Each power of two above is cut into this many buckets.
const BUCKETS_PER_OCTAVE: usize = 4;
const BUCKETS: usize = EXACT as usize + 62 * BUCKETS_PER_OCTAVE;

/// Counts `u64` values in buckets a quarter of a power of two wide. `T` is only there for its name's sake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram<T = ()> {
    counts: Option<Box<[u64; BUCKETS]>>,
    total: u64,
    of: PhantomData<T>,
}

/// Percentiles, each the upper end of its bucket; 0 without samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PercentileStats {
    pub samples: u64,
    pub p0_1: u64,
    pub p1: u64,
    pub p5: u64,
    pub p10: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p99_9: u64,
}

impl<T> Default for Histogram<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Histogram<T> {
    pub const fn new() -> Self {
        Self { counts: None, total: 0, of: PhantomData }
    }

    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// The same value `count` times.
    pub fn record_n(&mut self, value: u64, count: u64) {
        let counts = self.counts.get_or_insert_with(|| Box::new([0; BUCKETS]));
        counts[bucket_of(value)] += count;
        self.total += count;
    }

    /// Number of values recorded.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The value that a share `p` (0 to 1) of the recorded ones do not exceed.
    pub fn percentile(&self, p: f64) -> u64 {
        let Some(counts) = &self.counts else { return 0 };
        let wanted = ((self.total as f64 * p).ceil() as u64).max(1);
        let mut seen = 0;
        let holding = counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        holding.map_or(0, last_value_of)
    }

    pub fn percentile_stats(&self) -> PercentileStats {
        PercentileStats {
            samples: self.total,
            p0_1: self.percentile(0.001),
            p1: self.percentile(0.01),
            p5: self.percentile(0.05),
            p10: self.percentile(0.1),
            p50: self.percentile(0.5),
            p90: self.percentile(0.9),
            p99: self.percentile(0.99),
            p99_9: self.percentile(0.999),
        }
    }
}

fn bucket_of(value: u64) -> usize {
    if value < EXACT {
        return value as usize;
    }
    let octave = value.ilog2() as usize;
    let quarter = (value >> (octave - 2)) as usize & (BUCKETS_PER_OCTAVE - 1);
    EXACT as usize + (octave - 2) * BUCKETS_PER_OCTAVE + quarter
}

/// The greatest value that falls into a bucket.
fn last_value_of(bucket: usize) -> u64 {
    if bucket < EXACT as usize {
        return bucket as u64;
    }
    let octave = (bucket - EXACT as usize) / BUCKETS_PER_OCTAVE + 2;
    let quarter = (bucket - EXACT as usize) % BUCKETS_PER_OCTAVE;
    let width = 1u64 << (octave - 2);
    (1u64 << octave) + quarter as u64 * width + (width - 1)
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "[samples: {}, p50: {}, p90: {}, p99: {}, p99.9: {}]",
            self.samples, self.p50, self.p90, self.p99, self.p99_9
        )
    }
}

/// Histograms by name, to be shown together.
#[derive(Clone, Debug, Default)]
pub struct AsciiChart {
    rows: Vec<(String, Histogram)>,
}

impl AsciiChart {
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    #[allow(clippy::should_implement_trait, reason = "openraft calls it by this name")]
    pub fn add(mut self, name: impl Into<String>, histogram: Histogram) -> Self {
        self.rows.push((name.into(), histogram));
        self
    }
}

impl fmt::Display for AsciiChart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rows.iter().try_for_each(|(name, histogram)| writeln!(f, "{name:>24}: {}", histogram.percentile_stats()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_falls_into_the_bucket_that_ends_at_or_above_it() {
        let around_powers = (0..64).flat_map(|bit| {
            let power = 1u64 << bit;
            [power - 1, power, power + 1, power + power / 3]
        });
        for value in around_powers.chain([u64::MAX]) {
            let bucket = bucket_of(value);
            assert!(last_value_of(bucket) >= value, "{value}");
            assert!(bucket == 0 || last_value_of(bucket - 1) < value, "{value}");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_within_a_quarter_octave() {
        let mut histogram = Histogram::<()>::new();
        (1..=1000).for_each(|value| histogram.record(value));
        let stats = histogram.percentile_stats();
        assert_eq!(stats.samples, 1000);
        assert!((500..=639).contains(&stats.p50), "{}", stats.p50);
        assert!((990..=1279).contains(&stats.p99), "{}", stats.p99);
    }

    #[test]
    fn an_unused_histogram_allocates_nothing_and_answers_zero() {
        let histogram = Histogram::<()>::new();
        assert!(histogram.counts.is_none());
        assert_eq!(histogram.percentile(0.5), 0);
    }
}
