//! What must be true when all is quiet again, by partition.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use tidelog_client::{Client, ConsumedRecord, Consumer, ConsumerOptions, StartFrom};
use tidelog_wire::messages::ListPartitionReassignmentsRequest;
use tidelog_wire::record::Record;

use super::ledger::{Outcome, PartitionHistory};
use super::topics::{Identity, Kind, TOPICS, Topic};
use super::{Stage, replicas};
use crate::cluster::Cluster;

/// A partition as it is read at the end.
struct Found {
    start: i64,
    end: i64,
    records: BTreeMap<i64, (Identity, Record)>,
}

pub fn check(cluster: &Cluster, stage: &Stage) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = stage.client()?;
    runtime.block_on(check_no_move(&client))?;
    for topic in &TOPICS {
        for partition in 0..topic.partitions {
            let name = || format!("{}-{partition}", topic.name);
            let topic_id = runtime.block_on(client.refreshed_leaders(topic.name, false))?.topic_id;
            let history = stage.ledger.with(topic_id, partition, |history| history.clone());
            let found = runtime.block_on(read(&client, topic, partition)).with_context(name)?;
            for (identity, _) in found.records.values() {
                ensure!(identity.is_of(topic_id, partition), "{}: {identity:?} is another topic's", name());
            }
            check_partition(topic, &history, &found).with_context(name)?;
            let deletable_to = match topic.kind {
                Kind::Retained => found.end,
                _ => history.deletion_asked,
            };
            replicas::wait_same(cluster, topic, partition, found.start, deletable_to).with_context(name)?;
        }
    }
    Ok(())
}

async fn check_no_move(client: &Client) -> Result<()> {
    let answer = client.ask("cannot list moves", &ListPartitionReassignmentsRequest::default()).await?;
    ensure!(answer.error_code.is_none() && answer.topics.is_empty(), "liveness: moves do not end: {:?}", answer.topics);
    Ok(())
}

async fn read(client: &Client, topic: &Topic, partition: i32) -> Result<Found> {
    let mut consumer = Consumer::new(
        client.clone(),
        topic.name,
        &[partition],
        StartFrom::Earliest,
        ConsumerOptions { max_wait: std::time::Duration::from_millis(50), ..ConsumerOptions::default() },
    )
    .await?;
    let start = consumer.positions()[&partition];
    let mut records = BTreeMap::new();
    while !consumer.is_at_end() {
        for ConsumedRecord { record, .. } in consumer.poll().await? {
            let identity = Identity::of(&record).with_context(|| format!("{record:?} was sent by nobody"))?;
            // The rest of it is large, and not looked at.
            let record = Record { value: record.value.map(|value| value.slice(..0)), ..record };
            let offset = record.offset.get();
            ensure!(records.insert(offset, (identity, record)).is_none(), "{offset} was read twice");
        }
    }
    Ok(Found { start, end: consumer.positions()[&partition], records })
}

fn check_partition(topic: &Topic, history: &PartitionHistory, found: &Found) -> Result<()> {
    ensure!(found.end >= history.acked_end, "the log ends at {}, below {}", found.end, history.acked_end);
    ensure!(
        found.start >= history.deleted_to,
        "the log start went back to {} from {}",
        found.start,
        history.deleted_to
    );
    if topic.kind != Kind::Retained {
        let asked = history.deletion_asked;
        ensure!(found.start <= asked, "the log starts at {}, deletion was asked for up to {asked}", found.start);
    }
    check_phantoms(history, found)?;
    for (offset, identity) in history.shown.range(found.start..) {
        match found.records.get(offset) {
            Some((now, _)) => ensure!(now == identity, "P7: {identity:?} was read at {offset}, and {now:?} is there"),
            None => ensure!(topic.kind == Kind::Compacted, "P7: {identity:?} was read at {offset}, and is gone"),
        }
    }
    match topic.kind {
        Kind::Compacted => check_last_of_keys(history, found),
        Kind::Kept | Kind::Retained | Kind::Recreated => check_complete(history, found),
    }
}

/// Nothing is there that was not sent, nothing twice, and nothing elsewhere than was said.
fn check_phantoms(history: &PartitionHistory, found: &Found) -> Result<()> {
    let mut seen = HashSet::new();
    for (offset, (identity, record)) in &found.records {
        ensure!(seen.insert(*identity), "{identity:?} is there twice, the second time at {offset}");
        ensure!(record.key.as_ref() == Some(&identity.key()), "{identity:?} has another key: {record:?}");
        let Some(sent) = history.sent.get(identity.number as usize).filter(|sent| identity.index < sent.count) else {
            bail!("{identity:?} at {offset} was never sent");
        };
        if let Outcome::Acked(Some(base_offset)) = sent.outcome {
            let said = base_offset + i64::from(identity.index);
            ensure!(*offset == said, "{identity:?} is at {offset}, and was acknowledged at {said}");
        }
    }
    Ok(())
}

/// Every acknowledged record at or above the log start is there, and no offset is missing.
fn check_complete(history: &PartitionHistory, found: &Found) -> Result<()> {
    let gap = (found.start..found.end).find(|offset| !found.records.contains_key(offset));
    ensure!(gap.is_none(), "there is no record at {gap:?}, between {} and {}", found.start, found.end);
    for (number, sent) in (0..).zip(&history.sent) {
        let Outcome::Acked(Some(base_offset)) = sent.outcome else { continue };
        for index in 0..sent.count {
            let offset = base_offset + i64::from(index);
            let is_there = |(identity, _): &(Identity, Record)| (identity.number, identity.index) == (number, index);
            let kept = offset < found.start || found.records.get(&offset).is_some_and(is_there);
            ensure!(
                kept,
                "lost: record {index} of batch {number}, acknowledged at {offset}: {:?}",
                found.records.get(&offset)
            );
        }
    }
    Ok(())
}

/// Of every key the last acknowledged record is there, unless a later one is.
fn check_last_of_keys(history: &PartitionHistory, found: &Found) -> Result<()> {
    let mut last: BTreeMap<Bytes, i64> = BTreeMap::new();
    for (identity, record) in found.records.values() {
        last.insert(identity.key(), record.offset.get());
    }
    for (number, sent) in (0..).zip(&history.sent) {
        let Outcome::Acked(Some(base_offset)) = sent.outcome else { continue };
        for index in 0..sent.count {
            let key = Identity::key_of(number, index);
            let offset = base_offset + i64::from(index);
            let newest = last.get(&key).copied();
            ensure!(newest >= Some(offset), "lost: {key:?} acknowledged at {offset}; its last record is at {newest:?}");
        }
    }
    Ok(())
}
