//! How many connections there may be: in all, per listener, per address, and new ones per second.
//!
//! A listener without a free slot accepts nothing until there is one; whoever knocks waits in the kernel's queue. Where
//! brokers have a listener of their own, that one is protected, as in Kafka: `max.connections` and the broker-wide rate do
//! not hold it up, and for what it takes beyond them a client's connection is closed.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use tidelog_metadata::config::BrokerConfig;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::listener::ListenerInfo;
use crate::options::NetworkLimits;

/// Counts of one broker; a connection holds a [`Permit`] as long as it lives.
pub(crate) struct ConnectionLimits {
    connections_max: Cell<usize>,
    per_listener_max: HashMap<String, usize>,
    per_ip_max: Cell<usize>,
    creation_rate_max: Cell<f64>,
    open: Cell<usize>,
    per_listener: RefCell<HashMap<String, usize>>,
    per_ip: RefCell<HashMap<IpAddr, usize>>,
    /// Token bucket of one second's worth of new connections.
    tokens: Cell<(f64, Instant)>,
    closed: Notify,
}

/// Why a connection was closed right after it was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("max.connections.per.ip is reached")]
pub(crate) struct TooManyOfAddress;

/// One counted connection.
pub(crate) struct Permit {
    limits: Rc<ConnectionLimits>,
    listener: Rc<ListenerInfo>,
    address: IpAddr,
}

impl ConnectionLimits {
    pub(crate) fn new(limits: &NetworkLimits, now: Instant) -> Self {
        let creation_rate_max = limits.connection_creation_rate_max as f64;
        Self {
            connections_max: Cell::new(limits.connections_max),
            per_listener_max: limits.listener_connections_max.clone(),
            per_ip_max: Cell::new(limits.connections_per_ip_max),
            creation_rate_max: Cell::new(creation_rate_max),
            open: Cell::new(0),
            per_listener: RefCell::default(),
            per_ip: RefCell::default(),
            tokens: Cell::new((creation_rate_max, now)),
            closed: Notify::new(),
        }
    }

    /// Connections beyond a lowered limit stay; no other comes before they go.
    pub(crate) fn configure(&self, config: &BrokerConfig) {
        self.connections_max.set(config.max_connections);
        self.per_ip_max.set(config.max_connections_per_ip);
        self.creation_rate_max.set(config.max_connection_creation_rate as f64);
        // Who waits for a slot looks again.
        self.closed.notify_waiters();
    }

    pub(crate) fn open(&self) -> usize {
        self.open.get()
    }

    /// Whether a protected listener took more than there is room for: clients have to go.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.open.get() > self.connections_max.get()
    }

    /// Resolves when the listener may accept one more.
    pub(crate) async fn slot(&self, listener: &ListenerInfo) {
        while !self.has_slot(listener) {
            self.closed.notified().await;
        }
        if !listener.is_protected {
            while let Some(wait) = self.take_token(Instant::now()) {
                sleep(wait).await;
            }
        }
    }

    fn has_slot(&self, listener: &ListenerInfo) -> bool {
        let of_listener = self.per_listener.borrow().get(&listener.name).copied().unwrap_or(0);
        let listener_max = self.per_listener_max.get(&listener.name).copied().unwrap_or(usize::MAX);
        of_listener < listener_max && (listener.is_protected || self.open.get() < self.connections_max.get())
    }

    /// Counts a connection that was accepted with a slot.
    pub(crate) fn admit(
        self: &Rc<Self>,
        listener: &Rc<ListenerInfo>,
        address: IpAddr,
    ) -> Result<Permit, TooManyOfAddress> {
        let from_address = self.per_ip.borrow().get(&address).copied().unwrap_or(0);
        if from_address >= self.per_ip_max.get() {
            return Err(TooManyOfAddress);
        }
        self.open.set(self.open.get() + 1);
        *self.per_listener.borrow_mut().entry(listener.name.clone()).or_default() += 1;
        *self.per_ip.borrow_mut().entry(address).or_default() += 1;
        Ok(Permit { limits: Rc::clone(self), listener: Rc::clone(listener), address })
    }

    /// `Some` is how long to wait for the next.
    fn take_token(&self, now: Instant) -> Option<Duration> {
        let (tokens, last) = self.tokens.get();
        let refill = (now - last).as_secs_f64() * self.creation_rate_max.get();
        let tokens = (tokens + refill).min(self.creation_rate_max.get().max(1.0));
        let is_taken = tokens >= 1.0;
        self.tokens.set((if is_taken { tokens - 1.0 } else { tokens }, now));
        let missing = (1.0 - tokens) / self.creation_rate_max.get().max(1e-3);
        (!is_taken).then(|| Duration::from_secs_f64(missing).max(Duration::from_millis(1)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let limits = &self.limits;
        limits.open.set(limits.open.get() - 1);
        forget_one(&mut limits.per_listener.borrow_mut(), &self.listener.name);
        forget_one(&mut limits.per_ip.borrow_mut(), &self.address);
        limits.closed.notify_waiters();
    }
}

fn forget_one<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn limits(limits: NetworkLimits, now: Instant) -> Rc<ConnectionLimits> {
        Rc::new(ConnectionLimits::new(&limits, now))
    }

    fn listener(name: &str, is_protected: bool) -> Rc<ListenerInfo> {
        Rc::new(ListenerInfo { name: name.to_owned(), is_inter_broker: is_protected, is_protected })
    }

    fn address(last: u8) -> IpAddr {
        Ipv4Addr::new(127, 0, 0, last).into()
    }

    #[test]
    fn a_closed_connection_makes_room_for_another() {
        let options = NetworkLimits { connections_max: 2, connections_per_ip_max: 1, ..NetworkLimits::default() };
        let (limits, listener) = (limits(options, Instant::now()), listener("A", false));
        let first = limits.admit(&listener, address(1)).ok();
        assert_eq!(limits.admit(&listener, address(1)).err(), Some(TooManyOfAddress));
        let second = limits.admit(&listener, address(2)).ok();
        assert!(!limits.has_slot(&listener));
        drop(first);
        assert!(limits.has_slot(&listener) && limits.admit(&listener, address(1)).is_ok());
        drop(second);
        assert_eq!(limits.open(), 0);
    }

    #[test]
    fn clients_fill_their_own_listener_and_never_that_of_the_brokers() {
        let per_listener = HashMap::from([("A".to_owned(), 1), ("R".to_owned(), 2)]);
        let options =
            NetworkLimits { connections_max: 2, listener_connections_max: per_listener, ..NetworkLimits::default() };
        let limits = limits(options, Instant::now());
        let (a, b, brokers) = (listener("A", false), listener("B", false), listener("R", true));
        let mut held = vec![limits.admit(&a, address(1)).ok()];
        assert!(!limits.has_slot(&a) && limits.has_slot(&b));
        held.push(limits.admit(&b, address(1)).ok());
        assert!(!limits.has_slot(&b) && limits.has_slot(&brokers) && !limits.is_exceeded());
        held.push(limits.admit(&brokers, address(1)).ok());
        assert!(limits.is_exceeded(), "a client has to go");
        held.push(limits.admit(&brokers, address(1)).ok());
        assert!(!limits.has_slot(&brokers), "its own limit holds for it too");
    }

    #[test]
    fn new_connections_come_at_most_at_the_rate() {
        let start = Instant::now();
        let limits = limits(NetworkLimits { connection_creation_rate_max: 2, ..NetworkLimits::default() }, start);
        assert_eq!((limits.take_token(start), limits.take_token(start)), (None, None));
        assert_eq!(limits.take_token(start), Some(Duration::from_millis(500)));
        assert_eq!(limits.take_token(start + Duration::from_millis(600)), None);
    }
}
