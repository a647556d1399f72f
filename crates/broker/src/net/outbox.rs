//! Responses of one connection, kept in request order.
//!
//! Each request takes a [`Ticket`] when it is read; answering consumes the ticket. Whatever finishes first, the
//! front of the queue leaves first, and everything that is ready leaves in one `writev`. A ticket that is dropped
//! unanswered closes the connection: the peer sees a disconnect, never a response that belongs to another request.
//!
//! What the peer is owed is counted from the moment at which it is in memory, also behind an answer that still waits, and
//! until the socket has taken it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;
use tokio::sync::Notify;

use super::budget::ResponseBudget;
use super::notify::LocalNotify;
use super::request_budget::HeldBytes;

enum Slot {
    /// So many bytes are being read for it.
    Waiting {
        promised_bytes: usize,
    },
    Ready(Vec<Bytes>),
}

#[derive(Default)]
struct Queue {
    slots: VecDeque<Slot>,
    /// Sequence number of `slots[0]`.
    first: u64,
}

/// Whether the connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Open,
    /// It still sends what is ready.
    Closing,
    /// Nothing is sent any more, and nothing kept.
    Ended,
}

/// The ordered queue; shared by the connection's task and the tickets it handed out.
pub(crate) struct Outbox {
    queue: RefCell<Queue>,
    phase: Cell<Phase>,
    changed: LocalNotify,
    /// Promised, ready, or handed to the connection's task and not yet taken by the socket.
    owed_bytes: Cell<usize>,
    owed_bytes_max: usize,
    /// The part of `owed_bytes` that left the queue.
    sending_bytes: Cell<usize>,
    taken: Notify,
    budget: Rc<ResponseBudget>,
}

/// The right and the duty to answer one request.
pub(crate) struct Ticket {
    outbox: Rc<Outbox>,
    sequence: u64,
    answered: bool,
    _request: Option<HeldBytes>,
}

impl Outbox {
    pub(crate) fn new(owed_bytes_max: usize, budget: Rc<ResponseBudget>) -> Rc<Self> {
        Rc::new(Self {
            queue: RefCell::default(),
            phase: Cell::new(Phase::Open),
            changed: LocalNotify::default(),
            owed_bytes: Cell::new(0),
            owed_bytes_max,
            sending_bytes: Cell::new(0),
            taken: Notify::new(),
            budget,
        })
    }

    /// For one more request, whose bytes are held until it is answered.
    pub(crate) fn take_ticket(self: &Rc<Self>, request: Option<HeldBytes>) -> Ticket {
        let mut queue = self.queue.borrow_mut();
        let sequence = queue.first + queue.slots.len() as u64;
        queue.slots.push_back(Slot::Waiting { promised_bytes: 0 });
        Ticket { outbox: Rc::clone(self), sequence, answered: false, _request: request }
    }

    /// Requests read and not yet handed to the socket.
    pub(crate) fn unanswered(&self) -> usize {
        self.queue.borrow().slots.len()
    }

    /// Whether the peer may be owed more.
    pub(crate) fn has_room(&self) -> bool {
        self.owed_bytes.get() < self.owed_bytes_max
    }

    /// Moves every response whose turn has come into `out`.
    pub(crate) fn drain_ready(&self, out: &mut VecDeque<Bytes>) {
        self.changed.clear();
        let mut queue = self.queue.borrow_mut();
        while let Some(Slot::Ready(_)) = queue.slots.front() {
            let Some(Slot::Ready(chunks)) = queue.slots.pop_front() else {
                unreachable!("the front was just seen to be ready")
            };
            queue.first += 1;
            self.sending_bytes.set(self.sending_bytes.get() + length(&chunks));
            out.extend(chunks.into_iter().filter(|chunk| !chunk.is_empty()));
        }
        // Another is at the front now.
        self.taken.notify_waiters();
    }

    /// The socket took bytes of what was drained.
    pub(crate) fn sent(&self, bytes: usize) {
        self.sending_bytes.set(self.sending_bytes.get() - bytes);
        self.owe(bytes, 0);
        self.taken.notify_waiters();
    }

    /// Asks the connection to end; it still sends what is ready.
    pub(crate) fn close(&self) {
        self.phase.set(self.phase.get().max(Phase::Closing));
        self.changed.notify();
    }

    /// Ends the connection with whatever it still has to send, which is let go of.
    pub(crate) fn end(&self) {
        self.phase.set(Phase::Ended);
        let queue = std::mem::take(&mut *self.queue.borrow_mut());
        self.sending_bytes.set(0);
        self.owe(self.owed_bytes.get(), 0);
        drop(queue);
        self.taken.notify_waiters();
        self.changed.notify();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.phase.get() >= Phase::Closing
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.phase.get() == Phase::Ended
    }

    /// Wakes the connection's task, for the sweeper.
    pub(crate) fn wake(&self) {
        self.changed.notify();
    }

    /// Resolves when a response became ready or the connection should look at its flags.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Puts `now` in the place of `before` among the bytes owed.
    fn owe(&self, before: usize, now: usize) {
        self.owed_bytes.set(self.owed_bytes.get() + now - before);
        self.budget.take(now);
        self.budget.give_back(before);
    }

    fn set(&self, sequence: u64, slot: Slot) {
        if self.has_ended() {
            return;
        }
        let mut queue = self.queue.borrow_mut();
        let index = (sequence - queue.first) as usize;
        let is_ready = matches!(slot, Slot::Ready(_));
        let now = slot.bytes();
        let before = std::mem::replace(&mut queue.slots[index], slot);
        self.owe(before.bytes(), now);
        if index == 0 && is_ready {
            self.changed.notify();
        }
    }

    fn is_next(&self, sequence: u64) -> bool {
        self.sending_bytes.get() == 0 && self.queue.borrow().first == sequence
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.budget.give_back(self.owed_bytes.get());
    }
}

impl Slot {
    fn bytes(&self) -> usize {
        match self {
            Slot::Waiting { promised_bytes } => *promised_bytes,
            Slot::Ready(chunks) => length(chunks),
        }
    }
}

fn length(chunks: &[Bytes]) -> usize {
    chunks.iter().map(Bytes::len).sum()
}

impl Ticket {
    /// Answers with a whole frame, length prefix included.
    pub(crate) fn send(mut self, frame: Vec<Bytes>) {
        self.answered = true;
        self.outbox.set(self.sequence, Slot::Ready(frame));
    }

    /// The request gets no response (acks=0).
    pub(crate) fn send_nothing(self) {
        self.send(Vec::new());
    }

    /// Answers nothing and ends the connection, once what came before is sent.
    pub(crate) fn disconnect(self) {
        drop(self);
    }

    /// How many bytes the answer may have now, of `wanted`; `None` if the peer has to take others first.
    pub(crate) fn allowance(&self, wanted: usize) -> Option<usize> {
        let outbox = &self.outbox;
        let room = outbox.owed_bytes_max.saturating_sub(outbox.owed_bytes.get());
        // What is next cannot wait for those behind it to be taken.
        outbox.budget.share(wanted, (!outbox.is_next(self.sequence)).then_some(room))
    }

    /// Counts an answer that is still being read.
    pub(crate) fn promise(&self, bytes: usize) {
        self.outbox.set(self.sequence, Slot::Waiting { promised_bytes: bytes });
    }

    /// Resolves when the peer may be owed one more answer.
    pub(crate) async fn room(&self) {
        let outbox = &self.outbox;
        while !outbox.has_room() && !outbox.is_next(self.sequence) && !outbox.has_ended() {
            outbox.taken.notified().await;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.answered {
            self.outbox.set(self.sequence, Slot::Waiting { promised_bytes: 0 });
            self.outbox.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox() -> Rc<Outbox> {
        Outbox::new(10, ResponseBudget::new(1 << 30))
    }

    fn drained(outbox: &Outbox) -> Vec<Bytes> {
        let mut out = VecDeque::new();
        outbox.drain_ready(&mut out);
        out.into()
    }

    #[test]
    fn responses_leave_in_request_order_whatever_finishes_first() {
        let outbox = outbox();
        let (first, second, third) = (outbox.take_ticket(None), outbox.take_ticket(None), outbox.take_ticket(None));
        third.send(vec![Bytes::from_static(b"3")]);
        second.send_nothing();
        assert!(drained(&outbox).is_empty());
        first.send(vec![Bytes::from_static(b"1")]);
        assert_eq!(drained(&outbox), ["1", "3"]);
        assert_eq!(outbox.unanswered(), 0);
    }

    #[test]
    fn a_dropped_ticket_closes_the_connection() {
        let outbox = outbox();
        outbox.take_ticket(None).disconnect();
        assert!(outbox.is_closing());
        assert!(drained(&outbox).is_empty());
    }

    #[test]
    fn bytes_are_owed_from_their_promise_until_the_socket_takes_them() {
        let outbox = outbox();
        let (first, second) = (outbox.take_ticket(None), outbox.take_ticket(None));
        second.send(vec![Bytes::from_static(b"0123456789")]);
        assert!(!outbox.has_room(), "what is ready behind another counts");
        assert_eq!(first.allowance(100), Some(100), "the front waits for nobody");
        first.promise(5);
        first.send(vec![Bytes::from_static(b"01")]);
        drained(&outbox);
        outbox.sent(2);
        assert!(!outbox.has_room());
        let third = outbox.take_ticket(None);
        assert_eq!(third.allowance(100), None);
        outbox.sent(10);
        assert!(outbox.has_room());
        third.promise(20);
        drop(third);
        assert!(outbox.has_room(), "a promise ends with its ticket");
    }

    #[test]
    fn an_ended_connection_keeps_nothing() {
        let budget = ResponseBudget::new(1 << 20);
        let outbox = Outbox::new(10, Rc::clone(&budget));
        let (late, ready) = (outbox.take_ticket(None), outbox.take_ticket(None));
        ready.send(vec![Bytes::from_static(b"0123456789")]);
        outbox.end();
        late.send(vec![Bytes::from_static(b"0123456789")]);
        assert_eq!(outbox.unanswered(), 0);
        assert_eq!(budget.share(usize::MAX, None), Some(1 << 18), "all is given back");
    }
}
