//! The receiving side of Raft: checks whom a request is meant for and hands it to openraft.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::BytesMut;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::raft::{
    AppendEntriesRequest, StreamAppendError, StreamAppendResult, TransferLeaderError, TransferLeaderRequest,
    VoteRequest, VoteResponse,
};
use openraft::storage::{Snapshot, SnapshotMeta};
use openraft::vote::RaftLeaderId;
use tidelog_internal_api::raft as proto;
use tidelog_internal_api::raft::raft_server;
use tokio::sync::watch;
use tonic::{Request, Response, Status, Streaming};

use super::convert::*;
use super::{NodeId, Raft, TypeConfig};
use crate::failover::Sight;
use crate::identity::{ClusterId, cluster_id_from_bytes};

/// A snapshot larger than this is a mistake of the sender.
const SNAPSHOT_BYTES_MAX: u64 = 4 << 30;

/// How long a voter waits for its own connection to the leader to break before it says that it stands.
const MISSED_WITHIN: Duration = Duration::from_millis(150);

/// Serves `tidelog.raft.Raft`.
#[derive(Clone)]
pub(crate) struct RaftService {
    pub(crate) raft: Raft,
    pub(crate) this: NodeId,
    pub(crate) cluster_id: ClusterId,
    pub(crate) sight: watch::Receiver<Sight>,
}

type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl RaftService {
    /// Learns the cluster id from the first leader that knows it: its membership names this very disk.
    fn check(&self, target: Option<proto::Target>) -> Result<(), Status> {
        let cluster_id = target.as_ref().and_then(|target| cluster_id_from_bytes(&target.cluster_id));
        let node = target_node(target)?;
        if node != self.this {
            return Err(Status::failed_precondition(format!("this is node {}, not {node}", self.this)));
        }
        match cluster_id {
            Some(cluster_id) if !self.cluster_id.learn(cluster_id.clone()) => {
                Err(Status::failed_precondition(format!("this node does not belong to cluster {cluster_id}")))
            }
            _ => Ok(()),
        }
    }

    fn vote_request(&self, request: proto::VoteRequest) -> Result<VoteRequest<TypeConfig>, Status> {
        self.check(request.target)?;
        let last_log_id = request.last_log_id.map(log_id_from_proto);
        let mut rpc = VoteRequest::new(vote_from_proto(request.vote)?, last_log_id);
        rpc.leadership_transfer = request.leadership_transfer;
        Ok(rpc)
    }

    fn append_request(&self, request: proto::AppendRequest) -> Result<AppendEntriesRequest<TypeConfig>, Status> {
        self.check(request.target)?;
        Ok(AppendEntriesRequest {
            vote: vote_from_proto(request.vote)?,
            prev_log_id: request.prev_log_id.map(log_id_from_proto),
            entries: request.entries.into_iter().map(entry_from_proto).collect::<Result<_, _>>()?,
            leader_commit: request.leader_commit.map(log_id_from_proto),
        })
    }
}

fn stopped(error: impl std::fmt::Display) -> Status {
    Status::unavailable(format!("this node's Raft has stopped: {error}"))
}

fn append_response(result: StreamAppendResult<TypeConfig>) -> proto::AppendResponse {
    use proto::append_response::Result as Answer;
    let answer = match result {
        Ok(matched) => Answer::Matched(proto::Matched { log_id: matched.as_ref().map(log_id_to_proto) }),
        Err(StreamAppendError::Conflict(log_id)) => Answer::Conflict(log_id_to_proto(&log_id)),
        Err(StreamAppendError::HigherVote(vote)) => Answer::HigherVote(vote_to_proto(&vote)),
    };
    proto::AppendResponse { result: Some(answer) }
}

fn vote_response(response: VoteResponse<TypeConfig>) -> Response<proto::VoteResponse> {
    Response::new(proto::VoteResponse {
        vote: Some(vote_to_proto(&response.vote)),
        granted: response.vote_granted,
        last_log_id: response.last_log_id.as_ref().map(log_id_to_proto),
    })
}

#[tonic::async_trait]
impl raft_server::Raft for RaftService {
    type AppendStream = Responses<proto::AppendResponse>;
    type WatchStream = Responses<proto::WatchResponse>;

    async fn append(
        &self,
        request: Request<Streaming<proto::AppendRequest>>,
    ) -> Result<Response<Self::AppendStream>, Status> {
        let service = self.clone();
        let refused = Arc::new(OnceLock::new());
        let refusal = Arc::clone(&refused);
        // The first request that is not acceptable ends the stream; its reason goes out after the answers to those before it.
        let accepted =
            request.into_inner().map(move |request| request.and_then(|request| service.append_request(request)));
        let accepted = accepted
            .scan((), move |(), request| futures::future::ready(request.map_err(|status| refusal.set(status)).ok()));
        let answers = self.raft.stream_append(accepted).map(|answer| answer.map(append_response).map_err(stopped));
        let reason =
            futures::stream::once(async move { refused.get().cloned() }).filter_map(|status| async { status.map(Err) });
        Ok(Response::new(Box::pin(answers.chain(reason))))
    }

    async fn heartbeat(
        &self,
        request: Request<proto::AppendRequest>,
    ) -> Result<Response<proto::AppendResponse>, Status> {
        let request = self.append_request(request.into_inner())?;
        let matched = request.prev_log_id;
        let response = self.raft.append_entries(request).await.map_err(stopped)?;
        Ok(Response::new(append_response(response.into_stream_result(matched, matched))))
    }

    async fn vote(&self, request: Request<proto::VoteRequest>) -> Result<Response<proto::VoteResponse>, Status> {
        let request = self.vote_request(request.into_inner())?;
        self.raft.vote(request).await.map(vote_response).map_err(stopped)
    }

    async fn pre_vote(&self, request: Request<proto::VoteRequest>) -> Result<Response<proto::VoteResponse>, Status> {
        let request = self.vote_request(request.into_inner())?;
        self.raft.pre_vote(request).await.map(vote_response).map_err(stopped)
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<proto::SnapshotPiece>>,
    ) -> Result<Response<proto::SnapshotResponse>, Status> {
        use proto::snapshot_piece::Part;
        let mut pieces = request.into_inner();
        let Some(proto::SnapshotPiece { part: Some(Part::Head(head)) }) = pieces.message().await? else {
            return Err(Malformed("snapshot head").into());
        };
        self.check(head.target)?;
        let vote = vote_from_proto(head.vote)?;
        let meta = SnapshotMeta {
            last_log_id: head.last_log_id.map(log_id_from_proto),
            last_membership: stored_membership_from_proto(head.last_membership)?,
        };
        if head.size_bytes > SNAPSHOT_BYTES_MAX {
            return Err(Malformed("snapshot size").into());
        }
        let mut file = BytesMut::new();
        while let Some(piece) = pieces.message().await? {
            let Some(Part::Data(data)) = piece.part else { return Err(Malformed("snapshot piece").into()) };
            file.extend_from_slice(&data);
            if file.len() as u64 > head.size_bytes {
                return Err(Malformed("snapshot size").into());
            }
        }
        if file.len() as u64 != head.size_bytes {
            return Err(Status::aborted("the snapshot ended early"));
        }
        let snapshot = Snapshot { meta, snapshot: file.freeze() };
        let response = self.raft.install_full_snapshot(vote, snapshot).await.map_err(stopped)?;
        Ok(Response::new(proto::SnapshotResponse { vote: Some(vote_to_proto(&response.vote)) }))
    }

    async fn transfer_leader(
        &self,
        request: Request<proto::TransferLeaderRequest>,
    ) -> Result<Response<proto::TransferLeaderResponse>, Status> {
        use proto::transfer_leader_response::Result as Answer;
        let request = request.into_inner();
        self.check(request.target)?;
        let from = vote_from_proto(request.from_leader)?;
        let to = node_id_from_proto(request.to)?;
        let transfer = TransferLeaderRequest::new(from, to, request.last_log_id.map(log_id_from_proto));
        let answer = match self.raft.handle_transfer_leader(transfer).await.map_err(stopped)? {
            Ok(()) => Answer::Accepted(proto::Blank {}),
            Err(TransferLeaderError::VoteChanged { actual, .. }) => Answer::VoteChanged(vote_to_proto(&actual)),
            Err(TransferLeaderError::LogNotFlushed { actual, .. }) => {
                Answer::LogNotFlushed(proto::LogNotFlushed { actual: actual.as_ref().map(log_id_to_proto) })
            }
        };
        Ok(Response::new(proto::TransferLeaderResponse { result: Some(answer) }))
    }

    async fn misses(&self, request: Request<proto::MissesRequest>) -> Result<Response<proto::MissesResponse>, Status> {
        let request = request.into_inner();
        self.check(request.target)?;
        let lost = Sight::Lost(node_id_from_proto(request.leader)?, request.term);
        let mut sight = self.sight.clone();
        // The news of one death reach all voters within milliseconds, but not in the same one.
        let misses = tokio::time::timeout(MISSED_WITHIN, sight.wait_for(|sight| *sight == lost)).await;
        Ok(Response::new(proto::MissesResponse { misses: misses.is_ok_and(|seen| seen.is_ok()) }))
    }

    async fn watch(&self, request: Request<proto::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let request = request.into_inner();
        self.check(request.target)?;
        Ok(Response::new(Box::pin(leading_in(self.raft.clone(), request.term))))
    }
}

/// Says once that this node leads in the term, and once that it does not any more.
fn leading_in(raft: Raft, term: u64) -> BoxStream<'static, Result<proto::WatchResponse, Status>> {
    let leads = move |raft: &Raft| {
        let metrics = raft.metrics().borrow_watched().clone();
        metrics.current_leader == Some(metrics.id)
            && metrics.vote.is_committed()
            && *metrics.vote.leader_id().node_id() == metrics.id
            && metrics.current_term == term
    };
    let says = |leading| Ok(proto::WatchResponse { leading });
    if !leads(&raft) {
        return futures::stream::iter([says(false)]).boxed();
    }
    let resigned = async move {
        let mut metrics = raft.server_metrics();
        while leads(&raft) {
            if metrics.changed().await.is_err() {
                return Err(Status::unavailable("this node is stopping"));
            }
        }
        says(false)
    };
    futures::stream::iter([says(true)]).chain(futures::stream::once(resigned)).boxed()
}
