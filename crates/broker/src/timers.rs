//! Deadlines of parked requests: one ordered set and one task, so that parking costs a map entry and no timer.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::time::{Instant, sleep_until};

use crate::net::LocalNotify;
use crate::shard::Shard;

/// Something that waits at most until a deadline.
pub(crate) trait Expires {
    /// The deadline passed without [`Timers::cancel`].
    fn expire(self: Rc<Self>, shard: &Rc<Shard>);
}

/// Names one deadline, for its cancellation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerKey(Instant, u64);

#[derive(Default)]
pub(crate) struct Timers {
    pending: RefCell<BTreeMap<TimerKey, Rc<dyn Expires>>>,
    next_id: Cell<u64>,
    earlier: LocalNotify,
}

impl Timers {
    pub(crate) fn add(&self, deadline: Instant, waiting: Rc<dyn Expires>) -> TimerKey {
        let key = TimerKey(deadline, self.next_id.replace(self.next_id.get() + 1));
        let mut pending = self.pending.borrow_mut();
        let is_earliest = pending.first_key_value().is_none_or(|(first, _)| key < *first);
        pending.insert(key, waiting);
        if is_earliest {
            self.earlier.notify();
        }
        key
    }

    pub(crate) fn cancel(&self, key: TimerKey) {
        self.pending.borrow_mut().remove(&key);
    }

    fn earliest(&self) -> Option<Instant> {
        self.pending.borrow().first_key_value().map(|(key, _)| key.0)
    }

    fn take_due(&self, now: Instant) -> Option<Rc<dyn Expires>> {
        let mut pending = self.pending.borrow_mut();
        let first = pending.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// Expires what is due until the shard ends.
    pub(crate) async fn run(shard: Rc<Shard>) {
        let timers = &shard.timers;
        loop {
            match timers.earliest() {
                None => timers.earlier.notified().await,
                Some(deadline) => {
                    tokio::select! {
                        () = timers.earlier.notified() => continue,
                        () = sleep_until(deadline) => {}
                    }
                }
            }
            let now = Instant::now();
            while let Some(waiting) = timers.take_due(now) {
                waiting.expire(&shard);
            }
        }
    }
}
