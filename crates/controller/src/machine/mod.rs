//! The state machine: the cluster image, the last batch in it, and the recent operations with their answers.
//!
//! ```text
//! committed entry -> decode -> decided on the last batch? -> apply each record -> publish Applied
//!                                      no: the entry is void, on every node alike
//! ```
//!
//! It lives in memory. After a restart it is the last snapshot plus the committed entries after it. A record
//! that cannot be decoded or does not fit the image stops the node: going on would mean to differ from the others.

mod operations;
mod snapshot;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine, Snapshot, SnapshotMeta};
use openraft::{EntryPayload, OptionalSend};
use prost::Message;
use tidelog_internal_api::metadata as proto;
use tidelog_metadata::Image;
use tokio::sync::watch;

pub(crate) use operations::{OperationId, Operations};
pub(crate) use snapshot::{SnapshotDirectory, SnapshotError, sync_directory};

use crate::codec::record_from_proto;
use crate::raft::{EncodedBatch, LogId, StoredMembership, TypeConfig, Written};

pub(crate) type MachineSnapshot = openraft::alias::SnapshotOf<TypeConfig, Bytes>;

/// Everything the applied log says, at one moment. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Applied {
    pub(crate) image: Arc<Image>,
    /// Log index of the last batch that changed the image; 0 before the first.
    pub(crate) last_batch: u64,
    pub(crate) operations: Operations,
    pub(crate) last_log_id: Option<LogId>,
    pub(crate) membership: StoredMembership,
}

/// The records of one round and the requests they answer, as they are proposed.
pub(crate) fn encode_batch(
    decided_on: u64,
    records: Vec<proto::Record>,
    operations: Vec<proto::Operation>,
) -> EncodedBatch {
    EncodedBatch(proto::Batch { decided_on, records, operations }.encode_to_vec().into())
}

/// openraft's state machine. Owned by openraft's worker; everyone else watches what it publishes.
pub(crate) struct Machine {
    applied: Applied,
    published: watch::Sender<Arc<Applied>>,
    image: watch::Sender<Arc<Image>>,
    snapshots: SnapshotDirectory,
}

/// What the machine tells the node.
pub(crate) struct Published {
    pub(crate) applied: watch::Receiver<Arc<Applied>>,
    /// The image alone, for those who only care when that changes.
    pub(crate) image: watch::Receiver<Arc<Image>>,
}

impl Machine {
    /// Starts from the newest snapshot in `directory`, or from nothing.
    pub(crate) fn open(directory: PathBuf) -> Result<(Self, Published), SnapshotError> {
        let snapshots = SnapshotDirectory::open(directory)?;
        let applied = match snapshots.current()? {
            Some(file) => snapshot::decode(&file)?,
            None => Applied::default(),
        };
        let (published, applied_watch) = watch::channel(Arc::new(applied.clone()));
        let (image, image_watch) = watch::channel(Arc::clone(&applied.image));
        Ok((Self { applied, published, image, snapshots }, Published { applied: applied_watch, image: image_watch }))
    }

    /// Index of the last entry in the snapshot the machine started from.
    pub(crate) fn last_log_index(&self) -> Option<u64> {
        self.applied.last_log_id.map(|log_id| log_id.index)
    }

    fn apply_entry(&mut self, payload: &EntryPayloadOf, log_id: LogId) -> io::Result<Written> {
        let written = match payload {
            EntryPayload::Blank => Written::NotABatch,
            EntryPayload::Membership(membership) => {
                self.applied.membership = StoredMembership::new(Some(log_id), membership.clone());
                Written::NotABatch
            }
            EntryPayload::Normal(batch) => self.apply_batch(batch, log_id)?,
        };
        self.applied.last_log_id = Some(log_id);
        Ok(written)
    }

    fn apply_batch(&mut self, batch: &EncodedBatch, log_id: LogId) -> io::Result<Written> {
        let fatal = |reason: String| {
            io::Error::new(io::ErrorKind::InvalidData, format!("metadata batch {}: {reason}", log_id.index))
        };
        let batch = proto::Batch::decode(batch.0.clone()).map_err(|error| fatal(error.to_string()))?;
        if batch.decided_on != self.applied.last_batch {
            return Ok(Written::Overtaken);
        }
        let mut image = Image::clone(&self.applied.image);
        for record in batch.records {
            let record = record_from_proto(record).map_err(|error| fatal(error.to_string()))?;
            image.apply(&record).map_err(|error| fatal(error.to_string()))?;
        }
        for operation in batch.operations {
            self.applied.operations.remember(operation);
        }
        self.applied.image = Arc::new(image);
        self.applied.last_batch = log_id.index;
        Ok(Written::Applied)
    }

    fn publish(&self) {
        self.published.send_replace(Arc::new(self.applied.clone()));
        self.image.send_if_modified(|image| {
            let changed = !Arc::ptr_eq(image, &self.applied.image);
            *image = Arc::clone(&self.applied.image);
            changed
        });
    }
}

type EntryPayloadOf = openraft::alias::PayloadOf<TypeConfig>;

impl RaftStateMachine<TypeConfig> for Machine {
    /// A whole snapshot file. An image of 10,000 partitions is about a megabyte, so it travels in memory.
    type SnapshotData = Bytes;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.applied.last_log_id, self.applied.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            let written = self.apply_entry(&entry.payload, entry.log_id)?;
            // Published before it is answered: who was answered must find it in the image.
            self.publish();
            if let Some(responder) = responder {
                responder.send(written);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        Builder { applied: self.applied.clone(), snapshots: self.snapshots.clone() }
    }

    async fn install_snapshot(&mut self, _meta: &SnapshotMetaOf, snapshot: Bytes) -> Result<(), io::Error> {
        let applied = snapshot::decode(&snapshot).map_err(io::Error::other)?;
        let snapshots = self.snapshots.clone();
        let log_id = applied.last_log_id;
        blocking(move || snapshots.store(log_id, &snapshot)).await?;
        self.applied = applied;
        self.publish();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<MachineSnapshot>, io::Error> {
        let snapshots = self.snapshots.clone();
        let Some(file) = blocking(move || snapshots.current()).await? else { return Ok(None) };
        let applied = snapshot::decode(&file).map_err(io::Error::other)?;
        Ok(Some(Snapshot { meta: meta_of(&applied), snapshot: file }))
    }
}

type SnapshotMetaOf = openraft::alias::SnapshotMetaOf<TypeConfig>;

fn meta_of(applied: &Applied) -> SnapshotMetaOf {
    SnapshotMeta { last_log_id: applied.last_log_id, last_membership: applied.membership.clone() }
}

/// Writes one view of the state to a file while the machine goes on.
pub(crate) struct Builder {
    applied: Applied,
    snapshots: SnapshotDirectory,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = Bytes;

    async fn build_snapshot(&mut self) -> Result<MachineSnapshot, io::Error> {
        let (applied, snapshots) = (self.applied.clone(), self.snapshots.clone());
        let meta = meta_of(&applied);
        let file = blocking(move || {
            let file = snapshot::encode(&applied);
            snapshots.store(applied.last_log_id, &file)?;
            Ok(file)
        });
        Ok(Snapshot { meta, snapshot: file.await? })
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SnapshotError> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?.map_err(io::Error::other)
}
