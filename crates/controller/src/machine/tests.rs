//! Applying, guarding, snapshots.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream;
use openraft::storage::{RaftSnapshotBuilder, RaftStateMachine};
use openraft::{EntryPayload, RaftTypeConfig};
use tidelog_internal_api::{metadata as proto, raft as raft_proto};
use tidelog_metadata::Record;
use tidelog_wire::{Str, Uuid};

use super::{Machine, SnapshotError, encode_batch};
use crate::codec::record_to_proto;
use crate::raft::{EncodedBatch, Entry, TypeConfig, log_id_from_proto};

fn topic(name: &str) -> proto::Record {
    let topic_id = Uuid::from_u128(name.len() as u128 + 100);
    record_to_proto(&Record::Topic { topic_id, name: Str::from(name.to_owned()) })
}

fn operation(id: u8) -> proto::Operation {
    let kind = Some(proto::response::Kind::BalanceLeaders(u64::from(id)));
    proto::Operation { operation_id: vec![id; 16].into(), response: Some(proto::Response { error: None, kind }) }
}

async fn apply(machine: &mut Machine, index: u64, batch: EncodedBatch) -> std::io::Result<()> {
    let log_id = log_id_from_proto(raft_proto::LogId { term: 1, index });
    let entry: <TypeConfig as RaftTypeConfig>::Entry = Entry { log_id, payload: EntryPayload::Normal(batch) };
    machine.apply(stream::iter([Ok((entry, None))])).await
}

#[tokio::test]
async fn a_batch_decided_on_an_overtaken_image_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (mut machine, published) = Machine::open(directory.path().into()).unwrap();
    apply(&mut machine, 3, encode_batch(0, vec![topic("a")], vec![])).await.unwrap();
    apply(&mut machine, 4, encode_batch(0, vec![topic("bb")], vec![operation(1)])).await.unwrap();
    apply(&mut machine, 5, encode_batch(3, vec![topic("ccc")], vec![operation(2)])).await.unwrap();
    let applied = Arc::clone(&published.applied.borrow());
    let names: Vec<_> = applied.image.topics().map(|topic| topic.name.to_string()).collect();
    assert_eq!(names, ["a", "ccc"]);
    assert_eq!(applied.last_batch, 5);
    assert!(applied.operations.response(&[1; 16]).is_none(), "an overtaken batch answers nobody");
    assert!(applied.operations.response(&[2; 16]).is_some());
}

#[tokio::test]
async fn what_cannot_be_applied_stops_the_machine_and_leaves_the_image_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (mut machine, published) = Machine::open(directory.path().into()).unwrap();
    apply(&mut machine, 1, encode_batch(0, vec![topic("a")], vec![])).await.unwrap();
    let unknown_kind = proto::Batch { decided_on: 1, records: vec![proto::Record { kind: None }], operations: vec![] };
    let unknown_kind = EncodedBatch(prost::Message::encode_to_vec(&unknown_kind).into());
    assert!(apply(&mut machine, 2, unknown_kind).await.is_err());
    assert!(apply(&mut machine, 2, EncodedBatch(Bytes::from_static(b"\xff\xff"))).await.is_err());
    let twice = encode_batch(1, vec![topic("bb"), topic("a")], vec![]);
    assert!(apply(&mut machine, 2, twice).await.is_err());
    assert_eq!(published.image.borrow().topic_count(), 1);
}

#[tokio::test]
async fn a_snapshot_brings_everything_back_and_replaces_the_one_before() {
    let directory = tempfile::tempdir().unwrap();
    let (mut machine, _) = Machine::open(directory.path().into()).unwrap();
    apply(&mut machine, 1, encode_batch(0, vec![topic("a")], vec![operation(7)])).await.unwrap();
    machine.get_snapshot_builder().await.build_snapshot().await.unwrap();
    apply(&mut machine, 2, encode_batch(1, vec![topic("bb")], vec![])).await.unwrap();
    machine.get_snapshot_builder().await.build_snapshot().await.unwrap();
    drop(machine);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    let (machine, published) = Machine::open(directory.path().into()).unwrap();
    let applied = Arc::clone(&published.applied.borrow());
    assert_eq!((applied.image.topic_count(), applied.last_batch, machine.last_log_index()), (2, 2, Some(2)));
    assert_eq!(applied.operations.response(&[7; 16]), operation(7).response);
}

/// A node that lags may be given a snapshot while it is still writing an older one of its own.
#[tokio::test]
async fn a_snapshot_that_is_finished_late_does_not_replace_a_newer_one() {
    let (newer, older) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut ahead, _) = Machine::open(newer.path().into()).unwrap();
    let (mut behind, _) = Machine::open(older.path().into()).unwrap();
    for machine in [&mut ahead, &mut behind] {
        apply(machine, 1, encode_batch(0, vec![topic("a")], vec![])).await.unwrap();
    }
    let mut late = behind.get_snapshot_builder().await;
    apply(&mut ahead, 2, encode_batch(1, vec![topic("bb")], vec![])).await.unwrap();
    let given = ahead.get_snapshot_builder().await.build_snapshot().await.unwrap();
    behind.install_snapshot(&given.meta, given.snapshot).await.unwrap();
    late.build_snapshot().await.unwrap();
    drop(behind);
    let (behind, published) = Machine::open(older.path().into()).unwrap();
    assert_eq!((behind.last_log_index(), published.image.borrow().topic_count()), (Some(2), 2));
    assert_eq!(std::fs::read_dir(older.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn every_flipped_byte_of_a_snapshot_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let (mut machine, _) = Machine::open(directory.path().into()).unwrap();
    apply(&mut machine, 1, encode_batch(0, vec![topic("a")], vec![operation(7)])).await.unwrap();
    let whole = machine.get_snapshot_builder().await.build_snapshot().await.unwrap().snapshot;
    for place in 0..whole.len() {
        let mut damaged = whole.to_vec();
        damaged[place] ^= 0x10;
        assert!(matches!(super::snapshot::decode(&damaged.into()), Err(SnapshotError::Damaged(_))), "byte {place}");
    }
    for end in 0..whole.len() {
        assert!(super::snapshot::decode(&whole.slice(..end)).is_err(), "cut at {end}");
    }
}
