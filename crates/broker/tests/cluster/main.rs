//! Brokers in one process, with the real controller, real sockets and real files: what a client sees of the data plane.

mod bad_input;
mod configs;
mod every_api;
mod fetching;
mod groups;
mod harness;
mod nearby;
mod placement;
mod producing;
mod replication;
mod waiting;
