//! What a node's admin listener asks of its broker: metrics, whether everything moves, whether it serves.
//!
//! Asked from another thread. Metrics and free space come from the shard by message, and only when somebody asks.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::exposition;
use crate::flusher::Heartbeats;
use crate::shard::Shard;

/// A shard that does not answer a scrape for this long is stuck.
const SCRAPE_MAX: Duration = Duration::from_secs(5);
/// Readiness does not depend on the free space: it is left out if the shard is busy for longer.
const SPACE_WITHIN: Duration = Duration::from_millis(500);
/// Not live any more when nothing has moved for this long.
const LIVE_STALL_MS: u64 = 10_000;
/// Questions that may wait for the shard; more are refused.
const QUESTIONS_MAX: usize = 16;

/// Cheap to clone.
#[derive(Clone)]
pub struct BrokerProbe {
    questions: mpsc::Sender<Question>,
    heartbeats: Arc<Heartbeats>,
}

/// How far a broker is from serving its clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Logs are being opened, or the registration is not yet applied.
    Starting,
    /// The log directory is offline.
    Failed,
    Ready {
        /// What producers are refused with, should the disk be full.
        disk_full: Option<String>,
    },
}

pub(crate) enum Question {
    Metrics(oneshot::Sender<String>),
    DiskFull(oneshot::Sender<Option<String>>),
}

impl BrokerProbe {
    pub(crate) fn new(heartbeats: Arc<Heartbeats>) -> (Self, mpsc::Receiver<Question>) {
        let (questions, asked) = mpsc::channel(QUESTIONS_MAX);
        (Self { questions, heartbeats }, asked)
    }

    /// Prometheus' text form; `None` if the shard does not answer.
    pub async fn metrics(&self) -> Option<String> {
        self.ask(Question::Metrics, SCRAPE_MAX).await
    }

    /// Whether shard and disk threads advance.
    pub fn is_live(&self) -> bool {
        self.heartbeats.stalled_ms() < LIVE_STALL_MS
    }

    pub async fn readiness(&self) -> Readiness {
        match (self.heartbeats.has_failed(), self.heartbeats.is_ready()) {
            (true, _) => Readiness::Failed,
            (false, false) => Readiness::Starting,
            (false, true) => {
                let disk_full = self.ask(Question::DiskFull, SPACE_WITHIN).await.flatten();
                Readiness::Ready { disk_full }
            }
        }
    }

    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Question, within: Duration) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.questions.try_send(question(answer)).ok()?;
        timeout(within, answered).await.ok()?.ok()
    }
}

/// Answers on the shard until it ends.
pub(crate) async fn answer(shard: Rc<Shard>, mut questions: mpsc::Receiver<Question>) {
    while let Some(question) = questions.recv().await {
        // The asker may have gone.
        match question {
            Question::Metrics(answer) => drop(answer.send(exposition::text(&shard))),
            Question::DiskFull(answer) => drop(answer.send(shard.log_dir.disk_full().map(|full| full.to_string()))),
        }
    }
}
