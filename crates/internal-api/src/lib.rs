//! Generated gRPC and protobuf code of the listeners between nodes, from `proto/*.proto`.
//!
//! Nothing here is written by hand: what the messages mean is said in the proto files, what is done
//! with them in the controller crate. `bytes` fields are [`bytes::Bytes`], slices of what was received.

#![forbid(unsafe_code)]
#![allow(missing_docs, clippy::all)]

/// Raft: votes, log, snapshots.
pub mod raft {
    tonic::include_proto!("tidelog.raft");
}

/// Nodes meeting before they are a cluster.
pub mod formation {
    tonic::include_proto!("tidelog.formation");
}

/// Requests to the active controller and broker sessions.
pub mod controller {
    tonic::include_proto!("tidelog.controller");
}

/// Metadata records as they stand in the Raft log and in snapshots.
pub mod metadata {
    tonic::include_proto!("tidelog.metadata");
}
