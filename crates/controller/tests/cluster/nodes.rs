//! Nodes of a test cluster: each on a thread and runtime of its own, with real sockets and real files.

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tidelog_controller::{Controller, ControllerHandle, ControllerOptions, Listener, Roles, StartError, Timing, Voter};
use tidelog_metadata::Image;
use tidelog_metadata::config::StaticConfigs;
use tokio::sync::oneshot;

pub const DEADLINE: Duration = Duration::from_secs(30);

/// A cluster's addresses and directories; nodes come and go.
pub struct Cluster {
    directory: TempDir,
    pub voters: Vec<Voter>,
    /// Kept bound until the first start of a node, so that nobody else gets the port.
    listeners: Vec<Option<TcpListener>>,
}

/// A running node.
pub struct Node {
    pub handle: ControllerHandle,
    kill: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Cluster {
    /// `voters` configured voters with ids from 1 on.
    pub fn new(voters: i32) -> Self {
        let listeners: Vec<_> = (0..voters).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports = listeners.iter().map(|listener| listener.local_addr().unwrap().port());
        let voters =
            (1..).zip(ports).map(|(node_id, port)| Voter { node_id, host: "127.0.0.1".into(), port }).collect();
        Self { directory: tempfile::tempdir().unwrap(), voters, listeners: listeners.into_iter().map(Some).collect() }
    }

    /// As [`Cluster::new`], on a network where every new connection takes `delay` before anything passes.
    pub fn slow_to_connect(voters: i32, delay: Duration) -> Self {
        let mut cluster = Self::new(voters);
        for (voter, listener) in cluster.voters.iter_mut().zip(&cluster.listeners) {
            let target = listener.as_ref().unwrap().local_addr().unwrap();
            let gate = TcpListener::bind("127.0.0.1:0").unwrap();
            voter.port = gate.local_addr().unwrap().port();
            std::thread::spawn(move || {
                for stream in gate.incoming().flatten() {
                    std::thread::spawn(move || pass_after(delay, stream, target));
                }
            });
        }
        cluster
    }

    /// From its next start on the voter is reached elsewhere, which only it knows.
    pub fn move_voter(&mut self, node_id: i32) {
        let place = self.voters.iter().position(|voter| voter.node_id == node_id).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        self.voters[place].port = listener.local_addr().unwrap().port();
        self.listeners[place] = Some(listener);
    }

    pub fn path(&self, node_id: i32) -> PathBuf {
        self.directory.path().join(format!("node-{node_id}"))
    }

    fn options(&mut self, node_id: i32) -> ControllerOptions {
        let place = self.voters.iter().position(|voter| voter.node_id == node_id);
        let kept = place.and_then(|place| self.listeners[place].take());
        let port = place.map_or(0, |place| self.voters[place].port);
        let listener = kept.map_or_else(|| Listener::Bind(([127, 0, 0, 1], port).into()), Listener::Bound);
        ControllerOptions {
            node_id,
            roles: if place.is_some() { Roles::COMBINED } else { Roles::BROKER },
            directory: self.path(node_id),
            cluster_id: None,
            voters: self.voters.clone(),
            listener,
            advertised_host: "127.0.0.1".into(),
            advertised_port: port,
            static_configs: StaticConfigs::default(),
            timing: Timing { learner_expiry: Duration::from_secs(2), ..Timing::default() },
        }
    }

    pub fn start(&mut self, node_id: i32) -> Node {
        self.try_start(node_id).unwrap()
    }

    pub fn try_start(&mut self, node_id: i32) -> Result<Node, StartError> {
        self.start_with(node_id, |_| {})
    }

    pub fn start_with(
        &mut self,
        node_id: i32,
        change: impl FnOnce(&mut ControllerOptions),
    ) -> Result<Node, StartError> {
        let mut options = self.options(node_id);
        change(&mut options);
        let (started, starting) = std::sync::mpsc::channel();
        let (kill, killed) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let handle = Controller::start(options).await;
                let failed = handle.is_err();
                started.send(handle).unwrap();
                if !failed {
                    let _ = killed.await;
                }
            });
            // What a killed process leaves: nothing runs on, every socket is closed.
            runtime.shutdown_background();
        });
        let handle = starting.recv().unwrap()?;
        Ok(Node { handle, kill: Some(kill), thread: Some(thread) })
    }

    pub fn start_all(&mut self) -> Vec<Node> {
        let ids: Vec<_> = self.voters.iter().map(|voter| voter.node_id).collect();
        ids.into_iter().map(|node_id| self.start(node_id)).collect()
    }
}

impl Node {
    pub fn id(&self) -> i32 {
        self.handle.node().node_id
    }

    /// As `kill -9` would: no goodbye, no flush, all connections closed.
    pub fn kill(mut self) {
        self.kill_now();
    }

    fn kill_now(&mut self) {
        drop(self.kill.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    pub async fn stop(self) {
        self.handle.shutdown().await;
    }

    /// Waits until the node's image is as wanted.
    pub async fn sees(&self, what: &str, is_so: impl FnMut(&Arc<Image>) -> bool) {
        let mut image = self.handle.image();
        let waited = tokio::time::timeout(DEADLINE, image.wait_for(is_so)).await;
        assert!(matches!(waited, Ok(Ok(_))), "node {} never saw {what}", self.id());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill_now();
    }
}

/// Passes bytes both ways between a dialler and the node it wants, once the delay is over.
fn pass_after(delay: Duration, dialled: TcpStream, target: SocketAddr) {
    std::thread::sleep(delay);
    let Ok(upstream) = TcpStream::connect(target) else { return };
    let copy = |mut from: TcpStream, mut to: TcpStream| {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = (to.shutdown(Shutdown::Write), from.shutdown(Shutdown::Read));
    };
    for stream in [&dialled, &upstream] {
        stream.set_nodelay(true).unwrap();
    }
    let (there, back) = (dialled.try_clone().unwrap(), upstream.try_clone().unwrap());
    std::thread::spawn(move || copy(there, back));
    copy(upstream, dialled);
}

/// Waits until one of the nodes proves to be the active controller; returns its place.
pub async fn active_of(nodes: &[Node]) -> usize {
    let give_up = Instant::now() + DEADLINE;
    while Instant::now() < give_up {
        let active = nodes.iter().position(|node| node.handle.status().borrow().is_active);
        if let Some(active) = active {
            return active;
        }
        let changes = nodes.iter().map(|node| Box::pin(changed(node)));
        futures::future::select_all(changes).await;
    }
    panic!("no active controller within {DEADLINE:?}");
}

async fn changed(node: &Node) {
    let _ = tokio::time::timeout(Duration::from_millis(100), node.handle.status().changed()).await;
}

/// Asks again until it is so.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let give_up = Instant::now() + DEADLINE;
    while !is_so().await {
        assert!(Instant::now() < give_up, "not within {DEADLINE:?}: {what}");
        tokio::task::yield_now().await;
        let _ = tokio::time::timeout(Duration::from_millis(10), std::future::pending::<()>()).await;
    }
}
