//! Producers come first: the cleaner takes the processor when nobody else wants it, and rests while others flush.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tracing::debug;

/// Works so long at a stretch.
const STRETCH: Duration = Duration::from_millis(2);
/// Rests no longer, whatever held a stretch up.
const REST_MAX: Duration = Duration::from_millis(50);

/// Of the calling thread alone; elsewhere than on Linux it would be the whole process's.
pub(super) fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, 19) {
        debug!("the cleaner keeps the priority of everything else: {error}");
    }
}

/// Rests twice as long as it worked, if anything was flushed meanwhile: two thirds of the device's time are left to
/// producers.
pub(super) struct Courtesy {
    flushes: Arc<AtomicU64>,
    seen: u64,
    since: Instant,
}

impl Courtesy {
    /// `flushes` counts what others wait for.
    pub(super) fn new(flushes: Arc<AtomicU64>) -> Self {
        let seen = flushes.load(Ordering::Relaxed);
        Self { flushes, seen, since: Instant::now() }
    }

    pub(super) fn worked(&mut self) {
        if let Some(rest) = self.rest(self.since.elapsed()) {
            std::thread::sleep(rest);
            self.since = Instant::now();
        }
    }

    /// How long to rest after having worked for so long; `None` goes on.
    fn rest(&mut self, worked: Duration) -> Option<Duration> {
        if worked < STRETCH {
            return None;
        }
        let flushes = self.flushes.load(Ordering::Relaxed);
        let is_alone = flushes == std::mem::replace(&mut self.seen, flushes);
        Some(if is_alone { Duration::ZERO } else { (worked * 2).min(REST_MAX) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rests_only_beside_others() {
        let flushes = Arc::new(AtomicU64::new(7));
        let mut courtesy = Courtesy::new(Arc::clone(&flushes));
        let ms = Duration::from_millis;
        assert_eq!(courtesy.rest(ms(1)), None);
        assert_eq!(courtesy.rest(ms(3)), Some(Duration::ZERO), "nobody flushed");
        flushes.fetch_add(1, Ordering::Relaxed);
        assert_eq!(courtesy.rest(ms(1)), None);
        assert_eq!(courtesy.rest(ms(3)), Some(ms(6)));
        assert_eq!(courtesy.rest(ms(3)), Some(Duration::ZERO), "they are done");
        flushes.fetch_add(1, Ordering::Relaxed);
        assert_eq!(courtesy.rest(ms(9000)), Some(REST_MAX));
    }
}
