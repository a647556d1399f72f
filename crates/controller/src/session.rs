//! A broker's session with the active controller, the broker's side.
//!
//! One task registers, dials the session stream, beats, and starts over whenever the stream breaks or the
//! active controller changes. The rest of the broker only watches [`SessionState`].
//!
//! ```text
//! register -> stream to the active controller -> heartbeats until it breaks -> stream to the next one ...
//!    ^                                              | "unregistered"
//!    +----------------------------------------------+
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use openraft::async_runtime::watch::WatchReceiver;
use tidelog_internal_api::controller as proto;
use tidelog_internal_api::controller::controller_client::ControllerClient;
use tidelog_internal_api::raft as raft_proto;
use tidelog_metadata::{BrokerIdentity, BrokerRegistration, Image, Patience, Request, Response};
use tidelog_wire::types::BrokerEpoch;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::ControllerHandle;
use crate::net::Peer;
use crate::raft::node_from_proto;
use crate::shared::{Shared, leader_of};

const OPEN_WAIT_MAX: Duration = Duration::from_millis(500);
const RETRY: Duration = Duration::from_millis(20);
const REGISTER_RETRY: Duration = Duration::from_millis(100);
const SHUTDOWN_RETRY: Duration = Duration::from_millis(50);
/// Then a broker stops although partitions fall below min ISR (docs/REPLICATION.md R7).
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(8);
/// So long it waits for a broker that has stopped: whoever restarts one after the other brings it back by then.
const RESTART_PATIENCE: Duration = Duration::from_secs(3);
const UNSENT_FRAMES_MAX: usize = 16;

/// Asked before each heartbeat, on the control thread; must answer at once.
pub type HealthProbe = Arc<dyn Fn() -> BrokerHealth + Send + Sync>;

/// What a broker attests with a heartbeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BrokerHealth {
    /// How long the oldest outstanding operation of any shard or flusher has been waiting; 0 when there is
    /// none. Over a second moves leaderships away, over the session timeout fences.
    pub stalled_ms: u64,
    /// Not ready to lead or follow yet: stay fenced.
    pub starting: bool,
}

/// The session as the broker may rely on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SessionState {
    /// Set once this incarnation is registered; the image may show the registration a little later.
    pub broker_epoch: Option<BrokerEpoch>,
    /// By this node's own image. Fenced brokers lead nothing and are in no ISR.
    pub fenced: bool,
    /// This node has applied all metadata that the controllers heard so far had applied: the image is no older than that.
    pub is_current: bool,
    /// When a controller that a quorum stood behind was last heard; self-fencing (docs/REPLICATION.md R9) is judged by it.
    pub last_contact: Option<Instant>,
    /// Controlled shutdown is through: nothing is lost or delayed by stopping now.
    pub may_shut_down: bool,
}

/// Keeps the session alive; closing or dropping it ends the session.
pub struct BrokerSession {
    state: watch::Receiver<SessionState>,
    commands: mpsc::Sender<Command>,
}

enum Command {
    ControlledShutdown,
    /// Say goodbye and end; answered when that is done.
    Close(oneshot::Sender<()>),
}

impl BrokerSession {
    pub(crate) fn open(
        tasks: &tokio::runtime::Handle,
        controller: ControllerHandle,
        registration: BrokerRegistration,
        health: HealthProbe,
    ) -> Self {
        let (commands, received) = mpsc::channel(4);
        let (publish, state) = watch::channel(SessionState {
            broker_epoch: None,
            fenced: true,
            is_current: false,
            last_contact: None,
            may_shut_down: false,
        });
        let keeper = Keeper {
            shared: controller.shared.clone(),
            controller,
            registration,
            health,
            state: publish,
            heard_batch: AtomicU64::new(0),
        };
        let panics = keeper.shared.panics.clone();
        tasks.spawn(panics.vital("the broker's session", keeper.run(received)));
        Self { state, commands }
    }

    /// Epoch, fencing and last contact, as they change.
    pub fn state(&self) -> watch::Receiver<SessionState> {
        self.state.clone()
    }

    /// Asks the controller to move leaderships away, again and again until `may_shut_down` shows in the
    /// state. After 8 s it insists, even if partitions fall below min ISR.
    pub async fn request_controlled_shutdown(&self) {
        let _ = self.commands.send(Command::ControlledShutdown).await;
    }

    /// Ends the session with a goodbye, so that the controller fences at once instead of after a grace.
    pub async fn close(self) {
        let (done, closed) = oneshot::channel();
        if self.commands.send(Command::Close(done)).await.is_ok() {
            let _ = closed.await;
        }
    }
}

struct Keeper {
    shared: Shared,
    controller: ControllerHandle,
    registration: BrokerRegistration,
    health: HealthProbe,
    state: watch::Sender<SessionState>,
    /// The last metadata batch that a controller said it had applied.
    heard_batch: AtomicU64,
}

/// Why a stream is over.
enum StreamEnd {
    /// Dial again, there if given.
    Broken(Option<Peer>),
    Unregistered,
    Closed,
}

/// The sending half of an open stream.
struct Beat {
    frames: mpsc::Sender<proto::BrokerFrame>,
    identity: BrokerIdentity,
}

impl Keeper {
    async fn run(self, mut commands: mpsc::Receiver<Command>) {
        let mut close = None;
        let sessions = async {
            loop {
                let Some(epoch) = self.register(&mut commands, &mut close).await else { return };
                self.state.send_modify(|state| state.broker_epoch = Some(epoch));
                let identity = BrokerIdentity { broker_id: self.registration.broker_id, broker_epoch: epoch };
                if let StreamEnd::Closed = self.keep(identity, &mut commands, &mut close).await {
                    return;
                }
            }
        };
        sessions.await;
        if let Some(done) = close {
            let _ = done.send(());
        }
    }

    /// Until the controller accepts. `None` if the session is closed before.
    async fn register(
        &self,
        commands: &mut mpsc::Receiver<Command>,
        close: &mut Option<oneshot::Sender<()>>,
    ) -> Option<BrokerEpoch> {
        let mut accepted = std::pin::pin!(self.until_accepted());
        loop {
            tokio::select! {
                epoch = &mut accepted => return Some(epoch),
                command = commands.recv() => match command {
                    // Who is not registered leads nothing that could be moved away.
                    Some(Command::ControlledShutdown) => self.state.send_modify(|state| state.may_shut_down = true),
                    Some(Command::Close(done)) => {
                        *close = Some(done);
                        return None;
                    }
                    None => return None,
                },
            }
        }
    }

    async fn until_accepted(&self) -> BrokerEpoch {
        let mut refused = None;
        loop {
            match self.controller.submit(Request::RegisterBroker(Box::new(self.registration.clone()))).await {
                Ok(Response::RegisterBroker(Ok(epoch))) => return epoch,
                Ok(Response::RegisterBroker(Err(error))) => {
                    if refused.as_ref() != Some(&error) {
                        tracing::warn!(broker = self.registration.broker_id.get(), %error, "registration refused; trying on");
                        refused = Some(error);
                    }
                }
                Ok(other) => tracing::error!(?other, "the controller answered another question"),
                Err(error) => tracing::info!(%error, "cannot register yet"),
            }
            tokio::time::sleep(REGISTER_RETRY).await;
        }
    }

    /// One stream after the other.
    async fn keep(
        &self,
        identity: BrokerIdentity,
        commands: &mut mpsc::Receiver<Command>,
        close: &mut Option<oneshot::Sender<()>>,
    ) -> StreamEnd {
        let mut hint = None;
        let mut shutdown = ShutdownWish::default();
        let mut metrics = self.shared.raft.server_metrics();
        loop {
            let peer = hint.take().or_else(|| self.active());
            let end = match peer {
                Some(peer) => self.stream(&peer, identity, commands, &mut shutdown, close).await,
                None => self.without_controller(commands, &mut shutdown, close).await,
            };
            match end {
                StreamEnd::Broken(Some(peer)) => hint = Some(peer),
                StreamEnd::Broken(None) => {
                    if let Ok(Err(_)) = tokio::time::timeout(RETRY, metrics.changed()).await {
                        return StreamEnd::Closed;
                    }
                }
                StreamEnd::Unregistered => {
                    if shutdown.since.is_some() {
                        // As when it was asked before: who is not registered leads nothing.
                        self.state.send_modify(|state| state.may_shut_down = true);
                    }
                    return StreamEnd::Unregistered;
                }
                StreamEnd::Closed => return StreamEnd::Closed,
            }
        }
    }

    fn active(&self) -> Option<Peer> {
        leader_of(&self.shared.metrics()).map(|(id, node)| self.shared.peer(&id, &node))
    }

    async fn without_controller(
        &self,
        commands: &mut mpsc::Receiver<Command>,
        shutdown: &mut ShutdownWish,
        close: &mut Option<oneshot::Sender<()>>,
    ) -> StreamEnd {
        match tokio::time::timeout(RETRY, commands.recv()).await {
            Ok(command) => commanded(command, shutdown, close).unwrap_or(StreamEnd::Broken(None)),
            Err(_) => StreamEnd::Broken(None),
        }
    }

    /// One stream, from dialling to its end.
    async fn stream(
        &self,
        peer: &Peer,
        identity: BrokerIdentity,
        commands: &mut mpsc::Receiver<Command>,
        shutdown: &mut ShutdownWish,
        close: &mut Option<oneshot::Sender<()>>,
    ) -> StreamEnd {
        let (frames, unsent) = mpsc::channel(UNSENT_FRAMES_MAX);
        let beat = Beat { frames, identity };
        beat.start(self.shared.cluster_id.to_bytes());
        let mut client = ControllerClient::new(self.shared.dialer.channel(peer));
        let mut answers = match opened(client.session(ReceiverStream::new(unsent)), commands, shutdown, close).await {
            Ok(answers) => answers,
            Err(end) => return end,
        };
        let mut image = self.shared.image.clone();
        let mut beats = tokio::time::interval(self.shared.timing.broker_heartbeat);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silence = Instant::now() + self.shared.timing.broker_session;
        let mut deposed = std::pin::pin!(self.until_leader_changes());
        loop {
            // Cancel-safe: frames, commands and image changes wait where they are.
            tokio::select! {
                answer = answers.message() => match self.heard(answer.ok().flatten()) {
                    Some(end) => return end,
                    None => silence = Instant::now() + self.shared.timing.broker_session,
                },
                _ = beats.tick() => beat.send(self.heartbeat(identity)),
                changed = image.changed() => {
                    if changed.is_err() {
                        return StreamEnd::Closed;
                    }
                    if self.image_changed(&image.borrow_and_update().clone(), identity) {
                        beats.reset_immediately();
                    }
                }
                command = commands.recv() => if let Some(end) = commanded(command, shutdown, close) {
                    if close.is_some() {
                        beat.goodbye(&mut answers).await;
                    }
                    return end;
                },
                () = shutdown.ask(&self.controller, identity, &self.state) => {}
                () = &mut deposed => return StreamEnd::Broken(None),
                () = tokio::time::sleep_until(silence) => return StreamEnd::Broken(None),
            }
        }
    }

    /// Raft knows of another leader than when the stream was opened.
    async fn until_leader_changes(&self) {
        let mut metrics = self.shared.raft.server_metrics();
        let opened_with = leader_of(&self.shared.metrics()).map(|(id, _)| id);
        loop {
            let now = leader_of(&self.shared.metrics()).map(|(id, _)| id);
            if now.is_some() && now != opened_with {
                return;
            }
            if metrics.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    fn heard(&self, frame: Option<proto::ControllerFrame>) -> Option<StreamEnd> {
        use proto::controller_frame::Frame;
        match frame.and_then(|frame| frame.frame) {
            Some(Frame::State(state)) => {
                self.contact(&state);
                None
            }
            Some(Frame::Redirect(redirect)) => {
                let active = redirect.active.and_then(|node| node_from_proto(node).ok());
                Some(StreamEnd::Broken(active.map(|(id, node)| self.shared.peer(&id, &node))))
            }
            Some(Frame::Unregistered(_)) => Some(StreamEnd::Unregistered),
            None => Some(StreamEnd::Broken(None)),
        }
    }

    /// Heard a controller: how long ago a quorum stood behind it, and what it has applied.
    fn contact(&self, heard: &proto::SessionState) {
        let now = Instant::now();
        let contact = now.checked_sub(Duration::from_millis(heard.quorum_silent_ms)).unwrap_or(now);
        self.heard_batch.fetch_max(heard.applied_batch, Ordering::Relaxed);
        let is_current = self.is_current();
        self.state.send_modify(|state| {
            state.last_contact = state.last_contact.max(Some(contact));
            state.is_current = is_current;
        });
    }

    fn is_current(&self) -> bool {
        self.shared.applied.borrow().last_batch >= self.heard_batch.load(Ordering::Relaxed)
    }

    fn heartbeat(&self, identity: BrokerIdentity) -> proto::Heartbeat {
        let health = (self.health)();
        let image = self.shared.image.borrow();
        let registered = image.broker(identity.broker_id).is_some_and(|broker| broker.epoch == identity.broker_epoch);
        proto::Heartbeat { ready: registered && !health.starting, stalled_ms: health.stalled_ms }
    }

    /// Publishes what the image says of this broker. True if that is news to be answered with a heartbeat.
    fn image_changed(&self, image: &Image, identity: BrokerIdentity) -> bool {
        let own = image.broker(identity.broker_id).filter(|broker| broker.epoch == identity.broker_epoch);
        let fenced = own.is_none_or(|broker| broker.fenced);
        let is_current = self.is_current();
        let mut is_fencing_new = false;
        self.state.send_if_modified(|state| {
            is_fencing_new = std::mem::replace(&mut state.fenced, fenced) != fenced;
            std::mem::replace(&mut state.is_current, is_current) != is_current || is_fencing_new
        });
        is_fencing_new || (fenced && own.is_some())
    }
}

/// The end of the session, if that is what was commanded.
fn commanded(
    command: Option<Command>,
    shutdown: &mut ShutdownWish,
    close: &mut Option<oneshot::Sender<()>>,
) -> Option<StreamEnd> {
    match command {
        Some(Command::ControlledShutdown) => {
            shutdown.begin();
            None
        }
        Some(Command::Close(done)) => {
            *close = Some(done);
            Some(StreamEnd::Closed)
        }
        None => Some(StreamEnd::Closed),
    }
}

/// The controller's answers, once it has taken the call. One that is gone for good keeps no broker from stopping.
async fn opened(
    call: impl Future<Output = Result<tonic::Response<Streaming<proto::ControllerFrame>>, tonic::Status>>,
    commands: &mut mpsc::Receiver<Command>,
    shutdown: &mut ShutdownWish,
    close: &mut Option<oneshot::Sender<()>>,
) -> Result<Streaming<proto::ControllerFrame>, StreamEnd> {
    let mut opening = std::pin::pin!(tokio::time::timeout(OPEN_WAIT_MAX, call));
    loop {
        tokio::select! {
            opened = &mut opening => return match opened {
                Ok(Ok(answers)) => Ok(answers.into_inner()),
                Ok(Err(_)) | Err(_) => Err(StreamEnd::Broken(None)),
            },
            command = commands.recv() => if let Some(end) = commanded(command, shutdown, close) {
                return Err(end);
            },
        }
    }
}

impl Beat {
    fn start(&self, cluster_id: bytes::Bytes) {
        let start = proto::SessionStart {
            target: Some(raft_proto::Target { cluster_id, node: None }),
            broker_id: self.identity.broker_id.get(),
            broker_epoch: self.identity.broker_epoch.get(),
        };
        self.frame(proto::broker_frame::Frame::Start(start));
    }

    fn send(&self, heartbeat: proto::Heartbeat) {
        self.frame(proto::broker_frame::Frame::Heartbeat(heartbeat));
    }

    /// Waits until the controller has ended the stream, so that the process may end without a broken one.
    async fn goodbye(&self, answers: &mut Streaming<proto::ControllerFrame>) {
        self.frame(proto::broker_frame::Frame::Goodbye(proto::Goodbye {}));
        let _ = tokio::time::timeout(OPEN_WAIT_MAX, async { while let Ok(Some(_)) = answers.message().await {} }).await;
    }

    fn frame(&self, frame: proto::broker_frame::Frame) {
        // A full or closed channel is a stream that is about to be given up.
        let _ = self.frames.try_send(proto::BrokerFrame { frame: Some(frame) });
    }
}

fn patience_after(waited: Duration) -> Patience {
    match waited {
        waited if waited >= SHUTDOWN_PATIENCE => Patience::None,
        waited if waited >= RESTART_PATIENCE => Patience::RunningOnly,
        _ => Patience::Full,
    }
}

/// Controlled shutdown, asked for until it is granted.
#[derive(Default)]
struct ShutdownWish {
    since: Option<Instant>,
    ask_at: Option<Instant>,
    asking: Option<BoxFuture<'static, bool>>,
}

impl ShutdownWish {
    fn begin(&mut self) {
        let now = Instant::now();
        self.since.get_or_insert(now);
        self.ask_at = Some(now);
    }

    /// Ready when a question was answered; never while there is nothing to ask. Cancel-safe: the question
    /// under way is kept.
    async fn ask(
        &mut self,
        controller: &ControllerHandle,
        broker: BrokerIdentity,
        state: &watch::Sender<SessionState>,
    ) {
        let (Some(since), Some(ask_at)) = (self.since, self.ask_at) else { return std::future::pending().await };
        tokio::time::sleep_until(ask_at).await;
        let asking = self.asking.get_or_insert_with(|| {
            let (controller, patience) = (controller.clone(), patience_after(since.elapsed()));
            Box::pin(async move {
                let answer = controller.submit(Request::ControlledShutdown { broker, patience }).await;
                matches!(&answer, Ok(Response::ControlledShutdown(Ok(progress))) if progress.ready)
            })
        });
        let ready = asking.await;
        self.asking = None;
        self.ask_at = (!ready).then(|| Instant::now() + SHUTDOWN_RETRY);
        if ready {
            state.send_modify(|state| state.may_shut_down = true);
        }
    }
}
