//! `log.cleaner.io.max.bytes.per.second`: the cleaner's thread sleeps when it was faster.

use std::time::{Duration, Instant};

/// Sleeps shorter than this are saved up.
const SLEEP_MIN: Duration = Duration::from_millis(5);

pub(super) struct Rate {
    bytes_per_second_max: f64,
    began: Instant,
    bytes: u64,
}

impl Rate {
    pub(super) fn new(bytes_per_second_max: f64) -> Self {
        Self { bytes_per_second_max, began: Instant::now(), bytes: 0 }
    }

    /// So many bytes were read or written.
    pub(super) fn moved(&mut self, bytes: u64) {
        self.bytes += bytes;
        let pause = self.pause(self.began.elapsed());
        if pause > SLEEP_MIN {
            std::thread::sleep(pause);
        }
    }

    /// How much longer it should have taken.
    fn pause(&self, elapsed: Duration) -> Duration {
        let due = self.bytes as f64 / self.bytes_per_second_max;
        Duration::try_from_secs_f64(due - elapsed.as_secs_f64()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ahead_of_the_rate_waits() {
        let mut rate = Rate::new(1000.0);
        rate.bytes = 500;
        assert_eq!(rate.pause(Duration::from_millis(100)), Duration::from_millis(400));
        assert_eq!(rate.pause(Duration::from_millis(900)), Duration::ZERO);
        assert_eq!(Rate { bytes: u64::MAX, ..Rate::new(f64::MAX) }.pause(Duration::ZERO), Duration::ZERO);
    }
}
