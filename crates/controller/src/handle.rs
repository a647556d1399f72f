//! What the rest of a node sees of the quorum. Cheap to clone; every method may be called from any runtime.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tidelog_metadata::{BrokerRegistration, Image, Request, Response};
use tidelog_wire::{Str, Uuid};
use tokio::sync::{oneshot, watch};

use crate::forward::Forwarder;
use crate::limits::REQUEST_BYTES_MAX;
use crate::quorum::{Quorum, QuorumError};
use crate::session::{BrokerSession, HealthProbe};
use crate::shared::Shared;

/// A node's way to the metadata: its local image, and the active controller wherever that is.
#[derive(Clone)]
pub struct ControllerHandle {
    pub(crate) image: watch::Receiver<Arc<Image>>,
    pub(crate) status: watch::Receiver<ControllerStatus>,
    pub(crate) forwarder: Forwarder,
    pub(crate) tasks: tokio::runtime::Handle,
    pub(crate) stop: tokio::sync::mpsc::Sender<oneshot::Sender<()>>,
    pub(crate) node: Arc<NodeFacts>,
    pub(crate) shared: Shared,
}

/// What never changes while the node runs.
#[derive(Clone, Debug)]
pub struct NodeFacts {
    pub node_id: i32,
    /// Names the disk of the metadata log; `directory.id` in `meta.properties`.
    pub directory_id: Uuid,
    /// Where this node's gRPC listener really listens.
    pub listening_on: std::net::SocketAddr,
}

/// The quorum as this node sees it right now. A hint: an isolated node sees old news.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControllerStatus {
    /// `None` until the node has founded or joined a cluster.
    pub cluster_id: Option<Str>,
    /// Node id of the active controller.
    pub active: Option<i32>,
    /// Raft's term, Kafka's controller epoch.
    pub term: u64,
    /// This node is the active controller and has proved it to a quorum.
    pub is_active: bool,
    /// Set once the node cannot go on: its disk failed, or it met a record it does not know.
    pub failed: Option<String>,
}

/// Why [`ControllerHandle::submit`] gave up. In each case the request may still be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// No active controller answered in time. Kafka's REQUEST_TIMED_OUT.
    #[error("no active controller answered within {waited_ms} ms; last: {last}")]
    TimedOut { waited_ms: u64, last: String },
    /// Request or answer cannot be told in their format, or the nodes' versions differ.
    #[error("the active controller refused the request: {0}")]
    Refused(String),
    /// Nobody was asked: a single request must not occupy the controller for long.
    #[error("the request has {bytes} bytes; the controller takes at most {REQUEST_BYTES_MAX} at once")]
    TooLarge { bytes: usize },
    /// This node is shutting down.
    #[error("this node is shutting down")]
    Closed,
}

impl ControllerHandle {
    /// The newest image this node has applied. Changes whenever a batch of records is applied.
    pub fn image(&self) -> watch::Receiver<Arc<Image>> {
        self.image.clone()
    }

    /// Metadata log offset of the last batch that changed the image; `None` before the first.
    pub fn image_offset(&self) -> Option<u64> {
        Some(self.shared.applied.borrow().last_batch).filter(|offset| *offset > 0)
    }

    /// Metadata log offset of the last entry this node has applied.
    pub fn last_applied_offset(&self) -> Option<u64> {
        self.shared.applied.borrow().last_log_id.map(|log_id| log_id.index)
    }

    /// Cluster id, active controller and failure state.
    pub fn status(&self) -> watch::Receiver<ControllerStatus> {
        self.status.clone()
    }

    pub fn node(&self) -> &NodeFacts {
        &self.node
    }

    /// Has the active controller decide a request, wherever it is, and waits until the decision is applied
    /// there. Tries again with the same operation id until `Timing::submit` is over, so a request whose
    /// answer got lost is not carried out twice. The local image may show the effect a little later.
    pub async fn submit(&self, request: Request) -> Result<Response, SubmitError> {
        // Connections and timers belong to the control thread, whoever asks.
        let forwarder = self.forwarder.clone();
        let submitted = self.tasks.spawn(async move { forwarder.submit(request).await });
        submitted.await.unwrap_or(Err(SubmitError::Closed))
    }

    /// Elections of leaders that may lack acknowledged records, as far as this node has decided them since it started.
    pub fn unclean_elections(&self) -> u64 {
        self.shared.unclean_elections.load(Ordering::Relaxed)
    }

    /// The quorum's state, asked of the active controller (DescribeQuorum).
    pub async fn quorum(&self) -> Result<Quorum, QuorumError> {
        let forwarder = self.forwarder.clone();
        let asked = self.tasks.spawn(async move { forwarder.quorum().await });
        asked.await.unwrap_or_else(|_| Err(QuorumError("this node is shutting down".into())))
    }

    /// Registers this broker and keeps its session alive until the handle is closed or dropped. `health` is
    /// asked before each heartbeat and must not block. One session per node.
    pub fn open_session(&self, registration: BrokerRegistration, health: HealthProbe) -> BrokerSession {
        BrokerSession::open(&self.tasks, self.clone(), registration, health)
    }

    /// Stops the node's part in the quorum in good order: hands leadership away if it is the active
    /// controller, answers waiting requests, flushes. A broker closes its session before.
    pub async fn shutdown(&self) {
        let (done, stopped) = oneshot::channel();
        if self.stop.send(done).await.is_ok() {
            let _ = stopped.await;
        }
    }
}
