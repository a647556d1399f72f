//! Starts and stops a broker: threads, recovery, registration, controlled shutdown.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tidelog_commitlog::disk::RealDisk;
use tidelog_commitlog::{LogDir, LogDirOptions, LogDirStart, StorageError};
use tidelog_controller::{BrokerHealth, BrokerSession, ControllerHandle};
use tidelog_metadata::{BrokerRegistration, Endpoint};
use tidelog_panics::Panics;
use tidelog_wire::{Str, Uuid};
use tokio::sync::{mpsc, oneshot};
use tracing::info;

use crate::flusher::{DiskPool, Heartbeats, ShardBeat};
use crate::metadata_applier::MetadataApplier;
use crate::net::{BoundListener, sweep_connections};
use crate::options::BrokerOptions;
use crate::probe::{self, BrokerProbe, Question};
use crate::recovery::{self, Introduction};
use crate::retry::Retries;
use crate::shard::Shard;
use crate::timers::Timers;
use crate::turn::Turn;
use crate::{background, checkpoint, contact, shutdown};

/// Entry point of the crate.
pub struct Broker;

/// Why a broker does not start. The messages are for people.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("no listener is named {0}, which inter.broker.listener.name asks for")]
    NoInterBrokerListener(String),
    #[error("cannot use log directory: {0}")]
    LogDir(#[from] StorageError),
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    #[error("{0} panicked, and what it was changing may be half changed")]
    Panicked(&'static str),
}

/// A running broker. Dropping it without [`BrokerHandle::shutdown`] leaves it running.
pub struct BrokerHandle {
    listeners: Vec<(String, SocketAddr)>,
    probe: BrokerProbe,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Broker {
    /// Starts the broker's threads. Returns once its sockets are bound; recovery, registration and the first
    /// leaderships follow by themselves ([`BrokerProbe::readiness`] tells).
    pub async fn start(options: BrokerOptions, controller: ControllerHandle) -> Result<BrokerHandle, StartError> {
        let listeners = bind(&options)?;
        let addresses = listeners.iter().map(|listener| (listener.info.name.clone(), listener.local_addr)).collect();
        let heartbeats = Arc::new(Heartbeats::new(options.disk.threads));
        let (probe, questions) = BrokerProbe::new(Arc::clone(&heartbeats));
        let (stop, stopped) = oneshot::channel();
        let name = format!("broker-{}", options.node_id);
        let parts = Parts { options, controller, listeners, heartbeats, questions, stopped };
        let thread =
            std::thread::Builder::new().name(name).spawn(move || run_shard(parts)).map_err(StartError::Thread)?;
        Ok(BrokerHandle { listeners: addresses, probe, stop: Some(stop), thread: Some(thread) })
    }
}

impl BrokerHandle {
    /// Where the listener of this name really listens.
    pub fn listener_address(&self, name: &str) -> Option<SocketAddr> {
        let listener = self.listeners.iter().find(|(listener, _)| listener == name);
        listener.map(|(_, address)| *address)
    }

    /// All client listeners by name.
    pub fn listeners(&self) -> &[(String, SocketAddr)] {
        &self.listeners
    }

    /// Answers for metrics and health from any thread.
    pub fn probe(&self) -> BrokerProbe {
        self.probe.clone()
    }

    /// Whether the broker has ended by itself because it cannot go on; the log says why.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(std::thread::JoinHandle::is_finished)
    }

    /// Stops in good order: hands leaderships over (at most 8 s), closes logs clean. Shut the controller down after.
    pub async fn shutdown(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let (done, joined) = oneshot::channel();
            std::thread::spawn(move || done.send(thread.join()));
            let _ = joined.await;
        }
    }
}

fn bind(options: &BrokerOptions) -> Result<Vec<BoundListener>, StartError> {
    let inter_broker = &options.inter_broker_listener;
    if options.listeners.iter().all(|listener| listener.name != *inter_broker) {
        return Err(StartError::NoInterBrokerListener(inter_broker.clone()));
    }
    let is_alone = options.listeners.len() == 1;
    let bind_one = |listener| {
        BoundListener::bind(listener, inter_broker, is_alone)
            .map_err(|source| StartError::Listen { address: listener.bind, source })
    };
    options.listeners.iter().map(bind_one).collect()
}

/// What a shard's thread takes over.
struct Parts {
    options: BrokerOptions,
    controller: ControllerHandle,
    listeners: Vec<BoundListener>,
    heartbeats: Arc<Heartbeats>,
    questions: mpsc::Receiver<Question>,
    stopped: oneshot::Receiver<()>,
}

fn run_shard(parts: Parts) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "the broker's runtime cannot start"),
    };
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async move {
        if let Err(error) = live(parts).await {
            tracing::error!(%error, "the broker cannot run");
        }
    });
    drop(tasks);
    // A name look-up that hangs must not keep the process.
    runtime.shutdown_background();
}

/// A broker's life on its shard, which a panic may end: then nothing is handed over or closed, as in a crash.
async fn live(parts: Parts) -> Result<(), StartError> {
    let panics = Panics::default();
    let life = panics.clone().vital("the broker", serve(parts, panics.clone()));
    tokio::select! {
        lived = life => lived,
        name = panics.failed() => Err(StartError::Panicked(name)),
    }
}

/// Recovery, registration, service, hand-over, end.
async fn serve(parts: Parts, panics: Panics) -> Result<(), StartError> {
    let Parts { options, controller, listeners, heartbeats, questions, mut stopped } = parts;
    let registration = registration(&options, &controller, &listeners);
    let (log_dir, start) = open_log_dir(&options, &controller)?;
    let name = format!("broker-{}", options.node_id);
    let disk = DiskPool::start(&name, options.disk.threads, Arc::clone(&heartbeats), panics.clone())
        .map_err(StartError::Thread)?;
    let shard = Shard::new(options, controller, log_dir, disk, heartbeats, panics);
    spawn_services(&shard, listeners, questions);
    let introduction = recovery::recover(&shard, start).await;
    let session = open_session(&shard, registration, introduction);
    shard.spawn("controller contact", contact::watch_controller(Rc::clone(&shard), session.state()));
    shard.spawn("metadata applier", MetadataApplier::new(Rc::clone(&shard)).run(session.state()));
    // A dropped handle leaves the broker running.
    if (&mut stopped).await.is_err() {
        std::future::pending::<()>().await;
    }
    info!("stopping");
    if shard.options.controlled_shutdown {
        shutdown::hand_over(&shard, &session).await;
    }
    shutdown::close_logs(&shard).await;
    session.close().await;
    Ok(())
}

fn open_log_dir(options: &BrokerOptions, controller: &ControllerHandle) -> Result<(LogDir, LogDirStart), StorageError> {
    let limits =
        LogDirOptions { open_files_max: options.disk.open_files_max, reserve_bytes: options.disk.reserve_bytes };
    LogDir::open(Arc::new(RealDisk), &options.log_dir, controller.node().directory_id, limits)
}

fn spawn_services(shard: &Rc<Shard>, listeners: Vec<BoundListener>, questions: mpsc::Receiver<Question>) {
    for listener in listeners {
        shard.spawn("listener", listener.serve(Rc::clone(shard)));
    }
    shard.spawn("sweeper of connections", sweep_connections(Rc::clone(shard)));
    shard.spawn("timers", Timers::run(Rc::clone(shard)));
    shard.spawn("retries", Retries::run(Rc::clone(shard)));
    shard.spawn("turn", Turn::run(Rc::clone(shard)));
    shard.spawn("ISR proposals", crate::isr::IsrProposals::run(Rc::clone(shard)));
    shard.spawn("durable marks", background::sync_marks(Rc::clone(shard)));
    shard.spawn("retention", background::apply_retention(Rc::clone(shard)));
    shard.spawn("housekeeping", background::keep_house(Rc::clone(shard)));
    shard.spawn("cleaner", crate::cleaner::clean_logs(Rc::clone(shard)));
    shard.spawn("checkpoint", checkpoint::keep(Rc::clone(shard)));
    shard.spawn("probe", probe::answer(Rc::clone(shard), questions));
    shard.spawn("heartbeat", ShardBeat::new(Arc::clone(&shard.heartbeats)).run());
}

/// This incarnation, as it introduces itself; what recovery finds is added later.
fn registration(
    options: &BrokerOptions,
    controller: &ControllerHandle,
    listeners: &[BoundListener],
) -> BrokerRegistration {
    let endpoint = |listener: &BoundListener| Endpoint {
        listener: Str::from(listener.info.name.clone()),
        host: Str::from(listener.advertised.0.clone()),
        port: listener.advertised.1,
        security_protocol: 0,
    };
    BrokerRegistration {
        broker_id: options.node_id,
        cluster_id: None,
        incarnation_id: Uuid(rand::random()),
        directory_id: controller.node().directory_id,
        endpoints: listeners.iter().map(endpoint).collect(),
        rack: options.rack.clone().map(Str::from),
        previous_broker_epoch: tidelog_wire::types::BrokerEpoch::NONE,
        replicas: Vec::new(),
        may_lack_logs: false,
    }
}

fn open_session(shard: &Rc<Shard>, registration: BrokerRegistration, introduction: Introduction) -> BrokerSession {
    let registration = BrokerRegistration {
        cluster_id: shard.image().cluster_id().cloned(),
        previous_broker_epoch: introduction.previous_epoch,
        replicas: introduction.reports,
        may_lack_logs: introduction.may_lack_logs,
        ..registration
    };
    let heartbeats = Arc::clone(&shard.heartbeats);
    let health = move || BrokerHealth { stalled_ms: heartbeats.stalled_ms(), starting: !heartbeats.is_ready() };
    shard.controller.open_session(registration, Arc::new(health))
}
