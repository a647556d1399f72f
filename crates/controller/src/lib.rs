//! The metadata quorum: Raft over sled and gRPC around the pure decisions.
