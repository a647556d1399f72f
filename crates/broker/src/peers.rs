//! What this broker's own sockets tell about the other brokers: when they were last heard, and which just died.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

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
    /// When the controller's word on a broker came that we had seen to die.
    settled_ms: RefCell<HashMap<BrokerId, i64>>,
}

impl Peers {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, last_heard_ms: RefCell::default(), died_ms: RefCell::default(), settled_ms: RefCell::default() }
    }

    /// A Fetch of the broker arrived, or an answer to one of ours.
    pub(crate) fn heard(&self, broker: BrokerId) {
        self.last_heard_ms.borrow_mut().insert(broker, self.clock.monotonic_ms());
        self.died_ms.borrow_mut().remove(&broker);
    }

    /// Any other broker at all.
    pub(crate) fn any_heard_within(&self, time: Duration) -> bool {
        let since_ms = self.clock.monotonic_ms() - time.as_millis() as i64;
        self.last_heard_ms.borrow().values().any(|heard| *heard > since_ms)
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
        if self.died_ms.borrow_mut().remove(&broker).is_some() {
            self.settled_ms.borrow_mut().insert(broker, self.clock.monotonic_ms());
        }
    }

    /// We saw it die, and the controller has only just said what that means. One that merely fell silent is not meant: it
    /// may be alive, cut off from everybody but the clients, and must not be asked.
    pub(crate) fn has_just_died(&self, broker: BrokerId) -> bool {
        let settled_ms = self.settled_ms.borrow().get(&broker).copied();
        settled_ms.is_some_and(|settled| self.clock.monotonic_ms() - settled < NEWS_MS)
    }

    /// A connection died and nothing has been heard since (docs/REPLICATION.md R11).
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
