//! Replies that wait for the high watermark, in the order of the appends they wait for.
//!
//! ```text
//! appends   1 ........ 2 ........ 3 ........ (the next one)
//!           committed ─┘          └─ appended
//! replies             [after 2]  [after 3]   [decided, with records that are not appended yet]
//! ```
//! A reply waits for what its coordinator had appended when it was decided, its own records included, and not for more:
//! then nobody is told what a later coordinator may not know.

use std::collections::VecDeque;

use tidelog_coordinator::Response;
use tokio::sync::oneshot;

/// Where a request's answer goes. Dropped, it tells the request to look for another coordinator.
pub(super) type Ticket = oneshot::Sender<Response>;

/// An answer and whose it is.
pub(super) struct Decided {
    pub ticket: Ticket,
    pub response: Response,
}

impl Decided {
    fn send(self) {
        // Whoever asked may have gone.
        let _ = self.ticket.send(self.response);
    }
}

/// Counts appends; 0 is what was in the log before the coordinator was.
#[derive(Default)]
pub(super) struct Waiting {
    appended: usize,
    /// `None` while not even the log as it was found is known to be committed.
    committed: Option<usize>,
    replies: VecDeque<(usize, Vec<Decided>)>,
}

impl Waiting {
    /// Takes replies that wait for the next append. Returns its number.
    pub(super) fn append(&mut self, replies: Vec<Decided>) -> usize {
        self.appended += 1;
        self.replies.push_back((self.appended, replies));
        self.appended
    }

    /// A reply that came with no records.
    pub(super) fn answer(&mut self, reply: Decided) {
        if self.committed == Some(self.appended) {
            return reply.send();
        }
        match self.replies.back_mut() {
            Some((append, replies)) if *append == self.appended => replies.push(reply),
            _ => self.replies.push_back((self.appended, vec![reply])),
        }
    }

    /// The high watermark has passed everything up to this append.
    pub(super) fn commit(&mut self, append: usize) {
        self.committed = self.committed.max(Some(append));
        while self.replies.front().is_some_and(|(first, _)| *first <= append) {
            let Some((_, replies)) = self.replies.pop_front() else {
                return;
            };
            replies.into_iter().for_each(Decided::send);
        }
    }

    /// Drops all replies: whether their records survive is not known.
    pub(super) fn clear(&mut self) {
        self.replies.clear();
    }
}

#[cfg(test)]
mod tests {
    use tidelog_wire::messages::HeartbeatResponse;
    use tokio::sync::oneshot::Receiver;

    use super::*;

    fn reply() -> (Decided, Receiver<Response>) {
        let (ticket, answer) = oneshot::channel();
        (Decided { ticket, response: Response::Heartbeat(HeartbeatResponse::default()) }, answer)
    }

    #[test]
    fn a_reply_waits_for_its_own_append_and_not_for_later_ones() {
        let mut waiting = Waiting::default();
        let ((first, mut first_answer), (read, mut read_answer), (second, mut second_answer)) =
            (reply(), reply(), reply());
        assert_eq!(waiting.append(vec![first]), 1);
        waiting.answer(read);
        assert_eq!(waiting.append(vec![second]), 2);
        waiting.commit(0);
        assert!(first_answer.try_recv().is_err() && read_answer.try_recv().is_err());
        waiting.commit(1);
        assert!(first_answer.try_recv().is_ok() && read_answer.try_recv().is_ok());
        assert!(second_answer.try_recv().is_err());
        waiting.commit(2);
        assert!(second_answer.try_recv().is_ok());
    }

    #[test]
    fn a_read_is_answered_at_once_only_when_all_there_is_is_committed() {
        let mut waiting = Waiting::default();
        let ((early, mut early_answer), (late, mut late_answer)) = (reply(), reply());
        waiting.answer(early);
        assert!(early_answer.try_recv().is_err(), "the log as it was found is not known to be committed");
        waiting.commit(0);
        assert!(early_answer.try_recv().is_ok());
        waiting.answer(late);
        assert!(late_answer.try_recv().is_ok());
    }
}
