//! Starts and stops a broker: threads, recovery, registration, controlled shutdown.

use std::net::SocketAddr;

use tidelog_controller::ControllerHandle;
use tokio::sync::oneshot;

use crate::net::BoundListener;
use crate::options::BrokerOptions;
use crate::shard::Shard;

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
    LogDir(#[from] tidelog_commitlog::StorageError),
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// A running broker. Dropping it without [`BrokerHandle::shutdown`] leaves it running.
pub struct BrokerHandle {
    listeners: Vec<(String, SocketAddr)>,
    admin_address: Option<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Broker {
    /// Starts the broker's threads. Returns once its sockets are bound; recovery, registration and the first
    /// leaderships follow by themselves (`/readyz` tells). Call it on the control runtime, where the admin listener
    /// is served.
    pub async fn start(options: BrokerOptions, controller: ControllerHandle) -> Result<BrokerHandle, StartError> {
        let listeners = bind(&options)?;
        let addresses = listeners.iter().map(|listener| (listener.info.name.clone(), listener.local_addr)).collect();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name(format!("broker-{}", options.node_id))
            .spawn(move || run_shard(options, controller, listeners, stopped))
            .map_err(StartError::Thread)?;
        Ok(BrokerHandle { listeners: addresses, admin_address: None, stop: Some(stop), thread: Some(thread) })
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

    /// Where `/metrics`, `/livez` and `/readyz` are served.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
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
    let bind_one = |listener| {
        BoundListener::bind(listener, inter_broker)
            .map_err(|source| StartError::Listen { address: listener.bind, source })
    };
    options.listeners.iter().map(bind_one).collect()
}

fn run_shard(
    options: BrokerOptions,
    controller: ControllerHandle,
    listeners: Vec<BoundListener>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime needs only memory and descriptors, which a starting process has");
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async move {
        let shard = Shard::new(options, controller);
        for listener in listeners {
            tokio::task::spawn_local(listener.serve(std::rc::Rc::clone(&shard)));
        }
        tokio::task::spawn_local(crate::net::sweep_connections(std::rc::Rc::clone(&shard)));
        tokio::task::spawn_local(crate::timers::Timers::run(std::rc::Rc::clone(&shard)));
        let _ = stopped.await;
    });
}
