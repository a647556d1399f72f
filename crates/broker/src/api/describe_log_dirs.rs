//! DescribeLogDirs (35): the replicas on this broker's disk and their sizes (KIP-113).
//!
//! v3 has an error for the whole request, v4 the sizes of the volume (KIP-827).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::RangeInclusive;

use tidelog_wire::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use tidelog_wire::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use tidelog_wire::{ErrorCode, Str};

use super::{Api, Context};
use crate::pace::Pace;
use crate::partition::PartitionHandle;

pub(crate) struct DescribeLogDirs;

impl Api for DescribeLogDirs {
    type Request = DescribeLogDirsRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=4;

    async fn answer(context: Context, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse {
        let shard = &context.shard;
        let mut topics: BTreeMap<Str, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
        let wanted = wanted(request);
        let mut pace = Pace::start();
        for partition in shard.partitions.all() {
            pace.step().await;
            let (topic, index) = (&partition.id.topic, partition.id.index.get());
            if wanted.as_ref().is_none_or(|wanted| wanted.get(topic).is_some_and(|of_topic| of_topic.contains(&index)))
            {
                topics.entry(partition.id.topic.clone()).or_default().extend(describe(&partition));
            }
        }
        let topics = topics.into_iter().map(|(name, mut partitions)| {
            partitions.sort_by_key(|partition| partition.partition_index);
            DescribeLogDirsTopic { name, partitions }
        });
        let path = shard.log_dir.path();
        let (total_bytes, usable_bytes) = volume(path);
        let is_offline = shard.log_dir.failure().is_some();
        DescribeLogDirsResponse {
            results: vec![DescribeLogDirsResult {
                error_code: if is_offline { ErrorCode::KAFKA_STORAGE_ERROR } else { ErrorCode::NONE },
                log_dir: Str::from(path.display().to_string()),
                topics: topics.collect(),
                total_bytes,
                usable_bytes,
                ..DescribeLogDirsResult::default()
            }],
            ..DescribeLogDirsResponse::default()
        }
    }
}

/// No list of topics means all.
fn wanted(request: DescribeLogDirsRequest) -> Option<HashMap<Str, HashSet<i32>>> {
    let mut wanted: HashMap<Str, HashSet<i32>> = HashMap::new();
    for topic in request.topics? {
        wanted.entry(topic.topic).or_default().extend(topic.partitions);
    }
    Some(wanted)
}

fn describe(partition: &PartitionHandle) -> Option<DescribeLogDirsPartition> {
    let (_, log_end, size_bytes) = partition.log_extent()?;
    Some(DescribeLogDirsPartition {
        partition_index: partition.id.index.get(),
        partition_size: size_bytes as i64,
        offset_lag: (partition.high_watermark() - log_end).max(0),
        is_future_key: false,
    })
}

/// Total and free bytes of the volume; -1 if it does not tell.
fn volume(path: &std::path::Path) -> (i64, i64) {
    match rustix::fs::statvfs(path) {
        Ok(volume) => {
            let bytes = |blocks: u64| (blocks * volume.f_frsize) as i64;
            (bytes(volume.f_blocks), bytes(volume.f_bavail))
        }
        Err(_) => (-1, -1),
    }
}
