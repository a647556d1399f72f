//! Sockets: listeners, connections, frames, and the limits a peer meets.
//!
//! Nothing here knows what a request means: a complete frame goes to [`crate::dispatch`] with a [`Ticket`] that
//! its answer comes back through.

mod budget;
mod connection;
mod frames;
mod held;
mod limits;
mod listener;
mod log_limit;
mod notify;
mod outbox;
mod request_budget;

pub(crate) use budget::ResponseBudget;
pub(crate) use connection::ConnectionInfo;
pub(crate) use frames::{BadFrameLength, FrameBuffer};
pub(crate) use held::HeldRequests;
pub(crate) use limits::ConnectionLimits;
pub(crate) use listener::{BoundListener, ListenerInfo, OpenConnections, sweep_connections};
pub(crate) use log_limit::LogLimit;
pub(crate) use notify::LocalNotify;
pub(crate) use outbox::Ticket;
pub(crate) use request_budget::RequestBudget;

/// The one name through which this crate reaches the network, so that a simulation can put another in its place.
pub(crate) mod tcp {
    pub(crate) use tokio::net::TcpStream;
    pub(crate) use tokio::net::tcp::{ReadHalf, WriteHalf};
    pub(crate) type TcpListener = tokio::net::TcpListener;
}
