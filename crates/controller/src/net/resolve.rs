//! Host names to addresses, without letting a name server hold anybody up.
//!
//! `getaddrinfo` blocks for ten seconds and more on a machine cut off from its network, and nothing can
//! interrupt it. It runs on a thread of its own that nobody ever joins; whoever waits has a deadline and
//! falls back to the last address that was found.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// After this the last known address is used.
const LOOKUP_WAIT_MAX: Duration = Duration::from_millis(500);

/// Addresses by host and port.
type LastGood = HashMap<(String, u16), Vec<SocketAddr>>;

/// Cheap to clone; clones share the cache.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resolver {
    last_good: Arc<Mutex<LastGood>>,
}

impl Resolver {
    /// Addresses of a host, to be tried in order. Never empty.
    pub(crate) async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let found = match tokio::time::timeout(LOOKUP_WAIT_MAX, look_up(host.to_owned(), port)).await {
            Ok(found) => found,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("looking up {host} takes too long"))),
        };
        match found {
            Ok(addresses) => {
                self.cache().insert((host.to_owned(), port), addresses.clone());
                Ok(addresses)
            }
            Err(error) => self.cache().get(&(host.to_owned(), port)).cloned().ok_or(error),
        }
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, LastGood> {
        self.last_good.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn look_up(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    let (done, found) = oneshot::channel();
    std::thread::Builder::new().name("resolve".into()).spawn(move || {
        let addresses = (host.as_str(), port).to_socket_addrs().map(|addresses| addresses.collect::<Vec<_>>());
        let addresses = addresses.and_then(|addresses| {
            if addresses.is_empty() { Err(io::Error::other(format!("{host} has no address"))) } else { Ok(addresses) }
        });
        let _ = done.send(addresses);
    })?;
    found.await.unwrap_or_else(|_| Err(io::Error::other("the look-up thread is gone")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn literal_addresses_need_no_look_up() {
        let resolver = Resolver::default();
        let addresses = resolver.resolve("127.0.0.1", 9093).await.unwrap();
        assert_eq!(addresses, ["127.0.0.1:9093".parse().unwrap()]);
        assert_eq!(resolver.resolve("[::1]", 1).await.unwrap(), ["[::1]:1".parse().unwrap()]);
    }

    #[tokio::test]
    async fn a_name_that_no_longer_resolves_keeps_its_last_address() {
        let resolver = Resolver::default();
        let known = vec!["127.0.0.1:7".parse().unwrap()];
        resolver.cache().insert(("no-such-host.invalid".into(), 7), known.clone());
        assert_eq!(resolver.resolve("no-such-host.invalid", 7).await.unwrap(), known);
        assert!(resolver.resolve("other-host.invalid", 7).await.is_err());
    }
}
