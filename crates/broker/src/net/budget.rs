//! How many bytes of answers the broker may hold for peers that have not taken them yet, over all connections.
//!
//! Nobody is refused when it runs out: answers become smaller. A reader is given a share of what is left, so that the
//! first to come cannot take all, and whoever has nothing on the way to it gets [`SHARE_MIN`] in any case: peers that do
//! not read make the others slower, and stop nobody.

use std::cell::Cell;
use std::rc::Rc;

/// One answer takes at most this part of what is left.
const SHARES: usize = 4;
/// What a reader that is owed nothing may always have.
const SHARE_MIN: usize = 64 << 10;

/// Counts the bytes that all outboxes of a broker hold.
pub(crate) struct ResponseBudget {
    bytes_max: usize,
    held_bytes: Cell<usize>,
}

impl ResponseBudget {
    pub(crate) fn new(bytes_max: usize) -> Rc<Self> {
        Rc::new(Self { bytes_max, held_bytes: Cell::new(0) })
    }

    pub(super) fn take(&self, bytes: usize) {
        self.held_bytes.set(self.held_bytes.get() + bytes);
    }

    pub(super) fn give_back(&self, bytes: usize) {
        self.held_bytes.set(self.held_bytes.get() - bytes);
    }

    /// What one more answer may have, at most `wanted`, of which its connection has room for `room`. `None`: it has to wait
    /// until the peer has taken some of what it is owed.
    pub(super) fn share(&self, wanted: usize, room: Option<usize>) -> Option<usize> {
        let left = self.bytes_max.saturating_sub(self.held_bytes.get());
        match room {
            None => Some(wanted.min((left / SHARES).max(SHARE_MIN))),
            Some(room) => {
                let share = wanted.min(room).min(left / SHARES);
                (share >= wanted.min(SHARE_MIN)).then_some(share)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_smaller_and_only_those_who_are_owed_something_wait() {
        let budget = ResponseBudget::new(16 << 20);
        let mut owed = 0;
        for _ in 0..1_000 {
            let share = budget.share(8 << 20, Some(usize::MAX));
            owed += share.unwrap_or(0);
            budget.take(share.unwrap_or(0));
        }
        assert!(owed > 15 << 20 && owed <= 16 << 20, "{owed}");
        assert_eq!(budget.share(8 << 20, Some(usize::MAX)), None);
        assert_eq!(budget.share(8 << 20, None), Some(SHARE_MIN));
        assert_eq!(budget.share(100, None), Some(100));
        budget.give_back(owed);
        assert_eq!(budget.share(8 << 20, None), Some(4 << 20));
        assert_eq!(budget.share(8 << 20, Some(1 << 20)), Some(1 << 20));
        assert_eq!(budget.share(8 << 20, Some(100)), None, "its own connection is full");
    }
}
