//! The two clocks: tokio's for durations, the wall's for what is stored or told to clients.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// A wall clock that is never set: it starts at the wall's time and goes on by the monotonic one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SteadyClock {
    origin: Instant,
    origin_ms: i64,
}

impl SteadyClock {
    pub(crate) fn start(clock: Clock) -> Self {
        Self { origin: Instant::now(), origin_ms: clock.wall_ms() }
    }

    pub(crate) fn now_ms(self) -> i64 {
        self.origin_ms + self.origin.elapsed().as_millis() as i64
    }

    pub(crate) fn instant_of(self, ms: i64) -> Instant {
        self.origin + std::time::Duration::from_millis((ms - self.origin_ms).max(0) as u64)
    }
}

/// A shard's clocks. Milliseconds of the monotonic one count from the shard's start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { origin: Instant::now() }
    }

    /// For the replication protocol and every deadline.
    pub(crate) fn monotonic_ms(self) -> i64 {
        self.origin.elapsed().as_millis() as i64
    }

    pub(crate) fn monotonic_ms_of(self, instant: Instant) -> i64 {
        instant.saturating_duration_since(self.origin).as_millis() as i64
    }

    pub(crate) fn instant_of(self, monotonic_ms: i64) -> Instant {
        self.origin + std::time::Duration::from_millis(monotonic_ms.max(0) as u64)
    }

    /// Milliseconds since 1970, for timestamps of records.
    pub(crate) fn wall_ms(self) -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
    }
}
