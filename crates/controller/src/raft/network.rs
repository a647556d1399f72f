//! The sending side of Raft: one [`Network`] per peer and purpose, each on its own connection.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, Stream, StreamExt};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, stream_append_sequential};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendError, StreamAppendResult,
    TransferLeaderError, TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, RaftNetworkFactory, RaftNetworkV2};
use tidelog_internal_api::raft as proto;
use tidelog_internal_api::raft::raft_client::RaftClient;
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::Status;
use tonic::transport::Channel;

use super::convert::*;
use super::{NodeId, RaftNode, TypeConfig, Vote};
use crate::identity::ClusterId;
use crate::limits::MESSAGE_BYTES_MAX;
use crate::machine::{Applied, MachineSnapshot};
use crate::net::{Dialer, Peer};

/// An append that is not answered by then breaks its stream; openraft opens another.
const APPEND_WAIT_MAX: Duration = Duration::from_secs(2);
const SNAPSHOT_PIECE_BYTES: usize = 256 << 10;

type Rpc<T> = Result<T, RPCError<TypeConfig>>;

/// Makes the senders for openraft.
#[derive(Clone)]
pub(crate) struct NetworkFactory {
    pub(crate) dialer: Dialer,
    pub(crate) cluster_id: ClusterId,
    pub(crate) applied: watch::Receiver<Arc<Applied>>,
}

impl NetworkFactory {
    fn network(&self, target: NodeId, node: &RaftNode, purpose: Purpose) -> Network {
        let place = Place { target, first: node.clone(), applied: self.applied.clone() };
        let asked = place.clone();
        Network {
            client: raft_client(self.dialer.channel_to(move || asked.now())),
            dialer: self.dialer.clone(),
            place,
            target,
            cluster_id: self.cluster_id.clone(),
            purpose,
        }
    }
}

pub(crate) fn raft_client(channel: Channel) -> RaftClient<Channel> {
    RaftClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX).max_encoding_message_size(MESSAGE_BYTES_MAX)
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Log,
    Heartbeat,
    Snapshot,
}

impl RaftNetworkFactory<TypeConfig> for NetworkFactory {
    type Network = Network;

    async fn new_client(&mut self, target: NodeId, node: &RaftNode) -> Network {
        self.network(target, node, Purpose::Log)
    }

    async fn new_heartbeat_client(&mut self, target: NodeId, node: &RaftNode) -> Network {
        self.network(target, node, Purpose::Heartbeat)
    }

    async fn new_snapshot_client(&mut self, target: NodeId, node: &RaftNode) -> Network {
        self.network(target, node, Purpose::Snapshot)
    }
}

/// Sends to one node over one connection.
pub(crate) struct Network {
    client: RaftClient<Channel>,
    dialer: Dialer,
    place: Place,
    target: NodeId,
    cluster_id: ClusterId,
    purpose: Purpose,
}

/// Where a node is: openraft keeps a sender for as long as somebody leads, and the node may come back elsewhere meanwhile.
#[derive(Clone)]
struct Place {
    target: NodeId,
    /// As openraft named it, until a membership that names it is applied.
    first: RaftNode,
    applied: watch::Receiver<Arc<Applied>>,
}

impl Place {
    fn now(&self) -> Peer {
        let applied = self.applied.borrow();
        let node = applied.membership.get_node(&self.target).unwrap_or(&self.first);
        Peer { host: node.host.clone(), port: node.port }
    }
}

impl Network {
    fn target(&self) -> Option<proto::Target> {
        Some(self.cluster_id.target(&self.target))
    }

    /// Votes must not wait behind entries.
    fn voting(&self) -> RaftClient<Channel> {
        raft_client(self.dialer.brief_channel(&self.place.now()))
    }

    fn vote_request(&self, rpc: VoteRequest<TypeConfig>) -> proto::VoteRequest {
        proto::VoteRequest {
            target: self.target(),
            vote: Some(vote_to_proto(&rpc.vote)),
            last_log_id: rpc.last_log_id.as_ref().map(log_id_to_proto),
            leadership_transfer: rpc.leadership_transfer,
        }
    }
}

fn append_to_proto(target: Option<proto::Target>, rpc: AppendEntriesRequest<TypeConfig>) -> proto::AppendRequest {
    proto::AppendRequest {
        target,
        vote: Some(vote_to_proto(&rpc.vote)),
        prev_log_id: rpc.prev_log_id.as_ref().map(log_id_to_proto),
        entries: rpc.entries.iter().map(entry_to_proto).collect(),
        leader_commit: rpc.leader_commit.as_ref().map(log_id_to_proto),
    }
}

fn append_result(response: proto::AppendResponse) -> Rpc<StreamAppendResult<TypeConfig>> {
    use proto::append_response::Result as Answer;
    match response.result.ok_or_else(|| malformed(Malformed("append response")))? {
        Answer::Matched(matched) => Ok(Ok(matched.log_id.map(log_id_from_proto))),
        Answer::Conflict(log_id) => Ok(Err(StreamAppendError::Conflict(log_id_from_proto(log_id)))),
        Answer::HigherVote(vote) => {
            Ok(Err(StreamAppendError::HigherVote(vote_from_proto(Some(vote)).map_err(malformed)?)))
        }
    }
}

fn vote_response(response: proto::VoteResponse) -> Rpc<VoteResponse<TypeConfig>> {
    let vote = vote_from_proto(response.vote).map_err(malformed)?;
    Ok(VoteResponse::new(vote, response.last_log_id.map(log_id_from_proto), response.granted))
}

fn malformed(malformed: Malformed) -> RPCError<TypeConfig> {
    RPCError::Network(NetworkError::new(&malformed))
}

/// A status of whatever kind means that nothing is known about the peer: openraft waits before it tries again.
fn unreachable(status: Status) -> RPCError<TypeConfig> {
    RPCError::Unreachable(Unreachable::from_string(format!("{}: {}", status.code(), status.message())))
}

async fn within<T>(deadline: Duration, call: impl Future<Output = Result<tonic::Response<T>, Status>>) -> Rpc<T> {
    match tokio::time::timeout(deadline, call).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(unreachable(status)),
        Err(_) => Err(RPCError::Unreachable(Unreachable::from_string(format!("no answer within {deadline:?}")))),
    }
}

impl RaftNetworkV2<TypeConfig> for Network {
    type SnapshotData = Bytes;

    /// One append without entries: openraft's heartbeat.
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Rpc<AppendEntriesResponse<TypeConfig>> {
        let request = append_to_proto(self.target(), rpc);
        let response = within(option.hard_ttl(), self.client.heartbeat(request)).await?;
        append_result(response).map(AppendEntriesResponse::from)
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, Rpc<BoxStream<'s, Rpc<StreamAppendResult<TypeConfig>>>>>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
    {
        if self.purpose == Purpose::Heartbeat {
            return stream_append_sequential(self, input, option);
        }
        let sent = Sent::default();
        let (target, noted) = (self.target(), sent.clone());
        let mut requests = input.map(move |request| {
            noted.note(Instant::now());
            append_to_proto(target.clone(), request)
        });
        async move {
            // openraft's pause after a failure is in its first request: without waiting for that before
            // dialling, a dead peer would be dialled in a tight loop.
            let Some(first) = requests.next().await else { return Ok(futures::stream::empty().boxed()) };
            let requests = futures::stream::iter([first]).chain(requests);
            let responses = within(APPEND_WAIT_MAX, self.client.append(requests)).await?;
            Ok(answers(responses, sent).boxed())
        }
        .boxed()
    }

    async fn vote(&mut self, rpc: VoteRequest<TypeConfig>, option: RPCOption) -> Rpc<VoteResponse<TypeConfig>> {
        let request = self.vote_request(rpc);
        vote_response(within(option.hard_ttl(), self.voting().vote(request)).await?)
    }

    async fn pre_vote(&mut self, rpc: VoteRequest<TypeConfig>, option: RPCOption) -> Rpc<VoteResponse<TypeConfig>> {
        let request = self.vote_request(rpc);
        vote_response(within(option.hard_ttl(), self.voting().pre_vote(request)).await?)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: MachineSnapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let head = proto::SnapshotHead {
            target: self.target(),
            vote: Some(vote_to_proto(&vote)),
            last_log_id: snapshot.meta.last_log_id.as_ref().map(log_id_to_proto),
            last_membership: Some(stored_membership_to_proto(&snapshot.meta.last_membership)),
            size_bytes: snapshot.snapshot.len() as u64,
        };
        let call = self.client.install_snapshot(snapshot_pieces(head, snapshot.snapshot));
        tokio::select! {
            closed = cancel => Err(closed.into()),
            response = within(option.hard_ttl(), call) => {
                let vote = vote_from_proto(response?.vote).map_err(malformed)?;
                Ok(SnapshotResponse::new(vote))
            }
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Rpc<TransferLeaderResponse<TypeConfig>> {
        use proto::transfer_leader_response::Result as Answer;
        let message = proto::TransferLeaderRequest {
            target: self.target(),
            from_leader: Some(vote_to_proto(request.from_leader())),
            to: Some(node_id_to_proto(request.to_node_id())),
            last_log_id: request.last_log_id().map(log_id_to_proto),
        };
        // The new leader waits for its own log before it answers.
        let deadline = option.hard_ttl().max(APPEND_WAIT_MAX);
        let response = within(deadline, self.client.transfer_leader(message)).await?;
        match response.result.ok_or_else(|| malformed(Malformed("transfer response")))? {
            Answer::Accepted(_) => Ok(Ok(())),
            Answer::VoteChanged(vote) => Ok(Err(TransferLeaderError::VoteChanged {
                expected: *request.from_leader(),
                actual: vote_from_proto(Some(vote)).map_err(malformed)?,
            })),
            Answer::LogNotFlushed(behind) => Ok(Err(TransferLeaderError::LogNotFlushed {
                expected: request.last_log_id().copied(),
                actual: behind.actual.map(log_id_from_proto),
            })),
        }
    }
}

fn snapshot_pieces(
    head: proto::SnapshotHead,
    file: Bytes,
) -> impl Stream<Item = proto::SnapshotPiece> + Send + 'static {
    use proto::snapshot_piece::Part;
    let pieces = (0..file.len())
        .step_by(SNAPSHOT_PIECE_BYTES)
        .map(move |start| Part::Data(file.slice(start..file.len().min(start + SNAPSHOT_PIECE_BYTES))));
    let parts = std::iter::once(Part::Head(head)).chain(pieces);
    futures::stream::iter(parts.map(|part| proto::SnapshotPiece { part: Some(part) }))
}

/// When each append went out that is not answered yet, oldest first.
#[derive(Clone, Default)]
struct Sent(Arc<Mutex<VecDeque<Instant>>>);

impl Sent {
    fn note(&self, now: Instant) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(now);
    }

    fn answered(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    }

    fn oldest(&self) -> Option<Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).front().copied()
    }
}

/// The answers as they come. Ends with an error when the stream breaks or an answer is overdue.
fn answers(
    responses: tonic::Streaming<proto::AppendResponse>,
    sent: Sent,
) -> impl Stream<Item = Rpc<StreamAppendResult<TypeConfig>>> + Send {
    futures::stream::unfold(Some((responses, sent)), |open| async move {
        let (mut responses, sent) = open?;
        let answer = next_answer(&mut responses, &sent).await?;
        sent.answered();
        let goes_on = matches!(answer, Ok(Ok(_)));
        Some((answer, goes_on.then_some((responses, sent))))
    })
}

/// `None` when the peer ended the stream.
async fn next_answer(
    responses: &mut tonic::Streaming<proto::AppendResponse>,
    sent: &Sent,
) -> Option<Rpc<StreamAppendResult<TypeConfig>>> {
    loop {
        let overdue = sent.oldest().unwrap_or_else(Instant::now) + APPEND_WAIT_MAX;
        // Dropping `message` on timeout loses nothing: what arrived stays in the stream.
        match tokio::time::timeout_at(overdue, responses.message()).await {
            Ok(Ok(Some(response))) => return Some(append_result(response)),
            Ok(Ok(None)) => return None,
            Ok(Err(status)) => return Some(Err(unreachable(status))),
            Err(_) if sent.oldest().is_some_and(|oldest| oldest.elapsed() >= APPEND_WAIT_MAX) => {
                return Some(Err(unreachable(Status::deadline_exceeded("an append was not answered"))));
            }
            Err(_) => {}
        }
    }
}
