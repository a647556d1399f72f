//! Who this node is: `meta.properties`, in Kafka's format.
//!
//! ```text
//! version=1
//! node.id=1
//! directory.id=<uuid of this disk>
//! cluster.id=<once the node has founded or joined a cluster>
//! ```
//! A directory id belongs to what is in the Raft store beside it. Where a cluster id is recorded but the store
//! is empty, the store was lost: the node takes a new directory id, so that nobody mistakes it for the voter it was.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rand::RngCore;
use tidelog_internal_api::raft as proto;
use tidelog_wire::{Str, Uuid};
use tokio::sync::watch;

use crate::machine::sync_directory;
use crate::raft::{NodeId, node_id_to_proto};

const FILE: &str = "meta.properties";

/// A fresh id that is none of Kafka's reserved ones.
pub(crate) fn random_uuid() -> Uuid {
    loop {
        let mut bytes = [0; 16];
        rand::rng().fill_bytes(&mut bytes);
        // The text form must not begin with a dash, which command lines take for an option.
        let uuid = Uuid(bytes);
        if !uuid.is_reserved() && !uuid.to_string().starts_with('-') {
            return uuid;
        }
    }
}

/// The contents of `meta.properties`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) node_id: i32,
    pub(crate) directory_id: Uuid,
    pub(crate) cluster_id: Option<Str>,
}

/// Why `meta.properties` cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{key} in {path} should be {expected} and is {found:?}")]
    Wrong { path: PathBuf, key: &'static str, expected: String, found: String },
}

impl Identity {
    /// Reads the file, or makes an identity for a new directory (not written yet).
    pub(crate) fn load_or_new(directory: &Path, node_id: i32) -> Result<Self, IdentityError> {
        let path = directory.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { node_id, directory_id: random_uuid(), cluster_id: None });
            }
            Err(error) => return Err(error.into()),
        };
        let properties: BTreeMap<&str, &str> = text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'))
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.trim(), value.trim()))
            .collect();
        let wrong = |key, expected: &str| {
            let found = properties.get(key).copied().unwrap_or_default().to_owned();
            IdentityError::Wrong { path: path.clone(), key, expected: expected.to_owned(), found }
        };
        if properties.get("node.id").and_then(|id| id.parse().ok()) != Some(node_id) {
            return Err(wrong("node.id", &node_id.to_string()));
        }
        let directory_id = properties.get("directory.id").and_then(|text| text.parse().ok());
        let directory_id = directory_id.ok_or_else(|| wrong("directory.id", "a uuid"))?;
        let cluster_id = properties.get("cluster.id").filter(|id| !id.is_empty());
        Ok(Self { node_id, directory_id, cluster_id: cluster_id.map(|id| Str::from((*id).to_owned())) })
    }

    /// Replaces the file; returns once it would survive a power cut.
    pub(crate) fn store(&self, directory: &Path) -> io::Result<()> {
        let mut text = format!("version=1\nnode.id={}\ndirectory.id={}\n", self.node_id, self.directory_id);
        if let Some(cluster_id) = &self.cluster_id {
            text.push_str(&format!("cluster.id={cluster_id}\n"));
        }
        let temporary = directory.join("meta.properties.tmp");
        let mut file = File::create(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, directory.join(FILE))?;
        sync_directory(directory)
    }

    pub(crate) fn raft_id(&self) -> NodeId {
        NodeId { id: self.node_id, directory: self.directory_id }
    }
}

/// The cluster id as far as it is known. Learned once, by founding or joining; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct ClusterId {
    known: Arc<watch::Sender<Option<Str>>>,
    record: Arc<Mutex<Record>>,
}

/// Where the id is written down.
#[derive(Debug)]
struct Record {
    identity: Identity,
    directory: PathBuf,
}

impl ClusterId {
    pub(crate) fn new(identity: Identity, directory: PathBuf) -> Self {
        let known = Arc::new(watch::Sender::new(identity.cluster_id.clone()));
        Self { known, record: Arc::new(Mutex::new(Record { identity, directory })) }
    }

    pub(crate) fn get(&self) -> Option<Str> {
        self.known.borrow().clone()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Option<Str>> {
        self.known.subscribe()
    }

    /// Learns the id, writing it down before anybody sees it: from then on an empty store beside it means a
    /// lost one. False if another id is known, or the directory cannot be written.
    pub(crate) fn learn(&self, cluster_id: Str) -> bool {
        if let Some(known) = self.get() {
            return known == cluster_id;
        }
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let identity = Identity { cluster_id: Some(cluster_id.clone()), ..record.identity.clone() };
        if let Err(error) = identity.store(&record.directory) {
            tracing::error!(%error, directory = %record.directory.display(), "cannot write meta.properties");
            return false;
        }
        record.identity = identity;
        self.known.send_replace(Some(cluster_id));
        true
    }

    /// Empty while unknown.
    pub(crate) fn to_bytes(&self) -> Bytes {
        self.get().map_or_else(Bytes::new, |id| Bytes::copy_from_slice(id.as_bytes()))
    }

    pub(crate) fn target(&self, node: &NodeId) -> proto::Target {
        proto::Target { cluster_id: self.to_bytes(), node: Some(node_id_to_proto(node)) }
    }
}

/// A cluster id on the wire; empty and malformed ones are none.
pub(crate) fn cluster_id_from_bytes(bytes: &[u8]) -> Option<Str> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| !text.is_empty() && !text.contains(char::is_control))?;
    Some(Str::from(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_loaded_and_another_node_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let made = Identity::load_or_new(directory.path(), 3).unwrap();
        let made = Identity { cluster_id: Some(Str::from("my cluster = MkU3OEVBNTcwNTJENDM2Qk==")), ..made };
        made.store(directory.path()).unwrap();
        assert_eq!(Identity::load_or_new(directory.path(), 3).unwrap(), made);
        let refused = Identity::load_or_new(directory.path(), 4).unwrap_err();
        assert!(refused.to_string().contains("node.id"), "{refused}");
    }

    #[test]
    fn a_cluster_id_once_learned_stays_and_is_written_down() {
        let directory = tempfile::tempdir().unwrap();
        let identity = Identity::load_or_new(directory.path(), 1).unwrap();
        let cluster_id = ClusterId::new(identity, directory.path().to_owned());
        assert!(cluster_id.learn(Str::from("seven")));
        assert!(!cluster_id.learn(Str::from("eight")));
        assert_eq!(cluster_id.get(), Some(Str::from("seven")));
        let stored = Identity::load_or_new(directory.path(), 1).unwrap();
        assert_eq!(stored.cluster_id, Some(Str::from("seven")));
    }
}
