//! Responses of one connection, kept in request order.
//!
//! Each request takes a [`Ticket`] when it is read; answering consumes the ticket. Whatever finishes first, the
//! front of the queue leaves first, and everything that is ready leaves in one `writev`. A ticket that is dropped
//! unanswered closes the connection: the peer sees a disconnect, never a response that belongs to another request.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;

use super::notify::LocalNotify;

enum Slot {
    Waiting,
    Ready(Vec<Bytes>),
}

#[derive(Default)]
struct Queue {
    slots: VecDeque<Slot>,
    /// Sequence number of `slots[0]`.
    first: u64,
}

/// The ordered queue; shared by the connection's task and the tickets it handed out.
#[derive(Default)]
pub(crate) struct Outbox {
    queue: RefCell<Queue>,
    closing: Cell<bool>,
    changed: LocalNotify,
}

/// The right and the duty to answer one request.
pub(crate) struct Ticket {
    outbox: Rc<Outbox>,
    sequence: u64,
    answered: bool,
}

impl Outbox {
    pub(crate) fn take_ticket(self: &Rc<Self>) -> Ticket {
        let mut queue = self.queue.borrow_mut();
        let sequence = queue.first + queue.slots.len() as u64;
        queue.slots.push_back(Slot::Waiting);
        Ticket { outbox: Rc::clone(self), sequence, answered: false }
    }

    /// Requests read and not yet handed to the socket.
    pub(crate) fn unanswered(&self) -> usize {
        self.queue.borrow().slots.len()
    }

    /// Moves every response whose turn has come into `out`; returns how many bytes that added.
    pub(crate) fn drain_ready(&self, out: &mut VecDeque<Bytes>) -> usize {
        self.changed.clear();
        let mut queue = self.queue.borrow_mut();
        let mut bytes = 0;
        while let Some(Slot::Ready(_)) = queue.slots.front() {
            let Some(Slot::Ready(chunks)) = queue.slots.pop_front() else {
                unreachable!("the front was just seen to be ready")
            };
            queue.first += 1;
            bytes += chunks.iter().map(Bytes::len).sum::<usize>();
            out.extend(chunks.into_iter().filter(|chunk| !chunk.is_empty()));
        }
        bytes
    }

    /// Asks the connection to end; it still sends what is ready.
    pub(crate) fn close(&self) {
        self.closing.set(true);
        self.changed.notify();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.get()
    }

    /// Wakes the connection's task, for the sweeper.
    pub(crate) fn wake(&self) {
        self.changed.notify();
    }

    /// Resolves when a response became ready or the connection should look at its flags.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn fill(&self, sequence: u64, chunks: Vec<Bytes>) {
        let mut queue = self.queue.borrow_mut();
        let index = (sequence - queue.first) as usize;
        queue.slots[index] = Slot::Ready(chunks);
        if index == 0 {
            self.changed.notify();
        }
    }
}

impl Ticket {
    /// Answers with a whole frame, length prefix included.
    pub(crate) fn send(mut self, frame: Vec<Bytes>) {
        self.answered = true;
        self.outbox.fill(self.sequence, frame);
    }

    /// The request gets no response (acks=0).
    pub(crate) fn send_nothing(self) {
        self.send(Vec::new());
    }

    /// Answers nothing and ends the connection, once what came before is sent.
    pub(crate) fn disconnect(self) {
        drop(self);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.answered {
            self.outbox.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(outbox: &Outbox) -> Vec<Bytes> {
        let mut out = VecDeque::new();
        outbox.drain_ready(&mut out);
        out.into()
    }

    #[test]
    fn responses_leave_in_request_order_whatever_finishes_first() {
        let outbox = Rc::new(Outbox::default());
        let (first, second, third) = (outbox.take_ticket(), outbox.take_ticket(), outbox.take_ticket());
        third.send(vec![Bytes::from_static(b"3")]);
        second.send_nothing();
        assert!(drained(&outbox).is_empty());
        first.send(vec![Bytes::from_static(b"1")]);
        assert_eq!(drained(&outbox), ["1", "3"]);
        assert_eq!(outbox.unanswered(), 0);
    }

    #[test]
    fn a_dropped_ticket_closes_the_connection() {
        let outbox = Rc::new(Outbox::default());
        outbox.take_ticket().disconnect();
        assert!(outbox.is_closing());
        assert!(drained(&outbox).is_empty());
    }
}
