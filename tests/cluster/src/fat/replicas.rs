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

/// From where all of them have records: byte for byte, or where replicas compact on their own, by the last record of each
/// key. A former leader may have deleted up to `deletable_to` what its successor, who never heard of it, still has.
pub fn wait_same(cluster: &Cluster, topic: &Topic, partition: i32, log_start: i64, deletable_to: i64) -> Result<()> {
    let view = cluster.partitions(topic.name)?.into_iter().nth(partition as usize).context("the partition")?;
    let dirs: Vec<_> =
        view.replicas.iter().map(|id| (*id, cluster.partition_dir(*id, topic.name, partition))).collect();
    wait::until("the replicas are the same", cluster.target().recovery_limit(), || {
        if topic.kind == Kind::Compacted {
            let last = dirs.iter().map(|(_, dir)| last_of_keys(dir)).collect::<Result<Vec<_>>>()?;
            ensure!(last.iter().all(|one| *one == last[0]), "{:?} differ: {last:?}", view.replicas);
            return Ok(Some(()));
        }
        let logs: Vec<_> = dirs.iter().map(|(id, dir)| Ok((*id, batches(dir)?))).collect::<Result<_>>()?;
        let starts = logs.iter().filter_map(|(_, log)| log.keys().next().copied());
        let from = starts.fold(log_start, i64::max);
        ensure!(
            from <= log_start.max(deletable_to),
            "a replica begins at {from}, above {log_start} and {deletable_to}"
        );
        let mut first = None;
        for (id, mut log) in logs {
            // A replica may keep what lies below its log start for a while.
            let held = log.range(..=from).next_back().map(|(base, _)| *base);
            log = log.split_off(&held.unwrap_or(from));
            let (one, ones) = first.get_or_insert_with(|| (id, log.clone()));
            ensure!(*ones == log, "{}", difference(*one, ones, id, &log));
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
