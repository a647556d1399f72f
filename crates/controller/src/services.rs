//! The gRPC services that are not Raft's own: formation, and what brokers ask of the active controller.

use std::pin::Pin;

use futures::Stream;
use tidelog_internal_api::controller as proto;
use tidelog_internal_api::controller::controller_server;
use tidelog_internal_api::formation as formation_proto;
use tidelog_internal_api::formation::formation_server;
use tidelog_internal_api::raft as raft_proto;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::active::{self, ActiveQueue, Answer, Join};
use crate::codec::{request_from_proto, response_to_proto};
use crate::identity::cluster_id_from_bytes;
use crate::limits::REQUEST_BYTES_MAX;
use crate::machine::OperationId;
use crate::raft::{node_from_proto, node_to_proto};
use crate::shared::Shared;

/// Serves `tidelog.formation.Formation` and `tidelog.controller.Controller`.
#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) shared: Shared,
}

impl Services {
    fn active(&self) -> Option<ActiveQueue> {
        self.shared.active.borrow().clone()
    }

    /// Whom to ask instead. Not this node: it would have been active.
    fn redirect(&self) -> formation_proto::Redirect {
        let leader = self.shared.leader().filter(|(id, _)| *id != self.shared.this);
        formation_proto::Redirect { active: leader.map(|(id, node)| node_to_proto(&id, &node)) }
    }

    /// Only the cluster matters here: any node may be asked for the way.
    fn check_cluster(&self, target: Option<raft_proto::Target>) -> Result<(), Status> {
        let asked = target.and_then(|target| cluster_id_from_bytes(&target.cluster_id));
        match (asked, self.shared.cluster_id.get()) {
            (Some(asked), Some(ours)) if asked != ours => {
                Err(Status::failed_precondition(format!("this is cluster {ours}, not {asked}")))
            }
            _ => Ok(()),
        }
    }
}

#[tonic::async_trait]
impl formation_server::Formation for Services {
    async fn hello(
        &self,
        _request: Request<formation_proto::HelloRequest>,
    ) -> Result<Response<formation_proto::HelloResponse>, Status> {
        let from = crate::formation::introduction(&self.shared).await;
        let active = self.shared.leader().map(|(id, node)| node_to_proto(&id, &node));
        Ok(Response::new(formation_proto::HelloResponse { from: Some(from), active }))
    }

    async fn join(
        &self,
        request: Request<formation_proto::JoinRequest>,
    ) -> Result<Response<formation_proto::JoinResponse>, Status> {
        use formation_proto::join_response::Result as Outcome;
        let request = request.into_inner();
        self.check_cluster(Some(raft_proto::Target { cluster_id: request.cluster_id, node: None }))?;
        let (id, node) = node_from_proto(request.node.ok_or_else(|| Status::invalid_argument("node"))?)?;
        let accepted = match self.active() {
            Some(active) => active.join(Join { id, node }).await,
            None => false,
        };
        let outcome =
            if accepted { Outcome::Accepted(raft_proto::Blank {}) } else { Outcome::Redirect(self.redirect()) };
        Ok(Response::new(formation_proto::JoinResponse { result: Some(outcome) }))
    }
}

#[tonic::async_trait]
impl controller_server::Controller for Services {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<proto::ControllerFrame, Status>> + Send>>;

    async fn submit(&self, request: Request<proto::SubmitRequest>) -> Result<Response<proto::SubmitResponse>, Status> {
        use proto::submit_response::Result as Outcome;
        let request = request.into_inner();
        self.check_cluster(request.target)?;
        let operation = OperationId::try_from(request.operation_id.as_ref())
            .map_err(|_| Status::invalid_argument("operation id"))?;
        let bytes = request.request.len();
        let outcome = match (self.active(), decode(request.request)) {
            (_, Err(reason)) => Outcome::Refused(reason),
            (None, _) => Outcome::Redirect(self.redirect()),
            (Some(active), Ok(decoded)) => match active.decide(operation, decoded, bytes).await {
                Answer::Response(response) => match response_to_proto(&response) {
                    Ok(response) => Outcome::Response(prost::Message::encode_to_vec(&response).into()),
                    Err(error) => Outcome::Refused(error.to_string()),
                },
                Answer::NotActive => Outcome::Redirect(self.redirect()),
                Answer::Refused(reason) => Outcome::Refused(reason),
                Answer::Unknown(reason) => Outcome::Unknown(reason),
            },
        };
        Ok(Response::new(proto::SubmitResponse { result: Some(outcome) }))
    }

    async fn session(
        &self,
        request: Request<Streaming<proto::BrokerFrame>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let mut frames = request.into_inner();
        let Some(proto::BrokerFrame { frame: Some(proto::broker_frame::Frame::Start(start)) }) =
            frames.message().await?
        else {
            return Err(Status::invalid_argument("a session begins with its start"));
        };
        self.check_cluster(start.target.clone())?;
        let Some(active) = self.active() else {
            let redirect = proto::controller_frame::Frame::Redirect(self.redirect());
            let frame = proto::ControllerFrame { frame: Some(redirect) };
            return Ok(Response::new(Box::pin(futures::stream::iter([Ok(frame)]))));
        };
        let answers = active::serve_session(self.shared.clone(), active, &start, frames);
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn describe_quorum(
        &self,
        request: Request<proto::DescribeQuorumRequest>,
    ) -> Result<Response<proto::DescribeQuorumResponse>, Status> {
        use proto::describe_quorum_response::Result as Outcome;
        self.check_cluster(request.into_inner().target)?;
        let outcome = match self.active() {
            Some(_) => Outcome::Quorum(active::describe(&self.shared.metrics(), &self.shared.caught_up)),
            None => Outcome::Redirect(self.redirect()),
        };
        Ok(Response::new(proto::DescribeQuorumResponse { result: Some(outcome) }))
    }
}

fn decode(request: bytes::Bytes) -> Result<tidelog_metadata::Request, String> {
    let bytes = request.len();
    let request = prost::Message::decode(request).map_err(|error: prost::DecodeError| error.to_string())?;
    let request = request_from_proto(request).map_err(|error| error.to_string())?;
    match bytes {
        bytes if request.is_kafkas() && bytes > REQUEST_BYTES_MAX => Err(format!("the request has {bytes} bytes")),
        _ => Ok(request),
    }
}
