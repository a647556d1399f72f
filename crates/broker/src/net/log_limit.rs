//! At most one log line per kind of misbehaviour and interval, with a count of what was left out.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

const INTERVAL: Duration = Duration::from_secs(1);

/// Limits one kind of log line that a peer can cause at will.
#[derive(Default)]
pub(crate) struct LogLimit {
    last: Cell<Option<Instant>>,
    suppressed: Cell<u64>,
}

impl LogLimit {
    /// `Some(lines suppressed since the last one)` if a line may be written now.
    pub(crate) fn permit(&self) -> Option<u64> {
        let now = Instant::now();
        if self.last.get().is_some_and(|last| now - last < INTERVAL) {
            self.suppressed.set(self.suppressed.get() + 1);
            return None;
        }
        self.last.set(Some(now));
        Some(self.suppressed.replace(0))
    }
}
