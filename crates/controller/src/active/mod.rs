//! The active controller: the quorum's leader, deciding.
//!
//! ```text
//! leader elected -> ReadIndex, so that the image is the newest -> queue open
//!   requests ┐
//!   sessions ┼-> waiting -> one round: decide on the image -> one Raft entry -> applied -> answers
//!   expiries ┘                 (requests that come meanwhile form the next round)
//! not leader any more -> queue closed, everybody waiting is told to look for the new one
//! ```

mod controller;
mod membership;
mod notes;
mod quorum;
mod round;
mod sessions;
mod waiting;

use openraft::ReadPolicy;
use openraft::async_runtime::watch::WatchReceiver;
use tidelog_metadata::{Request, Response, SessionEvent};
use tokio::sync::{mpsc, oneshot};

use crate::machine::OperationId;
use crate::raft::{Metrics, NodeId, RaftNode};
use crate::shared::Shared;

use controller::ActiveController;

/// Requests that wait for the loop; more make their senders wait.
const QUEUE_MAX: usize = 1024;

/// The way into the active controller of this node, for one term.
#[derive(Clone, Debug)]
pub(crate) struct ActiveQueue {
    pub(crate) term: u64,
    commands: mpsc::Sender<Command>,
    joins: mpsc::Sender<Join>,
}

#[derive(Debug)]
enum Command {
    Decide {
        operation: OperationId,
        request: Request,
        /// Of the request as it travels.
        bytes: usize,
        answer: oneshot::Sender<Answer>,
    },
    Session(SessionEvent),
    /// A broker's heartbeat said that it may be unfenced.
    Ready(tidelog_metadata::BrokerIdentity),
}

/// A node that wants to be in the membership as it describes itself.
#[derive(Debug)]
pub(crate) struct Join {
    pub(crate) id: NodeId,
    pub(crate) node: RaftNode,
}

/// What became of a request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Response(Response),
    /// Nothing was decided; another node is to be asked.
    NotActive,
    /// Nothing was changed, and no retry helps.
    Refused(String),
    /// It may or may not have been carried out: ask again with the same operation id.
    Unknown(String),
}

impl ActiveQueue {
    /// Waits until the request is decided and applied.
    pub(crate) async fn decide(&self, operation: OperationId, request: Request, bytes: usize) -> Answer {
        let (answer, answered) = oneshot::channel();
        if self.commands.send(Command::Decide { operation, request, bytes, answer }).await.is_err() {
            return Answer::NotActive;
        }
        // A dropped answer: leadership went while the request waited or was on its way to the quorum.
        answered.await.unwrap_or_else(|_| Answer::Unknown("leadership was lost".into()))
    }

    /// False when this node is not active any more.
    pub(crate) async fn session(&self, event: SessionEvent) -> bool {
        self.commands.send(Command::Session(event)).await.is_ok()
    }

    pub(crate) async fn ready(&self, broker: tidelog_metadata::BrokerIdentity) -> bool {
        self.commands.send(Command::Ready(broker)).await.is_ok()
    }

    pub(crate) async fn join(&self, join: Join) -> bool {
        self.joins.send(join).await.is_ok()
    }
}

fn leads(metrics: &Metrics) -> bool {
    metrics.current_leader == Some(metrics.id) && metrics.state.is_leader()
}

/// Runs for the node's life: an active controller for each term this node leads.
pub(crate) async fn run(shared: Shared) {
    let mut metrics = shared.raft.metrics();
    loop {
        let now = metrics.borrow_and_update().clone();
        if leads(&now) {
            lead(&shared, now.current_term).await;
        }
        if metrics.changed().await.is_err() {
            return;
        }
    }
}

async fn lead(shared: &Shared, term: u64) {
    // Leadership may be over already, or the quorum out of reach: metrics alone prove nothing.
    if let Err(error) = shared.raft.ensure_linearizable(ReadPolicy::ReadIndex).await {
        tracing::info!(term, %error, "elected, but cannot prove it to a quorum");
        return;
    }
    let (commands, queue) = mpsc::channel(QUEUE_MAX);
    let (joins, joining) = mpsc::channel(QUEUE_MAX);
    let active = ActiveQueue { term, commands, joins };
    tracing::info!(node = shared.this.id, term, "active controller");
    let controller = ActiveController::new(shared.clone(), active.clone(), queue);
    shared.active.send_replace(Some(active));
    tokio::select! {
        () = controller.run() => {}
        () = membership::keep(shared.clone(), joining) => {}
        () = until_deposed(shared, term) => {}
    }
    shared.active.send_replace(None);
    tracing::info!(node = shared.this.id, term, "no longer the active controller");
}

async fn until_deposed(shared: &Shared, term: u64) {
    let mut metrics = shared.raft.metrics();
    loop {
        let now = metrics.borrow_and_update().clone();
        if !leads(&now) || now.current_term != term {
            return;
        }
        if metrics.changed().await.is_err() {
            return;
        }
    }
}

pub(crate) use quorum::{CaughtUp, describe};
pub(crate) use sessions::serve as serve_session;
