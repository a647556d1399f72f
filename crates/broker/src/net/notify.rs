//! A wake-up flag for one waiting task on the same thread: no atomics, no lost wake-ups.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// Set by anyone on the shard, waited for by exactly one task. Setting it twice wakes once.
#[derive(Default)]
pub(crate) struct LocalNotify {
    is_set: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl LocalNotify {
    pub(crate) fn notify(&self) {
        if !self.is_set.replace(true)
            && let Some(waker) = self.waker.borrow_mut().take()
        {
            waker.wake();
        }
    }

    pub(crate) fn is_set(&self) -> bool {
        self.is_set.get()
    }

    /// Takes back a notification that nobody has seen: its cause was just looked at.
    pub(crate) fn clear(&self) {
        self.is_set.set(false);
    }

    /// Resolves once notified, and clears the flag. Cancel-safe: a flag that was not observed stays set.
    pub(crate) async fn notified(&self) {
        poll_fn(|cx| {
            if self.is_set.replace(false) {
                return Poll::Ready(());
            }
            let mut waker = self.waker.borrow_mut();
            match waker.as_mut() {
                Some(known) => known.clone_from(cx.waker()),
                None => *waker = Some(cx.waker().clone()),
            }
            Poll::Pending
        })
        .await;
    }
}
