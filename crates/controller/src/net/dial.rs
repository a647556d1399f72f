//! Connections to other nodes, by purpose.
//!
//! A snapshot of megabytes must not delay a batch of records, and neither may delay a heartbeat or a vote,
//! so each purpose has its own TCP connection. A channel connects when it is first used and again after
//! it broke; the call that finds it broken gets the error.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint, Uri};

use super::resolve::Resolver;

const CONNECT_WAIT_MAX: Duration = Duration::from_secs(1);
pub(crate) const STREAM_WINDOW_BYTES: u32 = 4 << 20;
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// How long [`Dialer::brief_channel`] gives out the same channel. Longer than a connection may take, and short enough
/// that one that hangs since the peer was cut off delays nobody for long.
const BRIEF: Duration = Duration::from_millis(1500);

/// Makes channels. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Dialer {
    resolver: Resolver,
    brief: Arc<Mutex<HashMap<Peer, (Instant, Channel)>>>,
}

/// Where a node listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Peer {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Dialer {
    /// A channel of its own connection, not connected yet.
    pub(crate) fn channel(&self, peer: &Peer) -> Channel {
        let peer = peer.clone();
        self.channel_to(move || peer.clone())
    }

    /// As [`Dialer::channel`], to a node that may move: it is asked for its place whenever a connection is made.
    pub(crate) fn channel_to(&self, place: impl Fn() -> Peer + Send + Sync + 'static) -> Channel {
        let dialer = self.clone();
        let connector = tower::service_fn(move |_: Uri| {
            let (dialer, peer) = (dialer.clone(), place());
            async move { dialer.connect(&peer).await.map(TokioIo::new) }
        });
        // The connector knows where to go; this is only what HTTP puts into its authority header.
        Endpoint::from_static("http://node.tidelog")
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .connect_timeout(CONNECT_WAIT_MAX)
            .connect_with_connector_lazy(connector)
    }

    /// For small questions with short deadlines, such as votes. A connection that takes longer to make than one of them
    /// waits is there for the next: with a new one for each, a slow network would never elect anybody.
    pub(crate) fn brief_channel(&self, peer: &Peer) -> Channel {
        let mut brief = self.brief.lock().unwrap_or_else(PoisonError::into_inner);
        brief.retain(|_, (made, _)| made.elapsed() < BRIEF);
        let (_, channel) = brief.entry(peer.clone()).or_insert_with(|| (Instant::now(), self.channel(peer)));
        channel.clone()
    }

    /// One TCP connection, tried address by address.
    pub(crate) async fn connect(&self, peer: &Peer) -> io::Result<TcpStream> {
        let mut last = io::Error::other("no address");
        for address in self.resolver.resolve(&peer.host, peer.port).await? {
            match tokio::time::timeout(CONNECT_WAIT_MAX, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Ok(Err(error)) => last = error,
                Err(_) => {
                    last = io::Error::new(io::ErrorKind::TimedOut, format!("connecting to {address} takes too long"))
                }
            }
        }
        Err(last)
    }
}
