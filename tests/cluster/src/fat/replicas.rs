//! The replicas of a partition compared with each other, as they are on disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use tidelog_wire::record::records;

use super::topics::{Kind, Topic};
use crate::cluster::Cluster;
use crate::segments::{batches, difference, frames, segment_files};
use crate::wait;

const DECOMPRESSED_BYTES_MAX: usize = 16 << 20;
/// Its key, its offset, and whether it has a value.
type LastOfKeys = BTreeMap<Option<Bytes>, (i64, bool)>;

/// From the log start on: byte for byte, or where replicas compact on their own, by the last record of each key.
pub fn wait_same(cluster: &Cluster, topic: &Topic, partition: i32, log_start: i64) -> Result<()> {
    let view = cluster.partitions(topic.name)?.into_iter().nth(partition as usize).context("the partition")?;
    let dirs: Vec<_> =
        view.replicas.iter().map(|id| (*id, cluster.partition_dir(*id, topic.name, partition))).collect();
    wait::until("the replicas are the same", cluster.target().recovery_limit(), || {
        if topic.kind == Kind::Compacted {
            let last = dirs.iter().map(|(_, dir)| last_of_keys(dir)).collect::<Result<Vec<_>>>()?;
            ensure!(last.iter().all(|one| *one == last[0]), "{:?} differ: {last:?}", view.replicas);
            return Ok(Some(()));
        }
        let mut first = None;
        for (id, dir) in &dirs {
            let mut log = batches(dir)?;
            // A replica may keep what lies below its log start for a while.
            let held = log.range(..=log_start).next_back().map(|(base, _)| *base);
            log = log.split_off(&held.unwrap_or(log_start));
            let (one, ones) = first.get_or_insert_with(|| (*id, log.clone()));
            ensure!(*ones == log, "{}", difference(*one, ones, *id, &log));
        }
        Ok(Some(()))
    })
}

fn last_of_keys(dir: &Path) -> Result<LastOfKeys> {
    let mut last = BTreeMap::new();
    for file in segment_files(dir)? {
        let bytes = Bytes::from(fs::read(&file)?);
        for frame in frames(&bytes).with_context(|| format!("{}", file.display()))? {
            for record in records(&bytes.slice_ref(frame), DECOMPRESSED_BYTES_MAX)? {
                let record = record?;
                last.insert(record.key, (record.offset.get(), record.value.is_some()));
            }
        }
    }
    Ok(last)
}
