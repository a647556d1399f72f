//! One round: the waiting requests, judged in order against one image, as one proposal.

use std::sync::Arc;

use bytes::Bytes;
use tidelog_internal_api::metadata as proto;
use tidelog_metadata::{Context, Response, Round};
use tidelog_panics::caught;

use super::Answer;
use super::waiting::{Waiting, WaitingRequests, reply};
use crate::codec::{response_from_proto, response_to_proto};
use crate::machine::{Applied, encode_batch};
use crate::raft::EncodedBatch;

const REQUESTS_MAX: usize = 256;
/// A round stops taking requests beyond this; one request may exceed it.
const RECORDS_MAX: usize = 10_000;

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
    let mut draft = Draft::new(applied);
    while draft.has_room() {
        let Some(next) = waiting.next() else { break };
        if let Some(known) = applied.operations.response(&next.operation) {
            reply(next.answers, &remembered(known));
            continue;
        }
        match draft.decide(&next, context) {
            Ok(response) => draft.decided.push(Decided { waiting: next, response }),
            Err(reason) => {
                tracing::error!(reason, request = ?next.request, "a decision went wrong; its request is refused");
                reply(next.answers, &Answer::Refused(reason));
                // What this one left in the draft cannot be told from the rest, so the rest is decided again.
                waiting.put_back(draft.decided);
                draft = Draft::new(applied);
            }
        }
    }
    draft.into_proposal(applied.last_batch)
}

/// A round in the making.
struct Draft {
    round: Round,
    operations: Vec<proto::Operation>,
    decided: Vec<Decided>,
}

impl Draft {
    fn new(applied: &Applied) -> Self {
        Self { round: Round::new(&applied.image), operations: Vec::new(), decided: Vec::new() }
    }

    fn has_room(&self) -> bool {
        self.decided.len() < REQUESTS_MAX && self.round.records().len() < RECORDS_MAX
    }

    /// `Err` spoils the draft.
    fn decide(&mut self, waiting: &Waiting, context: &mut Context<'_>) -> Result<Response, String> {
        let records_before = self.round.records().len();
        let decided = caught(|| self.round.decide(&waiting.request, context));
        let response = decided.ok_or("its decision panicked")?.map_err(|misfit| misfit.to_string())?;
        if self.round.records().len() > records_before {
            let encoded = response_to_proto(&response).map_err(|error| error.to_string())?;
            let operation_id = Bytes::copy_from_slice(&waiting.operation);
            self.operations.push(proto::Operation { operation_id, response: Some(encoded) });
        }
        Ok(response)
    }

    fn into_proposal(self, last_batch: u64) -> Option<Proposal> {
        let Self { round, operations, decided } = self;
        if decided.is_empty() {
            return None;
        }
        let records = round.records();
        let batch = (!records.is_empty()).then(|| encode_batch(last_batch, records, operations));
        Some(Proposal { batch, decided })
    }
}

/// The answer that an earlier attempt was given.
fn remembered(known: &proto::Response) -> Answer {
    match response_from_proto(known.clone()) {
        Ok(response) => Answer::Response(response),
        Err(error) => Answer::Refused(format!("carried out before, but its answer cannot be read: {error}")),
    }
}
