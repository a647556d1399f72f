//! openraft's own storage suite over sled and over memory, and what happens to damaged stores.

use std::io;
use std::path::Path;

use bytes::Bytes;
use futures::StreamExt;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::type_config::TypeConfigExt;
use openraft::{EntryPayload, RaftLogReader, StorageError};
use tempfile::TempDir;
use tidelog_wire::Uuid;

use super::entry::key;
use super::{LogStore, MemoryLogStore, OpenError, open};
use crate::limits::PAYLOAD_BYTES_MAX;
use crate::machine::Machine;
use crate::raft::{EncodedBatch, Entry, LogId, NodeId, TypeConfig, Vote, log_id_from_proto};

struct OnDisk;
struct InMemory;

impl StoreBuilder<TypeConfig, LogStore, Machine, TempDir> for OnDisk {
    async fn build(&self) -> Result<(TempDir, LogStore, Machine), StorageError<TypeConfig>> {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory.path().join("raft")).unwrap();
        let (machine, _) = Machine::open(directory.path().join("snapshots")).unwrap();
        Ok((directory, store, machine))
    }
}

impl StoreBuilder<TypeConfig, MemoryLogStore, Machine, TempDir> for InMemory {
    async fn build(&self) -> Result<(TempDir, MemoryLogStore, Machine), StorageError<TypeConfig>> {
        let directory = tempfile::tempdir().unwrap();
        let (machine, _) = Machine::open(directory.path().join("snapshots")).unwrap();
        Ok((directory, MemoryLogStore::default(), machine))
    }
}

#[tokio::test]
async fn openrafts_storage_suite_passes_on_sled() {
    Suite::test_all(OnDisk).await.unwrap();
}

#[tokio::test]
async fn openrafts_storage_suite_passes_in_memory() {
    Suite::test_all(InMemory).await.unwrap();
}

pub(super) fn log_id(term: u64, index: u64) -> LogId {
    log_id_from_proto(tidelog_internal_api::raft::LogId { term, index })
}

pub(super) fn entry(term: u64, index: u64, bytes: usize) -> Entry {
    let batch = Bytes::from(vec![index as u8; bytes]);
    Entry { log_id: log_id(term, index), payload: EntryPayload::Normal(EncodedBatch(batch)) }
}

/// Returns once the entries are on disk.
pub(super) async fn append(store: &mut LogStore, entries: Vec<Entry>) {
    let (done, flushed) = TypeConfig::oneshot();
    store.append(entries, IOFlushed::signal(done)).await.unwrap();
    flushed.await.unwrap().unwrap();
}

async fn filled(path: &Path, entry_bytes: usize) -> LogStore {
    let mut store = open(path).unwrap();
    append(&mut store, (0..5).map(|index| entry(1, index, entry_bytes)).collect()).await;
    store
}

fn damage_of(path: &Path) -> String {
    match open(path) {
        Err(OpenError::Damaged(reason)) => reason,
        Err(other) => panic!("not damage: {other}"),
        Ok(_) => panic!("the damage was not noticed"),
    }
}

#[tokio::test]
async fn entries_of_every_size_come_back_as_they_were() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("raft");
    let sizes = [0, 1, 4000, 4096, 5000, 100_000, 3 << 20];
    let mut store = open(&path).unwrap();
    let entries: Vec<_> = sizes.iter().enumerate().map(|(index, size)| entry(1, index as u64, *size)).collect();
    append(&mut store, entries.clone()).await;
    assert_eq!(store.try_get_log_entries(..).await.unwrap(), entries);
    drop(store);
    let unsynced = std::fs::read_dir(path.join("blobs")).map_or(0, Iterator::count);
    assert_eq!(unsynced, 0, "sled put values into files that are never synced");
    let mut reopened = open(&path).unwrap();
    assert_eq!(reopened.try_get_log_entries(2..6).await.unwrap(), entries[2..6]);
    assert_eq!(reopened.get_log_state().await.unwrap().last_log_id, Some(log_id(1, 6)));
}

#[tokio::test]
async fn a_flipped_bit_in_an_entry_is_damage() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("raft");
    let store = filled(&path, 100).await;
    let mut piece = store.log.get(key(3, 0)).unwrap().unwrap().to_vec();
    *piece.last_mut().unwrap() ^= 1;
    store.log.insert(key(3, 0), piece).unwrap();
    drop(store);
    assert!(damage_of(&path).contains("entry 3"));
}

#[tokio::test]
async fn an_entry_without_its_last_piece_is_damage() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("raft");
    let store = filled(&path, 10_000).await;
    store.log.remove(key(4, 2)).unwrap();
    drop(store);
    assert!(damage_of(&path).contains("entry 4"));
}

#[tokio::test]
async fn a_hole_in_the_log_is_damage() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("raft");
    let store = filled(&path, 10).await;
    store.log.remove(key(2, 0)).unwrap();
    drop(store);
    assert!(damage_of(&path).contains("entry 2 is missing"));
}

#[tokio::test]
async fn a_log_that_ends_before_what_was_committed_is_damage() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("raft");
    let mut store = filled(&path, 10).await;
    store.save_committed(Some(log_id(1, 4))).await.unwrap();
    store.log.remove(key(4, 0)).unwrap();
    drop(store);
    assert!(damage_of(&path).contains("committed"));
}

#[tokio::test]
async fn a_purge_cut_short_is_not_damage() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("raft");
    let mut store = filled(&path, 10).await;
    store.purge(log_id(1, 2)).await.unwrap();
    for (index_key, piece) in super::entry::to_pieces(&entry(1, 1, 10)).unwrap() {
        store.log.insert(index_key, piece).unwrap();
    }
    drop(store);
    let mut reopened = open(&path).unwrap();
    let state = reopened.get_log_state().await.unwrap();
    assert_eq!((state.last_purged_log_id, state.last_log_id), (Some(log_id(1, 2)), Some(log_id(1, 4))));
}

#[tokio::test]
async fn a_file_of_random_bytes_is_not_taken_for_a_store() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("raft");
    std::fs::create_dir_all(&path).unwrap();
    std::fs::write(path.join("conf"), b"segment_size: nonsense").unwrap();
    assert!(matches!(open(&path), Err(OpenError::Damaged(_) | OpenError::Io(_))));
}

/// A store of many flushes, and what was in it.
async fn long_store(path: &Path) -> Vec<Entry> {
    let mut store = open(path).unwrap();
    for round in 0..40 {
        append(&mut store, (round * 5..round * 5 + 5).map(|index| entry(1, index, 3000)).collect()).await;
    }
    store.save_vote(&Vote::new_committed(1, NodeId { id: 1, directory: Uuid::ONE })).await.unwrap();
    store.try_get_log_entries(..).await.unwrap()
}

/// `store` with one of its files changed.
fn changed_copy(store: &Path, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(store).unwrap().map(Result::unwrap).filter(|file| file.path().is_file()) {
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    let mut bytes = std::fs::read(store.join(name)).unwrap();
    change(&mut bytes);
    std::fs::write(copy.path().join(name), bytes).unwrap();
    copy
}

/// sled opens a damaged file with everything missing that came after the damage, and says nothing.
#[tokio::test]
async fn no_damage_of_the_database_file_goes_unnoticed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("raft");
    let entries = long_store(&path).await;
    let length = std::fs::metadata(path.join("db")).unwrap().len() as usize;
    for at in (0..length).step_by(length / 60) {
        let flipped = changed_copy(&path, "db", |bytes| bytes[at] ^= 1 << (at % 8));
        let cut = changed_copy(&path, "db", |bytes| bytes.truncate(at));
        for damaged in [flipped, cut] {
            match open(damaged.path()) {
                Ok(mut store) => assert_eq!(store.try_get_log_entries(..).await.unwrap(), entries, "damaged at {at}"),
                Err(OpenError::Damaged(_)) => {}
                Err(OpenError::Io(error)) => panic!("not called damage at {at}: {error}"),
            }
        }
    }
}

#[tokio::test]
async fn a_store_without_its_mark_is_taken_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("raft");
    let entries = long_store(&path).await;
    let torn = changed_copy(&path, "durable-mark", |bytes| bytes.truncate(9));
    let mut store = open(torn.path()).unwrap();
    assert_eq!(store.try_get_log_entries(..).await.unwrap(), entries);
    append(&mut store, vec![entry(1, 200, 10)]).await;
    drop(store);
    assert_eq!(open(torn.path()).unwrap().get_log_state().await.unwrap().last_log_id, Some(log_id(1, 200)));
}

/// openraft bounds an append by its entries only, and a peer takes no message above a size.
#[tokio::test]
async fn entries_to_be_sent_or_applied_are_read_some_megabytes_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(&directory.path().join("raft")).unwrap();
    let sizes = [PAYLOAD_BYTES_MAX / 2, PAYLOAD_BYTES_MAX / 4, 10, PAYLOAD_BYTES_MAX / 2, PAYLOAD_BYTES_MAX + 1, 10];
    let entries: Vec<_> = sizes.iter().enumerate().map(|(index, size)| entry(1, index as u64, *size)).collect();
    append(&mut store, entries.clone()).await;
    let read = |entries: io::Result<Vec<Entry>>| entries.unwrap().len();
    assert_eq!(read(store.limited_get_log_entries(0, 6).await), 3);
    assert_eq!(read(store.limited_get_log_entries(3, 6).await), 1);
    assert_eq!(read(store.limited_get_log_entries(4, 6).await), 1, "one that is too large goes alone");
    assert_eq!(read(store.limited_get_log_entries(1, 3).await), 2);
    let applied: Vec<_> = store.entries_stream(0..6).await.map(Result::unwrap).collect().await;
    assert_eq!(applied, entries);
    let applied: Vec<_> = store.entries_stream(2..3).await.map(Result::unwrap).collect().await;
    assert_eq!(applied, entries[2..3]);
}

#[test]
fn an_entry_with_more_pieces_than_can_be_numbered_is_refused() {
    let fits = super::entry::to_pieces(&entry(1, 1, 1 << 20)).unwrap();
    assert_eq!(fits.len(), 257);
    assert!(super::entry::to_pieces(&entry(1, 1, 256 << 20)).unwrap_err().contains("too large"));
}
