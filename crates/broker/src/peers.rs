//! What this broker's own sockets tell about the other brokers: when they were last heard, and which just died.

use std::cell::RefCell;
use std::collections::HashMap;

use tidelog_replication::PeerContact;
use tidelog_wire::types::BrokerId;

use crate::clock::Clock;

/// A death is believed for so long; by then the controller has said what became of the broker.
const DEATH_BELIEVED_MS: i64 = 2_000;
/// So long clients may take to act upon what changed, before the next change.
const NEWS_MS: i64 = 2_000;

/// Contacts with other brokers, on the shard's monotonic clock.
pub(crate) struct Peers {
    clock: Clock,
    last_heard_ms: RefCell<HashMap<BrokerId, i64>>,
    died_ms: RefCell<HashMap<BrokerId, i64>>,
    /// When the controller last changed what it says of a broker.
    spoken_of_ms: RefCell<HashMap<BrokerId, i64>>,
}

impl Peers {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, last_heard_ms: RefCell::default(), died_ms: RefCell::default(), spoken_of_ms: RefCell::default() }
    }

    /// A Fetch of the broker arrived, or an answer to one of ours.
    pub(crate) fn heard(&self, broker: BrokerId) {
        self.last_heard_ms.borrow_mut().insert(broker, self.clock.monotonic_ms());
        self.died_ms.borrow_mut().remove(&broker);
    }

    /// A connection from or to the broker ended.
    pub(crate) fn connection_died(&self, broker: BrokerId) {
        self.died_ms.borrow_mut().insert(broker, self.clock.monotonic_ms());
    }

    pub(crate) fn any_suspect(&self) -> bool {
        let now_ms = self.clock.monotonic_ms();
        self.died_ms.borrow().values().any(|died| now_ms - died < DEATH_BELIEVED_MS)
    }

    /// The controller said something new of the broker: what our sockets told is old news.
    pub(crate) fn image_spoke(&self, broker: BrokerId) {
        self.died_ms.borrow_mut().remove(&broker);
        self.spoken_of_ms.borrow_mut().insert(broker, self.clock.monotonic_ms());
    }

    /// The controller has only just said something new of the broker.
    pub(crate) fn is_news(&self, broker: BrokerId) -> bool {
        let spoken_of_ms = self.spoken_of_ms.borrow().get(&broker).copied();
        spoken_of_ms.is_some_and(|spoken| self.clock.monotonic_ms() - spoken < NEWS_MS)
    }

    /// A connection died and nothing has been heard since (DESIGN 7.11).
    pub(crate) fn is_suspect(&self, broker: BrokerId) -> bool {
        let died_ms = self.died_ms.borrow().get(&broker).copied();
        died_ms.is_some_and(|died| self.clock.monotonic_ms() - died < DEATH_BELIEVED_MS)
    }
}

impl PeerContact for Peers {
    fn last_heard_ms(&self, broker: BrokerId) -> i64 {
        self.last_heard_ms.borrow().get(&broker).copied().unwrap_or(i64::MIN)
    }
}
