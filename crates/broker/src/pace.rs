//! Long work on the shard, in slices: whoever else wants the thread gets it in between.

use std::time::Duration;

use tokio::time::Instant;

/// How long one request may keep the shard at a time.
const SLICE_MAX: Duration = Duration::from_millis(5);

/// The pace of one request that has many things to look at.
pub(crate) struct Pace {
    began: Instant,
}

impl Pace {
    pub(crate) fn start() -> Self {
        Self { began: Instant::now() }
    }

    /// To be called between two things; lets others have the thread when its slice is over.
    pub(crate) async fn step(&mut self) {
        if self.began.elapsed() >= SLICE_MAX {
            tokio::task::yield_now().await;
            self.began = Instant::now();
        }
    }
}
