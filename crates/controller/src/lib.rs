//! The metadata quorum: Raft over sled and gRPC around the pure decisions of the `metadata` crate.
//!
//! [`Controller::start`] runs a node's part in the quorum and returns a [`ControllerHandle`]. Every node
//! has one: configured voters decide, all other brokers are learners, so the metadata log reaches every
//! broker by Raft itself. The leader of the quorum is the *active controller*: it decides requests against
//! its applied image, writes the records as one Raft entry per round, and answers once they are applied.
//!
//! This is the only crate that knows openraft, sled and tonic.

mod active;
mod codec;
mod failover;
mod formation;
mod forward;
mod handle;
mod identity;
mod kafka;
mod limits;
mod machine;
mod net;
mod node;
mod options;
mod quorum;
mod raft;
mod recovery;
mod services;
mod session;
mod shared;
mod store;

pub use handle::{ControllerHandle, ControllerStatus, NodeFacts, SubmitError};
pub use kafka::describe_quorum;
pub use node::{Controller, StartError};
pub use options::{ControllerOptions, Listener, Roles, Timing, Voter};
pub use quorum::{Quorum, QuorumError, QuorumReplica};
pub use session::{BrokerHealth, BrokerSession, HealthProbe, SessionState};
