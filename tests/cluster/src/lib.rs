//! The harness of the cluster and compatibility tests.
//!
//! A scenario is verbs on named replicas of a [`Cluster`] of real server processes, under the load of
//! independent clients ([`writer`]); what must hold is checked apart from it ([`history`], [`segments`]).
//! `TIDELOG_TEST_TARGET=kafka` runs the scenarios against Apache Kafka, so that their own mistakes show;
//! `TIDELOG_BIN` names a binary to test instead of the one built from this tree.

pub mod cluster;
pub mod external;
pub mod fat;
pub mod history;
pub mod nemesis;
pub mod network;
pub mod ports;
pub mod probe;
pub mod process;
pub mod reader;
pub mod scenario;
pub mod segments;
pub mod soak;
mod sockets;
pub mod target;
pub mod wait;
pub mod writer;

pub use cluster::{Cluster, Spec};
pub use scenario::{kafka_differs, scenario};
pub use target::Target;
pub use writer::Writer;
