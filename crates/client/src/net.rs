//! The one place that names the network, so that a simulated one can take its place.

pub(crate) use tokio::net::TcpStream;
pub(crate) use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
