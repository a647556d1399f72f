//! Finds the active controller and puts questions to it, again and again until it answers.
//!
//! Where to look: this node itself, then whoever the last answer pointed to, then the leader Raft knows,
//! then the configured voters in turn.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use openraft::async_runtime::watch::WatchReceiver;
use prost::Message;
use rand::RngCore;
use tidelog_internal_api::controller as proto;
use tidelog_internal_api::controller::controller_client::ControllerClient;
use tidelog_internal_api::formation::Redirect;
use tidelog_internal_api::{metadata as metadata_proto, raft as raft_proto};
use tidelog_metadata::{Request, Response};
use tokio::time::Instant;
use tonic::transport::Channel;

use crate::active::Answer;
use crate::codec::{request_to_proto, response_from_proto};
use crate::handle::SubmitError;
use crate::limits::{MESSAGE_BYTES_MAX, REQUEST_BYTES_MAX};
use crate::machine::OperationId;
use crate::net::Peer;
use crate::quorum::{Quorum, QuorumError, QuorumReplica};
use crate::raft::node_from_proto;
use crate::shared::Shared;

/// A remote controller that says nothing for so long may be cut off; somebody else is asked.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(2);
/// Without a leader, wait this long for news before asking around again.
const RETRY: Duration = Duration::from_millis(20);
const QUORUM_WAIT_MAX: Duration = Duration::from_secs(5);

/// Carries requests to the active controller. Clones share connections.
#[derive(Clone)]
pub(crate) struct Forwarder {
    shared: Shared,
    channels: Arc<Mutex<HashMap<Peer, Channel>>>,
}

/// What one attempt brought.
enum Attempt<T> {
    Done(T),
    Elsewhere(Option<Peer>),
    /// Nothing is known; the reason is for people.
    Failed(String),
}

impl Forwarder {
    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared, channels: Arc::default() }
    }

    pub(crate) async fn submit(&self, request: Request) -> Result<Response, SubmitError> {
        let mut operation = OperationId::default();
        rand::rng().fill_bytes(&mut operation);
        let encoded = request_to_proto(&request).map_err(|error| SubmitError::Refused(error.to_string()))?;
        let encoded = Bytes::from(encoded.encode_to_vec());
        if request.is_kafkas() && encoded.len() > REQUEST_BYTES_MAX {
            return Err(SubmitError::TooLarge { bytes: encoded.len() });
        }
        let timeout = self.shared.timing.submit;
        let attempt = |peer: Option<Peer>| self.attempt_submit(operation, &request, encoded.clone(), peer);
        match self.until_done(timeout, attempt).await {
            Ok(answer) => answer.map_err(SubmitError::Refused),
            Err(last) => Err(SubmitError::TimedOut { waited_ms: timeout.as_millis() as u64, last }),
        }
    }

    pub(crate) async fn quorum(&self) -> Result<Quorum, QuorumError> {
        let described = self.until_done(QUORUM_WAIT_MAX, |peer| self.attempt_quorum(peer)).await;
        described.map(quorum_from_proto).map_err(QuorumError)
    }

    /// Tries one place after the other until one gives an answer or the time is up; then the last failure.
    async fn until_done<T, F, A>(&self, timeout: Duration, mut attempt: A) -> Result<T, String>
    where
        A: FnMut(Option<Peer>) -> F,
        F: Future<Output = Attempt<T>>,
    {
        let give_up = Instant::now() + timeout;
        let mut last = "no active controller is known".to_owned();
        let mut hint = None;
        let mut turn = 0;
        let mut metrics = self.shared.raft.server_metrics();
        while Instant::now() < give_up {
            let place = self.place(hint.take(), turn);
            turn += 1;
            match tokio::time::timeout_at(give_up, attempt(place)).await {
                Ok(Attempt::Done(done)) => return Ok(done),
                Ok(Attempt::Elsewhere(Some(peer))) if turn % 8 != 0 => {
                    hint = Some(peer);
                    continue;
                }
                Ok(Attempt::Elsewhere(_)) => {}
                Ok(Attempt::Failed(reason)) => last = reason,
                Err(_) => break,
            }
            if let Ok(Err(_)) = tokio::time::timeout(RETRY, metrics.changed()).await {
                return Err("this node's Raft has stopped".into());
            }
        }
        Err(last)
    }

    /// `None` is this node itself.
    fn place(&self, hint: Option<Peer>, turn: usize) -> Option<Peer> {
        if self.shared.active.borrow().is_some() {
            return None;
        }
        let leader = || self.shared.leader().filter(|(id, _)| *id != self.shared.this);
        let leader = || leader().map(|(id, node)| self.shared.peer(&id, &node));
        let voters: Vec<_> = self.shared.voters.iter().filter(|voter| voter.node_id != self.shared.this.id).collect();
        let in_turn = || {
            voters.get(turn / 2 % voters.len().max(1)).map(|voter| Peer { host: voter.host.clone(), port: voter.port })
        };
        // Raft's own idea of the leader may be old; every other time somebody else is asked.
        hint.or_else(|| if turn.is_multiple_of(2) { leader().or_else(in_turn) } else { in_turn() })
    }

    async fn attempt_submit(
        &self,
        operation: OperationId,
        request: &Request,
        encoded: Bytes,
        peer: Option<Peer>,
    ) -> Attempt<Result<Response, String>> {
        use proto::submit_response::Result as Outcome;
        let Some(peer) = peer else { return self.decide_here(operation, request, encoded.len()).await };
        let message = proto::SubmitRequest {
            target: self.target(),
            operation_id: Bytes::copy_from_slice(&operation),
            request: encoded,
        };
        let mut client = self.client(&peer);
        match within(client.submit(message)).await.map(|response| response.result) {
            Ok(Some(Outcome::Response(bytes))) => Attempt::Done(decode(bytes)),
            Ok(Some(Outcome::Redirect(redirect))) => Attempt::Elsewhere(self.redirected(redirect)),
            Ok(Some(Outcome::Refused(reason))) => Attempt::Done(Err(reason)),
            Ok(Some(Outcome::Unknown(reason))) => Attempt::Failed(reason),
            Ok(None) => Attempt::Failed(format!("{peer} gave an empty answer")),
            Err(reason) => Attempt::Failed(format!("{peer}: {reason}")),
        }
    }

    async fn decide_here(
        &self,
        operation: OperationId,
        request: &Request,
        bytes: usize,
    ) -> Attempt<Result<Response, String>> {
        let active = self.shared.active.borrow().clone();
        let Some(active) = active else { return Attempt::Elsewhere(None) };
        match active.decide(operation, request.clone(), bytes).await {
            Answer::Response(response) => Attempt::Done(Ok(response)),
            Answer::NotActive => Attempt::Elsewhere(None),
            Answer::Refused(reason) => Attempt::Done(Err(reason)),
            Answer::Unknown(reason) => Attempt::Failed(reason),
        }
    }

    async fn attempt_quorum(&self, peer: Option<Peer>) -> Attempt<proto::Quorum> {
        use proto::describe_quorum_response::Result as Outcome;
        let Some(peer) = peer else {
            return match self.shared.active.borrow().is_some() {
                true => Attempt::Done(crate::active::describe(&self.shared.metrics(), &self.shared.caught_up)),
                false => Attempt::Elsewhere(None),
            };
        };
        let mut client = self.client(&peer);
        let message = proto::DescribeQuorumRequest { target: self.target() };
        match within(client.describe_quorum(message)).await.map(|response| response.result) {
            Ok(Some(Outcome::Quorum(quorum))) => Attempt::Done(quorum),
            Ok(Some(Outcome::Redirect(redirect))) => Attempt::Elsewhere(self.redirected(redirect)),
            Ok(None) => Attempt::Failed(format!("{peer} gave an empty answer")),
            Err(reason) => Attempt::Failed(format!("{peer}: {reason}")),
        }
    }

    /// Names the cluster; the node asked need not be any particular one.
    fn target(&self) -> Option<raft_proto::Target> {
        Some(raft_proto::Target { cluster_id: self.shared.cluster_id.to_bytes(), node: None })
    }

    fn redirected(&self, redirect: Redirect) -> Option<Peer> {
        let (id, node) = node_from_proto(redirect.active?).ok()?;
        Some(self.shared.peer(&id, &node))
    }

    fn client(&self, peer: &Peer) -> ControllerClient<Channel> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let channel = channels.entry(peer.clone()).or_insert_with(|| self.shared.dialer.channel(peer));
        ControllerClient::new(channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }
}

async fn within<T>(call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>) -> Result<T, String> {
    match tokio::time::timeout(ANSWER_WAIT_MAX, call).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(status.message().to_owned()),
        Err(_) => Err(format!("no answer within {ANSWER_WAIT_MAX:?}")),
    }
}

fn decode(response: Bytes) -> Result<Response, String> {
    let response = metadata_proto::Response::decode(response).map_err(|error| error.to_string())?;
    response_from_proto(response).map_err(|error| error.to_string())
}

fn quorum_from_proto(quorum: proto::Quorum) -> Quorum {
    let replica = |replica: proto::Replica| {
        let (id, node) = node_from_proto(replica.node?).ok()?;
        Some(QuorumReplica {
            node_id: id.id,
            directory_id: id.directory,
            host: node.host,
            port: node.port,
            log_end_offset: replica.log_end_offset,
            last_fetch_timestamp_ms: replica.last_fetch_timestamp_ms,
            last_caught_up_timestamp_ms: replica.last_caught_up_timestamp_ms,
        })
    };
    Quorum {
        leader_id: quorum.leader.map_or(-1, |leader| leader.node_id),
        leader_epoch: quorum.leader_epoch as i32,
        high_watermark: quorum.high_watermark,
        voters: quorum.voters.into_iter().filter_map(replica).collect(),
        observers: quorum.observers.into_iter().filter_map(replica).collect(),
    }
}
