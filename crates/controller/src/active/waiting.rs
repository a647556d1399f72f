//! Requests that wait for the active controller's next round.

use std::collections::VecDeque;

use tidelog_metadata::Request;
use tokio::sync::oneshot;

use super::Answer;
use super::round::Decided;
use crate::limits::{WAITING_BYTES_MAX, WAITING_MAX};
use crate::machine::OperationId;

const TOO_MANY: &str = "too many requests wait for the active controller, which may have lost its quorum";

/// A request that is not decided yet. Retries that arrive meanwhile wait with it.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) operation: OperationId,
    pub(super) request: Request,
    /// 0 of the controller's own.
    pub(super) bytes: usize,
    pub(super) answers: Vec<oneshot::Sender<Answer>>,
}

/// Requests in order of arrival, each operation once.
#[derive(Debug, Default)]
pub(super) struct WaitingRequests {
    order: VecDeque<Waiting>,
    bytes: usize,
}

impl WaitingRequests {
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(super) fn next(&mut self) -> Option<Waiting> {
        let next = self.order.pop_front()?;
        self.bytes -= next.bytes;
        Some(next)
    }

    /// Of the controller itself. Never refused: fencing must not wait.
    pub(super) fn add_own(&mut self, operation: OperationId, request: Request) {
        self.order.push_back(Waiting { operation, request, bytes: 0, answers: Vec::new() });
    }

    /// Of somebody who waits for the answer.
    pub(super) fn add(&mut self, waiting: Waiting) {
        if let Some(earlier) = self.order.iter_mut().find(|earlier| earlier.operation == waiting.operation) {
            earlier.answers.retain(|answer| !answer.is_closed());
            earlier.answers.extend(waiting.answers);
        } else if self.is_full() {
            reply(waiting.answers, &Answer::Unknown(TOO_MANY.to_owned()));
        } else {
            self.bytes += waiting.bytes;
            self.order.push_back(waiting);
        }
    }

    /// Those who have given up wait no more; the controller's own requests are few.
    fn is_full(&mut self) -> bool {
        if self.has_no_room() {
            let is_wanted = |waiting: &Waiting| {
                waiting.answers.is_empty() || waiting.answers.iter().any(|answer| !answer.is_closed())
            };
            self.order.retain(is_wanted);
            self.bytes = self.order.iter().map(|waiting| waiting.bytes).sum();
        }
        self.has_no_room()
    }

    fn has_no_room(&self) -> bool {
        self.order.len() >= WAITING_MAX || self.bytes >= WAITING_BYTES_MAX
    }

    /// Puts a round's requests back to the front: it was overtaken and must be decided again.
    pub(super) fn put_back(&mut self, round: Vec<Decided>) {
        for decided in round.into_iter().rev() {
            self.bytes += decided.waiting.bytes;
            self.order.push_front(decided.waiting);
        }
    }
}

pub(super) fn reply(answers: Vec<oneshot::Sender<Answer>>, answer: &Answer) {
    for sender in answers {
        // Whoever asked may have given up.
        let _ = sender.send(answer.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(number: usize) -> OperationId {
        let mut id = OperationId::default();
        id[..8].copy_from_slice(&number.to_be_bytes());
        id
    }

    fn asked(number: usize, bytes: usize, answer: oneshot::Sender<Answer>) -> Waiting {
        Waiting { operation: operation(number), request: Request::BalanceLeaders, bytes, answers: vec![answer] }
    }

    #[test]
    fn no_more_bytes_wait_than_can_be_kept() {
        let mut waiting = WaitingRequests::default();
        let mut ask = |number| {
            let (answer, answered) = oneshot::channel();
            waiting.add(asked(number, WAITING_BYTES_MAX / 2, answer));
            answered
        };
        let (_first, mut second, mut third) = (ask(0), ask(1), ask(2));
        assert!(second.try_recv().is_err() && third.try_recv().is_ok());
        assert!(waiting.next().is_some());
        let (answer, mut fourth) = oneshot::channel();
        waiting.add(asked(3, WAITING_BYTES_MAX / 2, answer));
        assert!(fourth.try_recv().is_err(), "there is room again");
    }

    #[test]
    fn no_more_requests_wait_than_can_be_kept() {
        let mut waiting = WaitingRequests::default();
        let mut ask = |number| {
            let (answer, answered) = oneshot::channel();
            waiting.add(asked(number, 0, answer));
            answered
        };
        let mut askers: Vec<_> = (0..WAITING_MAX).map(&mut ask).collect();
        let mut refused = ask(WAITING_MAX);
        assert!(matches!(refused.try_recv(), Ok(Answer::Unknown(_))), "it may be on its way from an earlier attempt");
        let mut again = ask(0);
        assert!(again.try_recv().is_err(), "a retry waits with the first attempt");
        drop(askers.pop());
        let mut next = ask(WAITING_MAX);
        assert!(next.try_recv().is_err(), "it has the place of one that has given up");
        assert!(ask(WAITING_MAX + 1).try_recv().is_ok());
        assert_eq!(waiting.order.len(), WAITING_MAX);
        waiting.add_own(operation(usize::MAX), Request::BalanceLeaders);
        assert_eq!(waiting.order.len(), WAITING_MAX + 1, "fencing must not be refused");
    }
}
