//! One round: the waiting requests, judged in order against one image, as one proposal.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tidelog_internal_api::metadata as proto;
use tidelog_metadata::{Context, Request, Response, Round};
use tokio::sync::oneshot;

use super::Answer;
use crate::codec::response_to_proto;
use crate::machine::{Applied, OperationId, encode_batch};
use crate::raft::EncodedBatch;

const REQUESTS_MAX: usize = 256;
/// A round stops taking requests beyond this; one request may exceed it.
const RECORDS_MAX: usize = 10_000;

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
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(super) fn add(&mut self, operation: OperationId, request: Request, answer: Option<oneshot::Sender<Answer>>) {
        match self.order.iter_mut().find(|waiting| waiting.operation == operation) {
            Some(waiting) => waiting.answers.extend(answer),
            None => self.order.push_back(Waiting { operation, request, answers: answer.into_iter().collect() }),
        }
    }

    /// Puts a round's requests back to the front: it was overtaken and must be decided again.
    pub(super) fn put_back(&mut self, round: Vec<Decided>) {
        for decided in round.into_iter().rev() {
            self.order.push_front(decided.waiting);
        }
    }
}

/// A request with its answer, which must not be given before the round is applied.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) waiting: Waiting,
    pub(super) response: Response,
}

/// A round ready to be proposed.
#[derive(Debug)]
pub(super) struct Proposal {
    /// `None` if nothing changes: the answers only need the image to be the newest.
    pub(super) batch: Option<EncodedBatch>,
    pub(super) decided: Vec<Decided>,
}

/// Decides as many waiting requests as fit into a round. Those answered before are answered again at once.
pub(super) fn decide_round(
    waiting: &mut WaitingRequests,
    applied: &Arc<Applied>,
    context: &mut Context<'_>,
) -> Option<Proposal> {
    let mut round = Round::new(&applied.image);
    let mut decided: Vec<Decided> = Vec::new();
    let mut operations = Vec::new();
    while decided.len() < REQUESTS_MAX && round.record_count() < RECORDS_MAX {
        let Some(next) = waiting.order.pop_front() else { break };
        if let Some(known) = applied.operations.response(&next.operation) {
            reply(next.answers, &Answer::Response(known.clone()));
            continue;
        }
        let records_before = round.record_count();
        let response = round.decide(&next.request, context);
        if round.record_count() > records_before {
            operations.push(proto::Operation {
                operation_id: Bytes::copy_from_slice(&next.operation),
                response: Some(response_to_proto(&response)),
            });
        }
        decided.push(Decided { waiting: next, response });
    }
    if decided.is_empty() {
        return None;
    }
    let records = round.into_records();
    let batch = (!records.is_empty()).then(|| encode_batch(applied.last_batch, &records, operations));
    Some(Proposal { batch, decided })
}

pub(super) fn reply(answers: Vec<oneshot::Sender<Answer>>, answer: &Answer) {
    for sender in answers {
        // Whoever asked may have given up.
        let _ = sender.send(answer.clone());
    }
}
