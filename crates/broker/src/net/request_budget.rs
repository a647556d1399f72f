//! `queued.max.request.bytes`: how many bytes of large requests the broker holds, from their first byte to their answer.
//!
//! A large frame is read only when all of it is paid for, so that what has begun can end. As in Kafka one more is let in for
//! as long as anything is left. Small frames go free: their connections bound them, and followers send no others.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use super::outbox::Outbox;

/// A frame above this length counts.
pub(super) const LARGE_FRAME: usize = 1 << 20;

pub(crate) struct RequestBudget {
    bytes_max: usize,
    held_bytes: Cell<usize>,
    /// Connections that do not read until something is given back.
    waiting: RefCell<Vec<Weak<Outbox>>>,
}

/// The bytes of one request.
pub(crate) struct HeldBytes {
    budget: Rc<RequestBudget>,
    bytes: usize,
}

impl RequestBudget {
    pub(crate) fn new(bytes_max: usize) -> Rc<Self> {
        Rc::new(Self { bytes_max, held_bytes: Cell::new(0), waiting: RefCell::default() })
    }

    /// `None`: the connection of `outbox` is woken when it is worth another try.
    pub(super) fn hold(self: &Rc<Self>, bytes: usize, outbox: &Rc<Outbox>) -> Option<HeldBytes> {
        if self.held_bytes.get() >= self.bytes_max {
            let mut waiting = self.waiting.borrow_mut();
            if waiting.iter().all(|known| !std::ptr::eq(known.as_ptr(), Rc::as_ptr(outbox))) {
                waiting.push(Rc::downgrade(outbox));
            }
            return None;
        }
        self.held_bytes.set(self.held_bytes.get() + bytes);
        Some(HeldBytes { budget: Rc::clone(self), bytes })
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        let budget = &self.budget;
        budget.held_bytes.set(budget.held_bytes.get() - self.bytes);
        for outbox in budget.waiting.take() {
            if let Some(outbox) = outbox.upgrade() {
                outbox.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::budget::ResponseBudget;
    use super::*;

    #[test]
    fn one_more_is_let_in_while_anything_is_left_and_the_others_are_woken() {
        let budget = RequestBudget::new(100);
        let outbox = Outbox::new(10, ResponseBudget::new(10));
        let first = budget.hold(60, &outbox);
        let second = budget.hold(60, &outbox);
        assert!(first.is_some() && second.is_some());
        assert!(budget.hold(1, &outbox).is_none() && budget.hold(1, &outbox).is_none());
        assert_eq!(budget.waiting.borrow().len(), 1, "a connection waits once");
        drop(first);
        assert!(budget.waiting.borrow().is_empty());
        assert!(budget.hold(1, &outbox).is_some());
    }
}
