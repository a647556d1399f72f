//! Snapshots as plain files: written to a temporary name, synced, renamed, and the directory synced.
//!
//! ```text
//! "TLSNAP01" | CRC32C of the rest, u32 le | raft.SnapshotHead | metadata.SnapshotHead | metadata.Record ...
//! ```
//! Each message has its length ahead. The file is also what travels to a node that needs it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;
use tidelog_internal_api::{metadata as proto, raft as raft_proto};
use tidelog_metadata::Image;

use super::{Applied, Operations};
use crate::codec::{record_from_proto, record_to_proto};
use crate::raft::{
    LogId, log_id_from_proto, log_id_to_proto, stored_membership_from_proto, stored_membership_to_proto,
};
use crate::store::crc32c;

const MAGIC: &[u8; 8] = b"TLSNAP01";
const EXTENSION: &str = "snapshot";

#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    #[error("snapshot in {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("the snapshot is damaged: {0}")]
    Damaged(String),
}

/// The folder of snapshots. Only the newest file counts; storing one removes the older ones.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotDirectory {
    path: PathBuf,
}

impl SnapshotDirectory {
    pub(crate) fn open(path: PathBuf) -> Result<Self, SnapshotError> {
        fs::create_dir_all(&path).map_err(|source| SnapshotError::Io { path: path.clone(), source })?;
        Ok(Self { path })
    }

    /// The newest snapshot's bytes.
    pub(crate) fn current(&self) -> Result<Option<Bytes>, SnapshotError> {
        let newest = self.files().map_err(|source| self.error(source))?.pop();
        let Some(newest) = newest else { return Ok(None) };
        fs::read(&newest).map(|file| Some(file.into())).map_err(|source| SnapshotError::Io { path: newest, source })
    }

    /// Returns once the file would survive a power cut.
    pub(crate) fn store(&self, log_id: Option<LogId>, file: &[u8]) -> Result<(), SnapshotError> {
        self.write(log_id, file).map_err(|source| self.error(source))
    }

    fn write(&self, log_id: Option<LogId>, file: &[u8]) -> io::Result<()> {
        let (index, term) = log_id.map_or((0, 0), |log_id| (log_id.index + 1, log_id.leader_id.term));
        let name = self.path.join(format!("{index:020}-{term:020}.{EXTENSION}"));
        let temporary = name.with_extension("tmp");
        let mut created = File::create(&temporary)?;
        created.write_all(file)?;
        created.sync_all()?;
        fs::rename(&temporary, &name)?;
        sync_directory(&self.path)?;
        // One that was being made while another came from the leader may be the older of the two itself.
        let mut outdated = self.files()?;
        outdated.pop();
        for path in outdated {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                // The other one may have removed it.
                _ => {}
            }
        }
        Ok(())
    }

    /// Snapshot files, oldest first: their names sort by log position.
    fn files(&self) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == EXTENSION) {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    fn error(&self, source: io::Error) -> SnapshotError {
        SnapshotError::Io { path: self.path.clone(), source }
    }
}

pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

pub(super) fn encode(applied: &Applied) -> Bytes {
    let records = applied.image.to_records();
    let place = raft_proto::SnapshotHead {
        last_log_id: applied.last_log_id.as_ref().map(log_id_to_proto),
        last_membership: Some(stored_membership_to_proto(&applied.membership)),
        ..Default::default()
    };
    let head = proto::SnapshotHead {
        last_batch: applied.last_batch,
        record_count: records.len() as u64,
        operations: applied.operations.to_proto(),
    };
    let mut body = BytesMut::new();
    let mut put = |message: &dyn Fn(&mut BytesMut) -> Result<(), prost::EncodeError>| {
        message(&mut body).expect("a BytesMut grows as needed");
    };
    put(&|body| place.encode_length_delimited(body));
    put(&|body| head.encode_length_delimited(body));
    for record in &records {
        put(&|body| record_to_proto(record).encode_length_delimited(body));
    }
    let mut file = BytesMut::with_capacity(MAGIC.len() + 4 + body.len());
    file.put_slice(MAGIC);
    file.put_u32_le(crc32c(&body));
    file.put(body);
    file.freeze()
}

pub(super) fn decode(file: &Bytes) -> Result<Applied, SnapshotError> {
    let damaged = |what: &str| SnapshotError::Damaged(what.to_owned());
    let mut body = file.clone();
    if body.len() < MAGIC.len() + 4 || body.split_to(MAGIC.len()) != MAGIC.as_slice() {
        return Err(damaged("it does not begin as a snapshot"));
    }
    if body.get_u32_le() != crc32c(&body) {
        return Err(damaged("its checksum is wrong"));
    }
    let wrong = |error: prost::DecodeError| SnapshotError::Damaged(error.to_string());
    let place = raft_proto::SnapshotHead::decode_length_delimited(&mut body).map_err(wrong)?;
    let head = proto::SnapshotHead::decode_length_delimited(&mut body).map_err(wrong)?;
    let mut image = Image::new();
    for _ in 0..head.record_count {
        let record = proto::Record::decode_length_delimited(&mut body).map_err(wrong)?;
        let record = record_from_proto(record).map_err(|error| SnapshotError::Damaged(error.to_string()))?;
        image.apply(&record).map_err(|error| SnapshotError::Damaged(error.to_string()))?;
    }
    let mut operations = Operations::default();
    head.operations.into_iter().for_each(|operation| operations.remember(operation));
    let membership = stored_membership_from_proto(place.last_membership).map_err(|error| damaged(error.0))?;
    Ok(Applied {
        image: Arc::new(image),
        last_batch: head.last_batch,
        operations,
        last_log_id: place.last_log_id.map(log_id_from_proto),
        membership,
    })
}
