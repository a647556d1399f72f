//! Prometheus' text form.

use std::fmt::{Display, Write as _};

/// The content type of the finished text.
pub const METRICS_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A scrape in the making.
#[derive(Default)]
pub struct MetricsText(String);

impl MetricsText {
    /// Introduces a metric; its samples follow.
    pub fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// One sample; `series` is the metric's name with its labels.
    pub fn sample(&mut self, series: impl Display, value: impl Display) {
        let _ = writeln!(self.0, "{series} {value}");
    }

    /// A metric of one sample without labels.
    pub fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, value);
    }

    pub fn finish(self) -> String {
        self.0
    }
}
