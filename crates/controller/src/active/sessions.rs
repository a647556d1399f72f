//! The controller's side of a broker's session: one task per stream, which reports what it sees to the
//! active controller and answers out of the applied image.

use std::io::ErrorKind;
use std::time::Duration;

use openraft::Instant as _;
use tidelog_internal_api::controller as proto;
use tidelog_internal_api::formation as formation_proto;
use tidelog_metadata::{Broker, BrokerIdentity, Endpoint, SessionEvent};
use tidelog_wire::types::{BrokerEpoch, BrokerId};
use tokio::sync::{mpsc, watch};
use tonic::{Status, Streaming};

use super::ActiveQueue;
use crate::machine::Applied;
use crate::net::Peer;
use crate::shared::Shared;

/// Frames to a broker that does not read; then its stream is given up.
const UNSENT_FRAMES_MAX: usize = 16;
/// A dying process closes its sockets one by one: its listener may outlive the stream by a moment.
const PROBES: usize = 5;
const PROBE_EVERY: Duration = Duration::from_millis(30);

pub(crate) type Frames = mpsc::Receiver<Result<proto::ControllerFrame, Status>>;

/// Serves one stream for as long as both sides want it.
pub(crate) fn serve(
    shared: Shared,
    active: ActiveQueue,
    start: &proto::SessionStart,
    frames: Streaming<proto::BrokerFrame>,
) -> Frames {
    let broker = BrokerIdentity { broker_id: BrokerId(start.broker_id), broker_epoch: BrokerEpoch(start.broker_epoch) };
    let (out, unsent) = mpsc::channel(UNSENT_FRAMES_MAX);
    let panics = shared.panics.clone();
    let session = Session { applied: shared.applied.clone(), shared, active, broker, out };
    tokio::spawn(panics.request(session.run(frames)));
    unsent
}

struct Session {
    shared: Shared,
    applied: watch::Receiver<std::sync::Arc<Applied>>,
    active: ActiveQueue,
    broker: BrokerIdentity,
    out: mpsc::Sender<Result<proto::ControllerFrame, Status>>,
}

/// How a stream came to its end.
enum End {
    /// Without goodbye: the process may be gone.
    Broken,
    Goodbye,
    /// The controller ended it, or is not active any more.
    Dismissed,
}

impl Session {
    async fn run(mut self, mut frames: Streaming<proto::BrokerFrame>) {
        if !self.active.session(SessionEvent::StreamOpened(self.broker)).await {
            return;
        }
        match self.converse(&mut frames).await {
            End::Broken => self.active.session(SessionEvent::StreamEnded(self.broker)).await,
            End::Goodbye => self.active.session(SessionEvent::Goodbye(self.broker)).await,
            End::Dismissed => true,
        };
    }

    async fn converse(&mut self, frames: &mut Streaming<proto::BrokerFrame>) -> End {
        loop {
            let Some(state) = self.state() else {
                self.say(proto::controller_frame::Frame::Unregistered(proto::Unregistered {})).await;
                return End::Dismissed;
            };
            if !self.say(proto::controller_frame::Frame::State(state)).await {
                return End::Broken;
            }
            // Cancel-safe: both only wait for something that stays there.
            let frame = tokio::select! {
                frame = frames.message() => frame,
                () = fencing_changed(&mut self.applied, self.broker, state.fenced) => continue,
            };
            match frame.ok().flatten().and_then(|frame| frame.frame) {
                Some(proto::broker_frame::Frame::Heartbeat(heartbeat)) => {
                    if !self.heartbeat(heartbeat).await {
                        self.say(proto::controller_frame::Frame::Redirect(formation_proto::Redirect { active: None }))
                            .await;
                        return End::Dismissed;
                    }
                }
                Some(proto::broker_frame::Frame::Goodbye(_)) => return End::Goodbye,
                Some(proto::broker_frame::Frame::Start(_)) | None => return End::Broken,
            }
        }
    }

    /// False when this node is not the active controller any more.
    async fn heartbeat(&self, heartbeat: proto::Heartbeat) -> bool {
        let stalled_ms = i64::try_from(heartbeat.stalled_ms).unwrap_or(i64::MAX);
        let heard = self.active.session(SessionEvent::Heartbeat { broker: self.broker, stalled_ms }).await;
        if heard && heartbeat.ready && self.state().is_some_and(|state| state.fenced) {
            return self.active.ready(self.broker).await;
        }
        heard
    }

    /// By it the leaders on the side of a controller that is cut off know when to step aside (docs/REPLICATION.md R9).
    fn quorum_silence(&self) -> Duration {
        let metrics = self.shared.metrics();
        let is_alone = metrics.membership_config.membership().voter_ids().count() < 2;
        let acked = metrics.last_quorum_acked.filter(|_| !is_alone);
        acked.map_or(Duration::ZERO, |acked| acked.into_inner().elapsed())
    }

    /// `None` when the image knows no such incarnation.
    fn state(&self) -> Option<proto::SessionState> {
        let applied = self.applied.borrow();
        let broker = applied.image.broker(self.broker.broker_id)?;
        let same = broker.epoch == self.broker.broker_epoch;
        same.then(|| proto::SessionState {
            fenced: broker.fenced,
            applied_batch: applied.last_batch,
            quorum_silent_ms: self.quorum_silence().as_millis() as u64,
        })
    }

    async fn say(&self, frame: proto::controller_frame::Frame) -> bool {
        self.out.send(Ok(proto::ControllerFrame { frame: Some(frame) })).await.is_ok()
    }
}

/// Returns when the image shows the broker otherwise than it was told.
async fn fencing_changed(applied: &mut watch::Receiver<std::sync::Arc<Applied>>, broker: BrokerIdentity, fenced: bool) {
    let differs = |applied: &std::sync::Arc<Applied>| {
        let shown = applied.image.broker(broker.broker_id);
        shown.is_none_or(|shown| shown.epoch != broker.broker_epoch || shown.fenced != fenced)
    };
    if applied.wait_for(differs).await.is_err() {
        std::future::pending().await
    }
}

/// Asks the listener that the broker has for other brokers whether anybody is there. Only a refusal is an answer: of a
/// machine that is cut off, or gone with its address, a connection attempt says nothing.
pub(super) fn probe(shared: Shared, active: ActiveQueue, broker: BrokerIdentity) {
    let panics = shared.panics.clone();
    tokio::spawn(panics.request(async move {
        let listener = {
            let applied = shared.applied.borrow();
            let registered = applied.image.broker(broker.broker_id);
            registered.and_then(|registered| inter_broker_endpoint(&shared, registered).cloned())
        };
        let Some(listener) = listener else { return };
        let peer = Peer { host: listener.host.as_str().to_owned(), port: listener.port };
        for _ in 0..PROBES {
            let probed = shared.dialer.connect(&peer).await;
            if probed.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
                active.session(SessionEvent::ProbeRefused(broker)).await;
                return;
            }
            tokio::time::sleep(PROBE_EVERY).await;
        }
    }));
}

/// What a broker advertises to clients may be an address that means something to them only, like their own `localhost`.
fn inter_broker_endpoint<'a>(shared: &Shared, broker: &'a Broker) -> Option<&'a Endpoint> {
    let named = shared.static_configs.get("inter.broker.listener.name").unwrap_or("PLAINTEXT").trim();
    broker.endpoint(&named.to_ascii_uppercase()).or(broker.endpoints.first())
}
