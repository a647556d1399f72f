//! Sockets of the gRPC listener and the connections to other nodes'.

mod dial;
mod listen;
mod resolve;

pub(crate) use dial::{CONNECTION_WINDOW_BYTES, Dialer, Peer, STREAM_WINDOW_BYTES};
pub(crate) use listen::{accepted, bind};
