//! The gRPC listener. tonic ignores its own nodelay setting for sockets it is handed, so it is set here;
//! without it a call takes 44 ms.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures::Stream;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::options::Listener;

const BACKLOG: i32 = 128;
const RETRY: Duration = Duration::from_millis(100);

/// Must be called on the runtime that will accept.
pub(crate) fn bind(listener: Listener) -> io::Result<TcpListener> {
    let listener = match listener {
        Listener::Bound(listener) => listener,
        Listener::Bind(address) => {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
            // A restarted node gets its port back although old connections linger.
            socket.set_reuse_address(true)?;
            socket.bind(&SocketAddr::into(address))?;
            socket.listen(BACKLOG)?;
            socket.into()
        }
    };
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Accepted sockets with nodelay set. When none can be accepted (too many open files) it waits and tries
/// again: the listener must outlive that.
pub(crate) fn accepted(listener: TcpListener) -> impl Stream<Item = io::Result<TcpStream>> {
    futures::stream::unfold(listener, |listener| async {
        loop {
            match listener.accept().await.and_then(|(stream, _)| stream.set_nodelay(true).map(|()| stream)) {
                Ok(stream) => return Some((Ok(stream), listener)),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a node's connection");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    })
}
