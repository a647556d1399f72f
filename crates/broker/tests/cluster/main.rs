//! Brokers in one process, with the real controller, real sockets and real files: what a client sees of the data plane.

mod bad_input;
mod fetching;
mod harness;
mod producing;
mod replication;
