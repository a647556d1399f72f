//! The gRPC listener. tonic ignores its own nodelay setting for sockets it is handed, so it is set here;
//! without it a call takes 44 ms.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::Stream;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::options::Listener;

const BACKLOG: i32 = 128;

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

/// Accepted sockets with nodelay set. A socket that cannot be accepted (too many open files) is skipped.
pub(crate) struct Accepted(pub(crate) TcpListener);

impl Stream for Accepted {
    type Item = io::Result<TcpStream>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let accepted = ready!(self.0.poll_accept(context));
        Poll::Ready(Some(accepted.and_then(|(stream, _)| {
            stream.set_nodelay(true)?;
            Ok(stream)
        })))
    }
}
