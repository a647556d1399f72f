//! Reads partition directories as bytes, to compare replicas with each other.
//!
//! Knows of the format only what frames a batch: base offset (8 bytes), length of what follows (4 bytes),
//! and the delta to its last offset at byte 23. A zero length is the unused, preallocated rest of a file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::cluster::Cluster;
use crate::wait;

const FRAME_BYTES: usize = 12;
const LAST_OFFSET_DELTA_AT: usize = 23;

/// Segment files of a partition in the order of their offsets.
pub fn segment_files(partition_dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = fs::read_dir(partition_dir)
        .with_context(|| format!("{}", partition_dir.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "log"));
    files.sort();
    Ok(files)
}

/// The batches of one replica by base offset, as they are on disk.
pub fn batches(partition_dir: &Path) -> Result<BTreeMap<i64, Vec<u8>>> {
    let mut batches = BTreeMap::new();
    for file in segment_files(partition_dir)? {
        let bytes = fs::read(&file)?;
        split_batches(&bytes, &mut batches).with_context(|| format!("{}", file.display()))?;
    }
    Ok(batches)
}

fn split_batches(bytes: &[u8], batches: &mut BTreeMap<i64, Vec<u8>>) -> Result<()> {
    for batch in frames(bytes)? {
        let base_offset = base_offset(batch)?;
        if let Some((_, last)) = batches.last_key_value() {
            ensure!(base_offset == next_offset(last)?, "offset {base_offset} follows {}", next_offset(last)? - 1);
        }
        batches.insert(base_offset, batch.to_vec());
    }
    Ok(())
}

/// The batches of one file.
pub fn frames(bytes: &[u8]) -> Result<Vec<&[u8]>> {
    let (mut rest, mut frames) = (bytes, Vec::new());
    while rest.len() > LAST_OFFSET_DELTA_AT + 4 {
        let length = i32::from_be_bytes(rest[8..FRAME_BYTES].try_into()?);
        if length == 0 {
            break;
        }
        let size = FRAME_BYTES + usize::try_from(length)?;
        let Some((batch, tail)) = rest.split_at_checked(size) else {
            bail!("the batch at offset {} is cut off", base_offset(rest)?)
        };
        frames.push(batch);
        rest = tail;
    }
    ensure!(rest.iter().all(|byte| *byte == 0), "there is something behind the last batch");
    Ok(frames)
}

fn base_offset(batch: &[u8]) -> Result<i64> {
    Ok(i64::from_be_bytes(batch[..8].try_into()?))
}

fn next_offset(batch: &[u8]) -> Result<i64> {
    let base_offset = base_offset(batch)?;
    let delta = i32::from_be_bytes(batch[LAST_OFFSET_DELTA_AT..LAST_OFFSET_DELTA_AT + 4].try_into()?);
    Ok(base_offset + i64::from(delta) + 1)
}

/// Waits until all replicas of a topic are byte for byte the same; nobody may write meanwhile.
pub fn wait_identical(cluster: &Cluster, topic: &str) -> Result<()> {
    for (index, partition) in (0..).zip(cluster.partitions(topic)?) {
        let what = format!("the replicas of {topic}-{index} are identical");
        wait::until(&what, cluster.target().recovery_limit(), || {
            let logs: Vec<_> = partition
                .replicas
                .iter()
                .map(|id| batches(&cluster.partition_dir(*id, topic, index)))
                .collect::<Result<_>>()?;
            for (id, log) in partition.replicas.iter().zip(&logs) {
                ensure!(*log == logs[0], "{}", difference(partition.replicas[0], &logs[0], *id, log));
            }
            Ok(Some(()))
        })?;
    }
    Ok(())
}

pub fn difference(one: i32, ones: &BTreeMap<i64, Vec<u8>>, other: i32, others: &BTreeMap<i64, Vec<u8>>) -> String {
    let offset = ones.iter().find(|(offset, batch)| others.get(offset) != Some(batch)).map(|(offset, _)| *offset);
    let offset = offset.or_else(|| others.keys().find(|offset| !ones.contains_key(offset)).copied());
    format!("nodes {one} ({} batches) and {other} ({} batches) differ from offset {offset:?}", ones.len(), others.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(base_offset: i64, records: i32) -> Vec<u8> {
        let mut bytes = base_offset.to_be_bytes().to_vec();
        bytes.extend(30i32.to_be_bytes());
        bytes.extend([7; 11]);
        bytes.extend((records - 1).to_be_bytes());
        bytes.extend([9; 15]);
        bytes
    }

    #[test]
    fn batches_are_split_and_the_unused_rest_is_ignored() {
        let bytes = [batch(0, 3), batch(3, 1), vec![0; 100]].concat();
        let mut found = BTreeMap::new();
        split_batches(&bytes, &mut found).unwrap();
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [0, 3]);
    }

    #[test]
    fn a_hole_is_an_error() {
        let bytes = [batch(0, 3), batch(4, 1)].concat();
        assert!(split_batches(&bytes, &mut BTreeMap::new()).is_err());
    }
}
