//! The loop of the active controller.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use openraft::ReadPolicy;
use openraft::errors::{ClientWriteError, RaftError};
use rand::RngCore;
use tidelog_metadata::config::{ControllerConfig, Resolver};
use tidelog_metadata::{
    BrokerIdentity, Context, Node, Note, Request, Response, SessionEvent, SessionOptions, SessionVerdict, Sessions,
};
use tidelog_wire::Str;
use tidelog_wire::types::BrokerId;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::round::{Decided, Proposal, completed, decide_round};
use super::waiting::{Waiting, WaitingRequests, reply};
use super::{ActiveQueue, Answer, Command};
use crate::identity::random_uuid;
use crate::machine::OperationId;
use crate::raft::{EncodedBatch, Raft, TypeConfig, Written};
use crate::shared::Shared;

/// With nothing to expire the loop only looks around this often.
const IDLE_TICK: Duration = Duration::from_secs(1);

/// Decides for one term. Dropping it drops the answers of everybody waiting.
pub(super) struct ActiveController {
    shared: Shared,
    queue: mpsc::Receiver<Command>,
    waiting: WaitingRequests,
    in_flight: Option<InFlight>,
    sessions: Sessions,
    /// Brokers whose unfencing is on its way.
    unfencing: BTreeSet<(BrokerId, i64)>,
    active: ActiveQueue,
    started: Instant,
    /// When it is looked next whether leaderships can go back to preferred replicas.
    balance_at: Instant,
}

struct InFlight {
    outcome: BoxFuture<'static, Outcome>,
    decided: Vec<Decided>,
    notes: Vec<Note>,
}

enum Outcome {
    Applied,
    /// Another batch came first; the requests are decided again.
    Overtaken,
    Lost(Answer),
}

impl ActiveController {
    pub(super) fn new(shared: Shared, active: ActiveQueue, queue: mpsc::Receiver<Command>) -> Self {
        let options = SessionOptions {
            session_timeout_ms: shared.timing.broker_session.as_millis() as i64,
            ..SessionOptions::default()
        };
        let lost = shared.lost_leader.borrow().map(|node| node.id);
        let applied = Arc::clone(&shared.applied.borrow());
        let unfenced = applied.image.brokers().filter(|broker| !broker.fenced).map(|broker| {
            let identity = BrokerIdentity { broker_id: broker.id, broker_epoch: broker.epoch };
            (identity, lost == Some(broker.id.get()))
        });
        let unfenced: Vec<_> = unfenced.collect();
        for (broker, _) in &unfenced {
            super::sessions::probe(shared.clone(), active.clone(), *broker);
        }
        let started = Instant::now();
        Self {
            sessions: Sessions::take_over(options, unfenced, 0),
            balance_at: started + balance_interval(&shared),
            shared,
            queue,
            waiting: WaitingRequests::default(),
            in_flight: None,
            unfencing: BTreeSet::new(),
            active,
            started,
        }
    }

    pub(super) async fn run(mut self) {
        self.bootstrap();
        loop {
            self.start_round();
            let deadline = self.next_deadline();
            // Cancel-safe: `recv` loses nothing, and the proposal lives on in `in_flight`.
            tokio::select! {
                command = self.queue.recv() => match command {
                    Some(command) => self.take(command),
                    None => return,
                },
                outcome = outcome_of(&mut self.in_flight) => self.finish_round(outcome),
                () = tokio::time::sleep_until(deadline) => self.expire_sessions(),
                () = tokio::time::sleep_until(self.balance_at) => self.balance_leaders(),
            }
        }
    }

    fn now_ms(&self) -> i64 {
        self.started.elapsed().as_millis() as i64
    }

    fn next_deadline(&self) -> Instant {
        match self.sessions.next_deadline_ms() {
            Some(at_ms) => self.started + Duration::from_millis(at_ms.max(0) as u64),
            None => Instant::now() + IDLE_TICK,
        }
    }

    /// Founds the cluster in the image, or brings its list of configured nodes up to date.
    fn bootstrap(&mut self) {
        let known = self.shared.cluster_id.get().or_else(|| self.shared.founding_cluster_id.clone());
        let cluster_id = known.unwrap_or_else(|| Str::from(random_uuid().to_string()));
        let membership = self.shared.metrics().membership_config;
        let voters = membership.voter_ids().filter_map(|id| Some((id, membership.get_node(&id)?)));
        let nodes = voters.map(|(id, node)| Node {
            id: BrokerId(id.id),
            is_broker: node.broker,
            is_controller: node.controller,
        });
        let request = Request::Bootstrap { cluster_id, nodes: nodes.collect(), default_configs: Vec::new() };
        self.waiting.add_own(random_operation(), request);
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Decide { operation, request, bytes, answer } => {
                self.waiting.add(Waiting { operation, request, bytes, answers: vec![answer] });
            }
            Command::Session(event) => self.session_event(event),
            Command::Ready(broker) => self.unfence(broker),
        }
    }

    fn session_event(&mut self, event: SessionEvent) {
        if !self.is_registered(event.broker()) {
            // A claim that is not known here: its stream is dismissed, and the session of the one who is stays.
            return;
        }
        let now_ms = self.now_ms();
        if let SessionEvent::StreamEnded(broker) = event {
            super::sessions::probe(self.shared.clone(), self.active.clone(), broker);
        }
        if let Some(verdict) = self.sessions.on_event(event, now_ms) {
            self.execute(verdict);
        }
    }

    fn is_registered(&self, broker: BrokerIdentity) -> bool {
        let applied = self.shared.applied.borrow();
        applied.image.broker(broker.broker_id).is_some_and(|registered| registered.epoch == broker.broker_epoch)
    }

    fn expire_sessions(&mut self) {
        for verdict in self.sessions.tick(self.now_ms()) {
            self.execute(verdict);
        }
    }

    fn balance_leaders(&mut self) {
        self.balance_at = Instant::now() + balance_interval(&self.shared);
        self.waiting.add_own(random_operation(), Request::BalanceLeaders);
    }

    fn execute(&mut self, verdict: SessionVerdict) {
        let request = match verdict {
            SessionVerdict::Fence(broker) => {
                tracing::info!(
                    broker = broker.broker_id.get(),
                    epoch = broker.broker_epoch.get(),
                    "session over: fencing"
                );
                Request::FenceBroker(broker)
            }
            SessionVerdict::Demote(broker) => {
                tracing::warn!(broker = broker.broker_id.get(), "stalled: moving its leaderships away");
                Request::DemoteBroker(broker)
            }
        };
        self.waiting.add_own(random_operation(), request);
    }

    fn unfence(&mut self, broker: BrokerIdentity) {
        let applied = Arc::clone(&self.shared.applied.borrow());
        let registered =
            applied.image.broker(broker.broker_id).filter(|registered| registered.epoch == broker.broker_epoch);
        let wanted = registered.is_some_and(|registered| registered.fenced && !registered.in_controlled_shutdown);
        let healthy = self.sessions.is_healthy(broker, self.now_ms());
        if wanted && healthy && self.unfencing.insert((broker.broker_id, broker.broker_epoch.get())) {
            self.waiting.add_own(random_operation(), Request::UnfenceBroker(broker));
        }
    }

    fn start_round(&mut self) {
        if self.in_flight.is_some() || self.waiting.is_empty() {
            return;
        }
        let applied = Arc::clone(&self.shared.applied.borrow());
        let (now_ms, sessions) = (self.now_ms(), &self.sessions);
        let mut context = Context {
            static_configs: &self.shared.static_configs,
            has_live_session: &|broker_id| sessions.is_live(broker_id, now_ms),
            random: &mut || rand::rng().next_u64(),
        };
        if let Some(Proposal { batch, decided, notes }) = decide_round(&mut self.waiting, &applied, &mut context) {
            let outcome = Box::pin(settle(self.shared.raft.clone(), batch));
            self.in_flight = Some(InFlight { outcome, decided, notes });
        }
    }

    fn finish_round(&mut self, (outcome, decided, notes): (Outcome, Vec<Decided>, Vec<Note>)) {
        match outcome {
            Outcome::Applied => {
                super::notes::announce(&self.shared, &notes);
                let applied = Arc::clone(&self.shared.applied.borrow());
                for Decided { waiting, response } in decided {
                    self.decided(&waiting.request, &response);
                    let response = completed(response, &applied.image, &self.shared.static_configs);
                    reply(waiting.answers, &Answer::Response(response));
                }
            }
            Outcome::Overtaken => self.waiting.put_back(decided),
            Outcome::Lost(answer) => {
                for Decided { waiting, .. } in decided {
                    self.unfencing_over(&waiting.request);
                    reply(waiting.answers, &answer);
                }
            }
        }
    }

    /// Keeps the sessions in step with what has been applied.
    fn decided(&mut self, request: &Request, response: &Response) {
        self.unfencing_over(request);
        if let (Request::RegisterBroker(registration), Response::RegisterBroker(Ok(epoch))) = (request, response) {
            self.sessions.registered(BrokerIdentity { broker_id: registration.broker_id, broker_epoch: *epoch });
        }
        if let Response::FenceBroker(Err(error)) | Response::UnfenceBroker(Err(error)) = response {
            tracing::debug!(%error, ?request, "refused");
        }
    }

    fn unfencing_over(&mut self, request: &Request) {
        if let Request::UnfenceBroker(broker) = request {
            self.unfencing.remove(&(broker.broker_id, broker.broker_epoch.get()));
        }
    }
}

fn balance_interval(shared: &Shared) -> Duration {
    let applied = shared.applied.borrow();
    let (image, static_configs) = (&applied.image, &shared.static_configs);
    let resolver = Resolver { image, broker_id: BrokerId::NONE, static_configs };
    let seconds = ControllerConfig::resolve(&resolver).leader_imbalance_check_interval_seconds;
    // More than a year is never, and must not overflow an Instant.
    Duration::from_secs(seconds.clamp(1, 365 * 24 * 3600))
}

/// Never ready without a round in flight.
async fn outcome_of(in_flight: &mut Option<InFlight>) -> (Outcome, Vec<Decided>, Vec<Note>) {
    let Some(round) = in_flight else { return std::future::pending().await };
    let outcome = (&mut round.outcome).await;
    let (decided, notes) = in_flight.take().map(|round| (round.decided, round.notes)).unwrap_or_default();
    (outcome, decided, notes)
}

/// Has a quorum accept the batch, or without one confirm that the image decided on is the newest.
async fn settle(raft: Raft, batch: Option<EncodedBatch>) -> Outcome {
    let Some(batch) = batch else {
        return match raft.ensure_linearizable(ReadPolicy::ReadIndex).await {
            Ok(_) => Outcome::Applied,
            Err(_) => Outcome::Lost(Answer::NotActive),
        };
    };
    match raft.client_write(batch).await {
        Ok(written) if written.data == Written::Applied => Outcome::Applied,
        Ok(_) => Outcome::Overtaken,
        Err(error) => Outcome::Lost(lost(error)),
    }
}

fn lost(error: RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> Answer {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(_)) => Answer::NotActive,
        other => Answer::Unknown(other.to_string()),
    }
}

fn random_operation() -> OperationId {
    let mut id = OperationId::default();
    rand::rng().fill_bytes(&mut id);
    id
}
