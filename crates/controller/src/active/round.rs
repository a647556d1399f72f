//! One round: the waiting requests, judged in order against one image, as one proposal.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use tidelog_internal_api::metadata as proto;
use tidelog_metadata::config::{Resolver, StaticConfigs};
use tidelog_metadata::{Context, Image, Note, Response, Round, describe_created};
use tidelog_panics::caught;
use tidelog_wire::excerpt;
use tidelog_wire::types::BrokerId;
use tokio::time::Instant;

use super::Answer;
use super::waiting::{Waiting, WaitingRequests, reply};
use crate::codec::{record_to_proto, response_from_proto, response_to_proto};
use crate::limits::{ENTRY_BYTES_MAX, ROUND_BYTES_MAX, ROUND_RECORDS_MAX, ROUND_REQUESTS_MAX, ROUND_TIME_MAX};
use crate::machine::{Applied, encode_batch};
use crate::raft::EncodedBatch;

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
    pub(super) notes: Vec<Note>,
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
            reply(next.answers, &remembered(known, &applied.image, context.static_configs));
            continue;
        }
        match draft.decide(&next, context) {
            Ok(response) => draft.decided.push(Decided { waiting: next, response }),
            Err(reason) => {
                tracing::error!(reason, request = %excerpt(&format!("{:?}", next.request)), "a decision went wrong; its request is refused");
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
    records: Vec<proto::Record>,
    operations: Vec<proto::Operation>,
    /// Of records and operations, encoded.
    bytes: usize,
    decided: Vec<Decided>,
    began: Instant,
}

impl Draft {
    fn new(applied: &Applied) -> Self {
        Self {
            round: Round::new(&applied.image),
            records: Vec::new(),
            operations: Vec::new(),
            bytes: 0,
            decided: Vec::new(),
            began: Instant::now(),
        }
    }

    fn has_room(&self) -> bool {
        self.decided.len() < ROUND_REQUESTS_MAX
            && self.records.len() < ROUND_RECORDS_MAX
            && self.bytes < ROUND_BYTES_MAX
            && self.began.elapsed() < ROUND_TIME_MAX
    }

    /// `Err` spoils the draft.
    fn decide(&mut self, waiting: &Waiting, context: &mut Context<'_>) -> Result<Response, String> {
        let decided = caught(|| self.round.decide(&waiting.request, context));
        let response = decided.ok_or("its decision panicked")?.map_err(|misfit| misfit.to_string())?;
        let decided_before = self.records.len();
        self.records.extend(self.round.records()[decided_before..].iter().map(record_to_proto));
        if self.records.len() > decided_before {
            let encoded = response_to_proto(&response).map_err(|error| error.to_string())?;
            let operation_id = Bytes::copy_from_slice(&waiting.operation);
            let operation = proto::Operation { operation_id, response: Some(encoded) };
            self.bytes += operation.encoded_len();
            self.bytes += self.records[decided_before..].iter().map(Message::encoded_len).sum::<usize>();
            self.operations.push(operation);
        }
        if self.bytes > ENTRY_BYTES_MAX {
            return Err(format!("the decision takes {} bytes, more than an entry of the metadata log", self.bytes));
        }
        Ok(response)
    }

    fn into_proposal(self, last_batch: u64) -> Option<Proposal> {
        let Self { round, records, operations, decided, .. } = self;
        if decided.is_empty() {
            return None;
        }
        let batch = (!records.is_empty()).then(|| encode_batch(last_batch, records, operations));
        Some(Proposal { batch, decided, notes: round.notes().to_vec() })
    }
}

/// The answer that an earlier attempt was given.
fn remembered(known: proto::Response, image: &Image, static_configs: &StaticConfigs) -> Answer {
    match response_from_proto(known) {
        Ok(response) => Answer::Response(completed(response, image, static_configs)),
        Err(error) => Answer::Refused(format!("carried out before, but its answer cannot be read: {error}")),
    }
}

/// With what is left out of answers that are kept.
pub(super) fn completed(mut response: Response, image: &Image, static_configs: &StaticConfigs) -> Response {
    if let Response::CreateTopics(created) = &mut response {
        describe_created(created, &Resolver { image, broker_id: BrokerId::NONE, static_configs });
    }
    response
}
