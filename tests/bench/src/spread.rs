//! Repeated measurements of one duration.

use std::time::Duration;

use serde_json::{Value, json};

#[derive(Default)]
pub struct Spread(Vec<u64>);

impl Spread {
    /// Notes one measurement, and shows it as progress.
    pub fn add(&mut self, what: &str, taken: Duration) {
        let taken_ms = taken.as_millis() as u64;
        eprintln!("{what}: {taken_ms} ms");
        self.0.push(taken_ms);
    }

    /// Least, median and greatest, in milliseconds.
    pub fn to_json(&self) -> Value {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        json!({ "min": sorted.first(), "median": sorted.get(sorted.len() / 2), "max": sorted.last() })
    }
}
