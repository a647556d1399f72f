//! What is on this node's disk, and what to do if it is not what it should be.
//!
//! ```text
//! store whole                                    -> go on as who we were
//! store empty, no cluster recorded beside it     -> a new node
//! store empty, but a cluster recorded            -> the store was lost: a new directory id
//! store or snapshot damaged, quorum without us   -> set it aside, a new directory id
//! store or snapshot damaged, no such quorum      -> refuse to start
//! ```
//! With a new directory id the node asks to join as a learner and later takes its own old place.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::formation::greet;
use crate::identity::{Identity, random_uuid};
use crate::machine::{Machine, Published, SnapshotError, sync_directory};
use crate::net::Dialer;
use crate::node::StartError;
use crate::options::ControllerOptions;
use crate::store::{LogStore, OpenError, open as open_store};

const RETRY: Duration = Duration::from_millis(200);

/// Everything the node keeps, open and checked.
pub(crate) struct Stored {
    pub(crate) identity: Identity,
    pub(crate) store: LogStore,
    pub(crate) machine: Machine,
    pub(crate) published: Published,
}

/// Opens what is there. Waits for the other voters if the store is damaged.
pub(crate) async fn open(
    options: &ControllerOptions,
    mut identity: Identity,
    dialer: &Dialer,
) -> Result<Stored, StartError> {
    let directory = &options.directory;
    let (store, machine, published) = match open_both(directory).await {
        Ok(opened) => opened,
        Err(Trouble::Io(error)) => return Err(StartError::directory(directory, error)),
        Err(Trouble::Damaged(reason)) => {
            tracing::error!(%reason, directory = %directory.display(), "the metadata store is damaged");
            await_quorum_of_others(options, dialer, &reason).await?;
            set_aside(directory).map_err(|error| StartError::directory(directory, error))?;
            open_both(directory).await.map_err(|trouble| StartError::directory(directory, trouble.into_io()))?
        }
    };
    if store.is_empty() && identity.cluster_id.is_some() {
        identity.directory_id = random_uuid();
        tracing::warn!(directory_id = %identity.directory_id, "the metadata store is empty: this node joins anew");
    }
    identity.store(directory).map_err(|error| StartError::directory(directory, error))?;
    Ok(Stored { identity, store, machine, published })
}

enum Trouble {
    Damaged(String),
    Io(std::io::Error),
}

impl Trouble {
    fn into_io(self) -> std::io::Error {
        match self {
            Self::Io(error) => error,
            Self::Damaged(reason) => std::io::Error::other(reason),
        }
    }
}

fn raft_path(directory: &Path) -> PathBuf {
    directory.join("raft")
}

fn snapshots_path(directory: &Path) -> PathBuf {
    directory.join("snapshots")
}

/// Reads the whole log, so not on the control thread.
async fn open_both(directory: &Path) -> Result<(LogStore, Machine, Published), Trouble> {
    let directory = directory.to_owned();
    let opened = tokio::task::spawn_blocking(move || {
        let store = open_store(&raft_path(&directory)).map_err(|error| match error {
            OpenError::Damaged(reason) => Trouble::Damaged(reason),
            OpenError::Io(error) => Trouble::Io(error),
        })?;
        let (machine, published) = Machine::open(snapshots_path(&directory)).map_err(|error| match error {
            SnapshotError::Io { source, .. } => Trouble::Io(source),
            damaged @ SnapshotError::Damaged(_) => Trouble::Damaged(damaged.to_string()),
        })?;
        if store.begins_after(machine.last_log_index()) {
            return Err(Trouble::Damaged("the snapshot that the log builds on is missing".into()));
        }
        Ok((store, machine, published))
    });
    opened.await.unwrap_or_else(|error| Err(Trouble::Io(std::io::Error::other(error))))
}

/// Returns once so many other voters know the cluster that they are a quorum by themselves.
async fn await_quorum_of_others(options: &ControllerOptions, dialer: &Dialer, reason: &str) -> Result<(), StartError> {
    let others: Vec<_> = options.voters.iter().filter(|voter| voter.node_id != options.node_id).collect();
    let quorum = options.voters.len() / 2 + 1;
    if others.len() < quorum {
        return Err(StartError::DamagedStore { path: options.directory.clone(), reason: reason.to_owned() });
    }
    tracing::warn!(voters = ?others.iter().map(|voter| voter.node_id).collect::<Vec<_>>(), "waiting for a quorum of these voters");
    loop {
        let greetings = futures::future::join_all(others.iter().map(|voter| greet(dialer, voter))).await;
        let members =
            greetings.into_iter().flatten().filter(|greeting| greeting.cluster_id.is_some() && !greeting.empty);
        if members.count() >= quorum {
            return Ok(());
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Keeps the damaged files under another name, for whoever wants to know what happened.
fn set_aside(directory: &Path) -> std::io::Result<()> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    for path in [raft_path(directory), snapshots_path(directory)] {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".damaged-{seconds}"));
        match std::fs::rename(&path, &name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    sync_directory(directory)
}
