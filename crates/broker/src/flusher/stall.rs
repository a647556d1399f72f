//! Notices a shard or disk thread that does not advance, from another thread.
//!
//! A heartbeat to the controller attests that everything moves: a stuck disk must cost the broker its leaderships
//! even though its process is well and its sockets answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often a shard says that it is alive.
pub(crate) const SHARD_BEAT_INTERVAL: Duration = Duration::from_millis(100);

/// What thousands of new files may take on a disk that is well.
const MANY_GRACE_MS: u64 = 3_000;

/// What a failed log directory reports: longer than any session timeout.
const FAILED_STALL_MS: u64 = 3_600_000;

/// Start times of outstanding operations in milliseconds since `origin` plus one; 0 is idle.
pub(crate) struct Heartbeats {
    origin: Instant,
    flushes: Box<[AtomicU64]>,
    shard: AtomicU64,
    /// The log directory is offline: nothing will ever advance again.
    failed: AtomicBool,
    /// The broker has opened its logs and applied its registration.
    ready: AtomicBool,
}

impl Heartbeats {
    pub(crate) fn new(disk_threads: usize) -> Self {
        Self {
            origin: Instant::now(),
            flushes: (0..disk_threads.max(1)).map(|_| AtomicU64::new(0)).collect(),
            shard: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            ready: AtomicBool::new(false),
        }
    }

    pub(super) fn began(&self, thread: usize) {
        self.flushes[thread].store(self.now_ms() + 1, Ordering::Relaxed);
    }

    /// A sync of the whole file system, which has more to write than one log's: it counts as outstanding only after
    /// [`MANY_GRACE_MS`].
    pub(super) fn began_many(&self, thread: usize) {
        self.flushes[thread].store(self.now_ms() + 1 + MANY_GRACE_MS, Ordering::Relaxed);
    }

    pub(super) fn ended(&self, thread: usize) {
        self.flushes[thread].store(0, Ordering::Relaxed);
    }

    /// Milliseconds that the oldest outstanding operation has been waiting; 0 if everything moves.
    pub(crate) fn stalled_ms(&self) -> u64 {
        if self.failed.load(Ordering::Relaxed) {
            return FAILED_STALL_MS;
        }
        let now_ms = self.now_ms();
        let age = |since: &AtomicU64| match since.load(Ordering::Relaxed) {
            0 => 0,
            since => (now_ms + 1).saturating_sub(since),
        };
        let shard = age(&self.shard).saturating_sub(SHARD_BEAT_INTERVAL.as_millis() as u64);
        self.flushes.iter().map(age).max().unwrap_or(0).max(shard)
    }

    /// Returns whether this is the first failure.
    pub(crate) fn fail(&self) -> bool {
        !self.failed.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    pub(crate) fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    fn now_ms(&self) -> u64 {
        self.origin.elapsed().as_millis() as u64
    }
}

/// The shard's own heartbeat; once it is gone the shard is not expected to beat any more.
pub(crate) struct ShardBeat(Arc<Heartbeats>);

impl ShardBeat {
    pub(crate) fn new(heartbeats: Arc<Heartbeats>) -> Self {
        Self(heartbeats)
    }

    /// Beats until dropped.
    pub(crate) async fn run(self) {
        loop {
            self.0.shard.store(self.0.now_ms() + 1, Ordering::Relaxed);
            tokio::time::sleep(SHARD_BEAT_INTERVAL).await;
        }
    }
}

impl Drop for ShardBeat {
    fn drop(&mut self) {
        self.0.shard.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_that_does_not_end_is_seen() {
        let heartbeats = Heartbeats::new(2);
        assert_eq!(heartbeats.stalled_ms(), 0);
        heartbeats.began(1);
        heartbeats.flushes[1].store(1, Ordering::Relaxed);
        let deadline = Instant::now() + Duration::from_secs(5);
        while heartbeats.stalled_ms() < 2 {
            assert!(Instant::now() < deadline);
            std::thread::yield_now();
        }
        heartbeats.ended(1);
        assert_eq!(heartbeats.stalled_ms(), 0);
    }
}
