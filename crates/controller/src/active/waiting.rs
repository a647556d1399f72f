//! Requests that wait for the active controller's next round.

use std::collections::VecDeque;

use tidelog_metadata::Request;
use tokio::sync::oneshot;

use super::Answer;
use super::round::Decided;
use crate::machine::OperationId;

/// Requests that others wait for. So many gather only while no quorum accepts a round.
const WAITING_MAX: usize = 4096;

const TOO_MANY: &str = "too many requests wait for the active controller, which may have lost its quorum";

/// A request that is not decided yet. Retries that arrive meanwhile wait with it.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) operation: OperationId,
    pub(super) request: Request,
    pub(super) answers: Vec<oneshot::Sender<Answer>>,
}

/// Requests in order of arrival, each operation once.
#[derive(Debug, Default)]
pub(super) struct WaitingRequests {
    order: VecDeque<Waiting>,
}

impl WaitingRequests {
    pub(super) fn next(&mut self) -> Option<Waiting> {
        self.order.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(super) fn add(&mut self, operation: OperationId, request: Request, answer: Option<oneshot::Sender<Answer>>) {
        if let Some(waiting) = self.order.iter_mut().find(|waiting| waiting.operation == operation) {
            waiting.answers.retain(|earlier| !earlier.is_closed());
            waiting.answers.extend(answer);
            return;
        }
        match answer {
            Some(answer) if self.is_full() => reply(vec![answer], &Answer::Unknown(TOO_MANY.to_owned())),
            answer => self.order.push_back(Waiting { operation, request, answers: answer.into_iter().collect() }),
        }
    }

    /// Whoever has given up waits no more; the controller's own requests are few.
    fn is_full(&mut self) -> bool {
        if self.order.len() >= WAITING_MAX {
            let is_wanted = |waiting: &Waiting| {
                waiting.answers.is_empty() || waiting.answers.iter().any(|answer| !answer.is_closed())
            };
            self.order.retain(is_wanted);
        }
        self.order.len() >= WAITING_MAX
    }

    /// Puts a round's requests back to the front: it was overtaken and must be decided again.
    pub(super) fn put_back(&mut self, round: Vec<Decided>) {
        for decided in round.into_iter().rev() {
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

    #[test]
    fn no_more_requests_wait_than_can_be_kept() {
        let mut waiting = WaitingRequests::default();
        let mut ask = |number| {
            let (answer, answered) = oneshot::channel();
            waiting.add(operation(number), Request::BalanceLeaders, Some(answer));
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
        waiting.add(operation(usize::MAX), Request::BalanceLeaders, None);
        assert_eq!(waiting.order.len(), WAITING_MAX + 1, "fencing must not be refused");
    }
}
