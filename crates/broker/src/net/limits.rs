//! How many connections there may be: in all, per address, and new ones per second.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

use tokio::time::Instant;

use crate::options::NetworkLimits;

/// Counts of one broker; a connection holds a [`Permit`] as long as it lives.
pub(crate) struct ConnectionLimits {
    connections_max: usize,
    per_ip_max: usize,
    creation_rate_max: f64,
    open: Cell<usize>,
    per_ip: RefCell<HashMap<IpAddr, usize>>,
    /// Token bucket of one second's worth of new connections.
    tokens: Cell<(f64, Instant)>,
}

/// Why a connection was closed right after it was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("max.connections is reached")]
    InAll,
    #[error("max.connections.per.ip is reached")]
    PerAddress,
    #[error("max.connection.creation.rate is reached")]
    Rate,
}

/// One counted connection.
pub(crate) struct Permit {
    limits: Rc<ConnectionLimits>,
    address: IpAddr,
}

impl ConnectionLimits {
    pub(crate) fn new(limits: &NetworkLimits, now: Instant) -> Self {
        let creation_rate_max = limits.connection_creation_rate_max as f64;
        Self {
            connections_max: limits.connections_max,
            per_ip_max: limits.connections_per_ip_max,
            creation_rate_max,
            open: Cell::new(0),
            per_ip: RefCell::default(),
            tokens: Cell::new((creation_rate_max, now)),
        }
    }

    pub(crate) fn open(&self) -> usize {
        self.open.get()
    }

    pub(crate) fn admit(self: &Rc<Self>, address: IpAddr, now: Instant) -> Result<Permit, Refused> {
        if self.open.get() >= self.connections_max {
            return Err(Refused::InAll);
        }
        let from_address = self.per_ip.borrow().get(&address).copied().unwrap_or(0);
        if from_address >= self.per_ip_max {
            return Err(Refused::PerAddress);
        }
        if !self.take_token(now) {
            return Err(Refused::Rate);
        }
        self.open.set(self.open.get() + 1);
        *self.per_ip.borrow_mut().entry(address).or_default() += 1;
        Ok(Permit { limits: Rc::clone(self), address })
    }

    fn take_token(&self, now: Instant) -> bool {
        let (tokens, last) = self.tokens.get();
        let refill = (now - last).as_secs_f64() * self.creation_rate_max;
        let tokens = (tokens + refill).min(self.creation_rate_max);
        let admitted = tokens >= 1.0;
        self.tokens.set((if admitted { tokens - 1.0 } else { tokens }, now));
        admitted
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let limits = &self.limits;
        limits.open.set(limits.open.get() - 1);
        let mut per_ip = limits.per_ip.borrow_mut();
        if let Some(count) = per_ip.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                per_ip.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    fn limits(connections_max: usize, per_ip: usize, rate: usize, now: Instant) -> Rc<ConnectionLimits> {
        let limits = NetworkLimits {
            connections_max,
            connections_per_ip_max: per_ip,
            connection_creation_rate_max: rate,
            ..NetworkLimits::default()
        };
        Rc::new(ConnectionLimits::new(&limits, now))
    }

    fn address(last: u8) -> IpAddr {
        Ipv4Addr::new(127, 0, 0, last).into()
    }

    #[test]
    fn a_closed_connection_makes_room_for_another() {
        let now = Instant::now();
        let limits = limits(2, 1, 100, now);
        let first = limits.admit(address(1), now).ok();
        assert_eq!(limits.admit(address(1), now).err(), Some(Refused::PerAddress));
        let second = limits.admit(address(2), now).ok();
        assert_eq!(limits.admit(address(3), now).err(), Some(Refused::InAll));
        drop(first);
        assert!(limits.admit(address(1), now).is_ok());
        drop(second);
        assert_eq!(limits.open(), 0);
    }

    #[test]
    fn new_connections_come_at_most_at_the_rate() {
        let start = Instant::now();
        let limits = limits(100, 100, 2, start);
        let _held: Vec<_> = (0..2).map(|_| limits.admit(address(1), start).ok()).collect();
        assert_eq!(limits.admit(address(1), start).err(), Some(Refused::Rate));
        assert!(limits.admit(address(1), start + Duration::from_millis(600)).is_ok());
    }
}
