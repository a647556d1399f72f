//! Puts a node's part of the quorum together and takes it apart again.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::Fatal;
use tidelog_internal_api::controller::controller_server::ControllerServer;
use tidelog_internal_api::formation::formation_server::FormationServer;
use tidelog_internal_api::raft::raft_server::RaftServer;
use tidelog_panics::Panics;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tonic::transport::Server;

use crate::active::CaughtUp;
use crate::failover::Sight;
use crate::forward::Forwarder;
use crate::handle::{ControllerHandle, ControllerStatus, NodeFacts};
use crate::identity::{ClusterId, Identity, IdentityError};
use crate::kafka::KafkaPort;
use crate::limits::MESSAGE_BYTES_MAX;
use crate::net::{CONNECTION_WINDOW_BYTES, Dialer, STREAM_WINDOW_BYTES, accepted, bind};
use crate::options::ControllerOptions;
use crate::raft::{Metrics, NetworkFactory, Raft, RaftNode, RaftService, raft_config};
use crate::services::Services;
use crate::shared::{Inner, Shared, leader_of};
use crate::{active, failover, formation, recovery};

/// How long a stopping leader waits for somebody else to lead.
const HAND_OVER_WAIT_MAX: Duration = Duration::from_secs(1);

/// Entry point of the crate.
pub struct Controller;

/// Why a node does not start. The messages are for people.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot use {path}: {source}")]
    Directory { path: PathBuf, source: io::Error },
    /// The directory belongs to another node or cluster.
    #[error("{reason}; point this node at its own directory")]
    WrongDirectory { reason: String },
    #[error("cannot listen for other nodes: {source}")]
    Listen { source: io::Error },
    /// The Raft store is damaged and no quorum can do without it.
    #[error(
        "the metadata store in {path} is damaged ({reason}) and no quorum exists without it; restore it from a backup"
    )]
    DamagedStore { path: PathBuf, reason: String },
    #[error("Raft could not start: {0}")]
    Raft(String),
}

impl StartError {
    pub(crate) fn directory(path: &Path, source: io::Error) -> Self {
        Self::Directory { path: path.to_owned(), source }
    }
}

impl Controller {
    /// Starts the node's part in the quorum on the current runtime, which should be the control thread's.
    /// Returns as soon as the node listens and its store is open; a cluster may not exist yet by then
    /// (watch [`ControllerHandle::status`] and the image).
    pub async fn start(options: ControllerOptions) -> Result<ControllerHandle, StartError> {
        let dialer = Dialer::default();
        let identity = load_identity(&options)?;
        let stored = recovery::open(&options, identity, &dialer).await?;
        let cluster_id = ClusterId::new(stored.identity.clone(), options.directory.clone());
        let listener = bind(options.listener).map_err(|source| StartError::Listen { source })?;
        let listening_on = listener.local_addr().map_err(|source| StartError::Listen { source })?;
        let this = stored.identity.raft_id();
        let config = raft_config(&options.timing).map_err(|error| StartError::Raft(error.to_string()))?;
        let recovery::Stored { store, machine, published, .. } = stored;
        let (dialling, naming, applied) = (dialer.clone(), cluster_id.clone(), published.applied.clone());
        let network = NetworkFactory { dialer: dialling, cluster_id: naming, applied };
        let raft = Raft::new(this, config, network, store, machine)
            .await
            .map_err(|error| StartError::Raft(error.to_string()))?;
        let advertised_port = if options.advertised_port == 0 { listening_on.port() } else { options.advertised_port };
        let shared = Shared::new(Inner {
            this,
            node: RaftNode {
                host: options.advertised_host,
                port: advertised_port,
                broker: options.roles.broker,
                controller: options.roles.controller,
            },
            listening_on,
            voters: options.voters,
            timing: options.timing,
            static_configs: options.static_configs,
            cluster_id,
            founding_cluster_id: options.cluster_id,
            dialer,
            raft,
            applied: published.applied,
            image: published.image,
            panics: Panics::default(),
            active: watch::Sender::new(None),
            lost_leader: watch::Sender::new(None),
            sight: watch::Sender::new(Sight::default()),
            unclean_elections: AtomicU64::new(0),
            caught_up: CaughtUp::default(),
        });
        Ok(run(shared, listener))
    }
}

/// Reads `meta.properties` and holds it against the options.
fn load_identity(options: &ControllerOptions) -> Result<Identity, StartError> {
    std::fs::create_dir_all(&options.directory).map_err(|error| StartError::directory(&options.directory, error))?;
    let identity = Identity::load_or_new(&options.directory, options.node_id).map_err(|error| match error {
        IdentityError::Io(source) => StartError::directory(&options.directory, source),
        wrong @ IdentityError::Wrong { .. } => StartError::WrongDirectory { reason: wrong.to_string() },
    })?;
    match (&identity.cluster_id, &options.cluster_id) {
        (Some(found), Some(expected)) if found != expected => Err(StartError::WrongDirectory {
            reason: format!("{} belongs to cluster {found}, not {expected}", options.directory.display()),
        }),
        _ => Ok(identity),
    }
}

/// Spawns the node's tasks; the handle's `shutdown` and the last handle's end stop them.
fn run(shared: Shared, listener: TcpListener) -> ControllerHandle {
    let (stop, stopping) = mpsc::channel(1);
    let (publish_status, status) = watch::channel(ControllerStatus::default());
    let (close, closed) = oneshot::channel::<()>();
    let server = serve(shared.clone(), listener, closed);
    let mut tasks = JoinSet::new();
    let vital = |name, task| shared.panics.clone().vital(name, task);
    tasks.spawn(vital("the active controller", active::run(shared.clone()).boxed()));
    tasks.spawn(vital("the formation", formation::run(shared.clone()).boxed()));
    tasks.spawn(vital("the failover", failover::run(shared.clone()).boxed()));
    tasks.spawn(vital("the cluster's id", learn_cluster_id(shared.clone()).boxed()));
    // Its end is noticed: the status ends with it.
    tasks.spawn(publish(shared.clone(), publish_status));
    let server = tokio::spawn(shared.panics.clone().vital("the listener of other nodes", server));
    tokio::spawn(supervise(shared.clone(), stopping, tasks, close, server));
    ControllerHandle {
        image: shared.image.clone(),
        status,
        forwarder: Forwarder::new(shared.clone()),
        tasks: tokio::runtime::Handle::current(),
        stop,
        node: Arc::new(NodeFacts {
            node_id: shared.this.id,
            directory_id: shared.this.directory,
            listening_on: shared.listening_on,
        }),
        shared,
    }
}

async fn serve(
    shared: Shared,
    listener: TcpListener,
    closed: oneshot::Receiver<()>,
) -> Result<(), tonic::transport::Error> {
    let raft = RaftService {
        raft: shared.raft.clone(),
        this: shared.this,
        cluster_id: shared.cluster_id.clone(),
        sight: shared.sight.subscribe(),
    };
    let kafka = KafkaPort::new(shared.clone());
    let services = Services { shared };
    // Peers that are slow to say what they speak hold nobody up; there are as many as open files allow.
    let incoming = accepted(listener)
        .map(move |stream| grpc_only(kafka.clone(), stream))
        .buffer_unordered(usize::MAX)
        .filter_map(std::future::ready);
    let limit = MESSAGE_BYTES_MAX;
    Server::builder()
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .add_service(RaftServer::new(raft).max_decoding_message_size(limit).max_encoding_message_size(limit))
        .add_service(FormationServer::new(services.clone()))
        .add_service(ControllerServer::new(services).max_decoding_message_size(limit).max_encoding_message_size(limit))
        .serve_with_incoming_shutdown(incoming, async {
            let _ = closed.await;
        })
        .await
}

async fn grpc_only(kafka: KafkaPort, stream: io::Result<TcpStream>) -> Option<io::Result<TcpStream>> {
    match stream {
        Ok(stream) => kafka.grpc_only(stream).await.map(Ok),
        Err(error) => Some(Err(error)),
    }
}

/// Waits for the order to stop, then stops everything in order.
async fn supervise(
    shared: Shared,
    mut stopping: mpsc::Receiver<oneshot::Sender<()>>,
    mut tasks: JoinSet<()>,
    close: oneshot::Sender<()>,
    server: tokio::task::JoinHandle<Result<(), tonic::transport::Error>>,
) {
    let done = stopping.recv().await;
    hand_over(&shared).await;
    tasks.shutdown().await;
    if let Err(error) = shared.raft.shutdown().await {
        tracing::warn!(%error, "Raft did not stop cleanly");
    }
    drop(close);
    // Streams of others keep a graceful shutdown waiting; what they are for is over.
    server.abort();
    let _ = server.await;
    if let Some(done) = done {
        let _ = done.send(());
    }
}

/// A leader that leaves tells the voter that is furthest to take over, and waits until somebody has.
async fn hand_over(shared: &Shared) {
    let metrics = shared.metrics();
    if metrics.current_leader != Some(shared.this) {
        return;
    }
    let replication = metrics.replication.clone().unwrap_or_default();
    let others = metrics.membership_config.voter_ids().filter(|voter| *voter != shared.this);
    let Some(successor) = others.max_by_key(|voter| replication.get(voter).cloned().flatten()) else { return };
    let _ = shared.raft.trigger().transfer_leader(successor).await;
    let mut watched = shared.raft.server_metrics();
    let handed_over = async {
        while leader_of(&shared.metrics()).is_none_or(|(leader, _)| leader == shared.this) {
            if watched.changed().await.is_err() {
                return;
            }
        }
    };
    if tokio::time::timeout(HAND_OVER_WAIT_MAX, handed_over).await.is_err() {
        tracing::info!("nobody took over in time");
    }
}

/// The cluster id is in the quorum's first batch; it is written down as soon as that is applied.
async fn learn_cluster_id(shared: Shared) {
    let mut image = shared.image.clone();
    let Ok(cluster_id) =
        image.wait_for(|image| image.cluster_id().is_some()).await.map(|image| image.cluster_id().cloned())
    else {
        return;
    };
    let Some(cluster_id) = cluster_id else { return };
    if !shared.cluster_id.learn(cluster_id.clone()) {
        tracing::error!(%cluster_id, "the metadata log belongs to another cluster than meta.properties says");
    }
}

/// Keeps [`ControllerStatus`] up to date.
async fn publish(shared: Shared, status: watch::Sender<ControllerStatus>) {
    let mut metrics = shared.raft.metrics();
    let mut cluster_id = shared.cluster_id.watch();
    let mut active = shared.active.subscribe();
    loop {
        let now = metrics.borrow_and_update().clone();
        let is_active = active.borrow_and_update().as_ref().is_some_and(|active| active.term == now.current_term);
        let next = ControllerStatus {
            cluster_id: cluster_id.borrow_and_update().clone(),
            active: leader_of(&now).map(|(id, _)| id.id),
            term: now.current_term,
            is_active,
            failed: shared.panics.has_failed().then(|| PANICKED.to_owned()).or_else(|| raft_failure(&now)),
        };
        let next_failed = next.failed.clone();
        status.send_if_modified(|status| {
            let changed = *status != next;
            *status = next;
            changed
        });
        tokio::select! {
            changed = metrics.changed() => if changed.is_err() { return },
            changed = cluster_id.changed() => if changed.is_err() { return },
            changed = active.changed() => if changed.is_err() { return },
            _ = shared.panics.failed(), if next_failed.is_none() => {}
        }
    }
}

const PANICKED: &str = "a task of the controller panicked; where is logged above";

fn raft_failure(metrics: &Metrics) -> Option<String> {
    metrics.running_state.as_ref().err().filter(|fatal| **fatal != Fatal::Stopped).map(ToString::to_string)
}
