//! Host names to addresses, without blocking the runtime.
//!
//! getaddrinfo can block for many seconds when the network is gone, and a runtime waits for its blocking threads when it
//! is dropped. So each look-up runs on a thread of its own that nobody joins, under the caller's deadline, and the last
//! good answer serves while a new one cannot be had.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// Names remembered; a client talks to the brokers of a few clusters.
const REMEMBERED_MAX: usize = 1024;

static LAST_GOOD: LazyLock<Mutex<HashMap<String, Vec<IpAddr>>>> = LazyLock::new(Mutex::default);

/// All addresses of `host`, in the resolver's order, at least one.
pub async fn resolve(host: &str, port: u16, within: Duration) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let addresses = match look_up(host, within).await {
        Ok(found) => {
            remember(host, &found);
            found
        }
        Err(error) => remembered(host).ok_or(error)?,
    };
    Ok(addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect())
}

async fn look_up(host: &str, within: Duration) -> io::Result<Vec<IpAddr>> {
    let (answer, answered) = oneshot::channel();
    let name = host.to_owned();
    std::thread::Builder::new().name("resolve".to_owned()).stack_size(256 << 10).spawn(move || {
        let found = (name.as_str(), 0).to_socket_addrs();
        // Nobody listens any more once the deadline is over.
        let _ = answer.send(found.map(|all| all.map(|address| address.ip()).collect::<Vec<_>>()));
    })?;
    let found = tokio::time::timeout(within, answered)
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "name look-up timed out"))?
        .map_err(io::Error::other)??;
    match found.is_empty() {
        true => Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address")),
        false => Ok(found),
    }
}

fn remember(host: &str, addresses: &[IpAddr]) {
    let mut known = LAST_GOOD.lock().unwrap_or_else(PoisonError::into_inner);
    if known.len() < REMEMBERED_MAX || known.contains_key(host) {
        known.insert(host.to_owned(), addresses.to_vec());
    }
}

fn remembered(host: &str) -> Option<Vec<IpAddr>> {
    LAST_GOOD.lock().unwrap_or_else(PoisonError::into_inner).get(host).cloned()
}
