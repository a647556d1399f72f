//! Sockets of the gRPC listener and the connections to other nodes'.

mod dial;
mod listen;
mod resolve;

pub(crate) use dial::{Dialer, Peer};
pub(crate) use listen::{Accepted, bind};
