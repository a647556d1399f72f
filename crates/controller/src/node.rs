//! Puts a node's part of the quorum together and takes it apart again.

use std::path::PathBuf;

use crate::ControllerHandle;
use crate::options::ControllerOptions;

/// Entry point of the crate.
pub struct Controller;

/// Why a node does not start. The messages are for people.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot use {path}: {source}")]
    Directory { path: PathBuf, source: std::io::Error },
    /// The directory belongs to another node or cluster.
    #[error("{path} belongs to {found}, but this is {expected}; point this node at its own directory")]
    WrongDirectory { path: PathBuf, found: String, expected: String },
    #[error("cannot listen on {address}: {source}")]
    Listen { address: String, source: std::io::Error },
    /// The Raft store is damaged and no quorum can do without it.
    #[error("the metadata store in {path} is damaged ({reason}) and no quorum exists without it; restore it from a backup")]
    DamagedStore { path: PathBuf, reason: String },
    #[error("{0}")]
    Invalid(String),
    #[error("raft could not start: {0}")]
    Raft(String),
}

impl Controller {
    /// Starts the node's part in the quorum on the current runtime, which should be the control thread's.
    /// Returns as soon as the node listens and its store is open; a cluster may not exist yet by then
    /// (watch [`ControllerHandle::status`] and the image).
    pub async fn start(options: ControllerOptions) -> Result<ControllerHandle, StartError> {
        Err(StartError::Invalid(format!("node {} cannot start yet", options.node_id)))
    }
}
