//! Which brokers are alive, as the active controller sees it (docs/REPLICATION.md R8).
//!
//! A broker's session is a stream that it keeps open and sends heartbeats on. Each session has one deadline:
//!
//! ```text
//! silent          session timeout after the last heartbeat     (a paused or cut-off broker)
//! stream ended    grace of 200 ms, unless it comes back         (a dead process)
//! probe refused   at once, if the stream has ended              (a dead process on a living machine)
//! goodbye         at once
//! new controller  250 ms where the broker's connections died, a full session otherwise
//! own pause       as long again, a full session at most: whoever stood still has heard nobody, and lost many a stream
//! ```
//! A heartbeat also says how long the broker's oldest operation has been outstanding: past one bound its
//! leaderships move away, past the session timeout it counts as dead although it speaks.
//!
//! Times are milliseconds of any monotonic clock, the same for all calls.

use std::collections::BTreeMap;

use tidelog_wire::types::BrokerId;

use crate::request::BrokerIdentity;

/// Whoever is this late for a deadline stood still, with its process or its machine.
const LATE_MS: i64 = 100;

/// Time limits, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionOptions {
    /// `broker.session.timeout.ms`
    pub session_timeout_ms: i64,
    /// From the end of a stream to the fence.
    pub stream_grace_ms: i64,
    /// What a new controller gives brokers whose connections to this node died.
    pub takeover_grace_ms: i64,
    /// An operation outstanding for longer moves the broker's leaderships away.
    pub stall_ms_max: i64,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self { session_timeout_ms: 1500, stream_grace_ms: 200, takeover_grace_ms: 250, stall_ms_max: 1000 }
    }
}

/// What was seen of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// A stream of it is open. The next one may come before the end of the last one is noticed.
    StreamOpened(BrokerIdentity),
    Heartbeat {
        broker: BrokerIdentity,
        /// Age of the oldest operation of a shard or flusher; 0 when none is outstanding.
        stalled_ms: i64,
    },
    /// One of its streams ended without goodbye.
    StreamEnded(BrokerIdentity),
    /// Its listener refused a connection: nobody is there.
    ProbeRefused(BrokerIdentity),
    /// It said that it is leaving, after its controlled shutdown.
    Goodbye(BrokerIdentity),
}

impl SessionEvent {
    /// Who it is about, by its own claim.
    pub fn broker(&self) -> BrokerIdentity {
        match self {
            Self::StreamOpened(broker)
            | Self::Heartbeat { broker, .. }
            | Self::StreamEnded(broker)
            | Self::ProbeRefused(broker)
            | Self::Goodbye(broker) => *broker,
        }
    }
}

/// What to do about it. Each verdict is given once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionVerdict {
    /// Submit [`Request::FenceBroker`](crate::Request::FenceBroker).
    Fence(BrokerIdentity),
    /// Submit [`Request::DemoteBroker`](crate::Request::DemoteBroker).
    Demote(BrokerIdentity),
}

#[derive(Clone, Copy, Debug)]
struct Session {
    broker: BrokerIdentity,
    open_streams: u32,
    fence_at_ms: i64,
    /// The deadline was put off already: one that is always late must fence the dead all the same.
    is_put_off: bool,
    stalled: bool,
}

/// The sessions of all brokers that are not fenced. One for each term of being the active controller.
#[derive(Clone, Debug)]
pub struct Sessions {
    options: SessionOptions,
    sessions: BTreeMap<BrokerId, Session>,
    /// After a pause of the controller no session ends for silence or a lost stream before.
    no_end_before_ms: i64,
}

impl Sessions {
    pub fn new(options: SessionOptions) -> Self {
        Self { options, sessions: BTreeMap::new(), no_end_before_ms: i64::MIN }
    }

    /// Begins a term: `unfenced` are the brokers that the image shows unfenced, with whether this node's connections
    /// to them have died.
    pub fn take_over(
        options: SessionOptions,
        unfenced: impl IntoIterator<Item = (BrokerIdentity, bool)>,
        now_ms: i64,
    ) -> Self {
        let mut sessions = Self::new(options);
        for (broker, connections_died) in unfenced {
            let grace_ms = if connections_died { options.takeover_grace_ms } else { options.session_timeout_ms };
            sessions.insert(broker, now_ms.saturating_add(grace_ms));
        }
        sessions
    }

    /// Takes in what was seen of a registered incarnation: a later one ends the session of the one before. Events of an
    /// older one are ignored.
    pub fn on_event(&mut self, event: SessionEvent, now_ms: i64) -> Option<SessionVerdict> {
        self.forgive_own_pause(now_ms);
        match event {
            SessionEvent::StreamOpened(broker) => {
                self.renew(broker, now_ms)?.open_streams += 1;
                None
            }
            SessionEvent::Heartbeat { broker, stalled_ms } => self.heartbeat(broker, stalled_ms, now_ms),
            SessionEvent::StreamEnded(broker) => {
                let fence_at_ms = now_ms.saturating_add(self.options.stream_grace_ms).max(self.no_end_before_ms);
                let session = self.session_of(broker)?;
                session.open_streams = session.open_streams.saturating_sub(1);
                if session.open_streams == 0 {
                    session.fence_at_ms = session.fence_at_ms.min(fence_at_ms);
                }
                None
            }
            SessionEvent::ProbeRefused(broker) => {
                // While a stream is open the broker is there, whatever its listener does.
                let dead = self.session_of(broker)?.open_streams == 0;
                dead.then(|| self.end(broker))
            }
            SessionEvent::Goodbye(broker) => {
                self.session_of(broker)?;
                Some(self.end(broker))
            }
        }
    }

    /// The brokers to fence now. Call it when [`Sessions::next_deadline_ms`] has come.
    pub fn tick(&mut self, now_ms: i64) -> Vec<SessionVerdict> {
        self.forgive_own_pause(now_ms);
        let is_over = |session: &&Session| session.fence_at_ms <= now_ms;
        let over: Vec<BrokerIdentity> = self.sessions.values().filter(is_over).map(|session| session.broker).collect();
        over.into_iter().map(|broker| self.end(broker)).collect()
    }

    /// When `tick` has something to do next.
    pub fn next_deadline_ms(&self) -> Option<i64> {
        self.sessions.values().map(|session| session.fence_at_ms).min()
    }

    /// Whether a stream of the broker is open and it has been heard within the session timeout. A registration of
    /// another incarnation is refused while it is; a dead process's successor need not wait.
    pub fn is_live(&self, broker_id: BrokerId, now_ms: i64) -> bool {
        let session = self.sessions.get(&broker_id);
        session.is_some_and(|session| session.open_streams > 0 && session.fence_at_ms > now_ms)
    }

    /// Whether a fenced broker may be unfenced: a stream is open and nothing in it is stuck.
    pub fn is_healthy(&self, broker: BrokerIdentity, now_ms: i64) -> bool {
        let session = self.sessions.get(&broker.broker_id).filter(|session| session.broker == broker);
        session.is_some_and(|session| !session.stalled) && self.is_live(broker.broker_id, now_ms)
    }

    /// Drops the session of an earlier incarnation without a verdict. A registration that is answered a second time may
    /// find its own session open already.
    pub fn registered(&mut self, broker: BrokerIdentity) {
        let is_earlier = |session: &Session| session.broker.broker_epoch < broker.broker_epoch;
        if self.sessions.get(&broker.broker_id).is_some_and(is_earlier) {
            self.sessions.remove(&broker.broker_id);
        }
    }

    fn forgive_own_pause(&mut self, now_ms: i64) {
        let late_ms = self.next_deadline_ms().map_or(0, |due_ms| now_ms.saturating_sub(due_ms));
        if late_ms <= LATE_MS {
            return;
        }
        self.no_end_before_ms = now_ms.saturating_add(late_ms.min(self.options.session_timeout_ms));
        for session in self.sessions.values_mut().filter(|session| !session.is_put_off) {
            session.fence_at_ms = session.fence_at_ms.max(self.no_end_before_ms);
            session.is_put_off = true;
        }
    }

    fn heartbeat(&mut self, broker: BrokerIdentity, stalled_ms: i64, now_ms: i64) -> Option<SessionVerdict> {
        let SessionOptions { session_timeout_ms, stall_ms_max, .. } = self.options;
        if stalled_ms > session_timeout_ms {
            self.session_of(broker)?;
            return Some(self.end(broker));
        }
        let session = self.renew(broker, now_ms)?;
        // It came on some stream, also where the session had ended meanwhile.
        session.open_streams = session.open_streams.max(1);
        let was_stalled = session.stalled;
        session.stalled = stalled_ms > stall_ms_max;
        (session.stalled && !was_stalled).then_some(SessionVerdict::Demote(broker))
    }

    /// The session of exactly this incarnation.
    fn session_of(&mut self, broker: BrokerIdentity) -> Option<&mut Session> {
        self.sessions.get_mut(&broker.broker_id).filter(|session| session.broker == broker)
    }

    fn renew(&mut self, broker: BrokerIdentity, now_ms: i64) -> Option<&mut Session> {
        let fence_at_ms = now_ms.saturating_add(self.options.session_timeout_ms);
        let known = self.sessions.get(&broker.broker_id).map(|session| session.broker.broker_epoch);
        match known {
            Some(epoch) if epoch > broker.broker_epoch => return None,
            Some(epoch) if epoch == broker.broker_epoch => {}
            Some(_) | None => self.insert(broker, fence_at_ms),
        }
        let session = self.session_of(broker)?;
        session.fence_at_ms = fence_at_ms;
        session.is_put_off = false;
        Some(session)
    }

    fn insert(&mut self, broker: BrokerIdentity, fence_at_ms: i64) {
        let session = Session { broker, open_streams: 0, fence_at_ms, is_put_off: false, stalled: false };
        self.sessions.insert(broker.broker_id, session);
    }

    fn end(&mut self, broker: BrokerIdentity) -> SessionVerdict {
        self.sessions.remove(&broker.broker_id);
        SessionVerdict::Fence(broker)
    }
}
