//! AlterReplicaLogDirs (34): which of a broker's log directories holds a replica (KIP-113).
//!
//! A broker has one directory, so a replica is where it should be, or the directory is unknown.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use tidelog_wire::messages::alter_replica_log_dirs_request::AlterReplicaLogDir;
use tidelog_wire::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use tidelog_wire::messages::{AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse};
use tidelog_wire::types::PartitionIndex;
use tidelog_wire::{ErrorCode, Str};

use super::{Api, Context};
use crate::pace::Pace;

pub(crate) struct AlterReplicaLogDirs;

impl Api for AlterReplicaLogDirs {
    type Request = AlterReplicaLogDirsRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=2;

    async fn answer(context: Context, request: AlterReplicaLogDirsRequest) -> AlterReplicaLogDirsResponse {
        let mut results: BTreeMap<Str, BTreeMap<i32, ErrorCode>> = BTreeMap::new();
        let mut pace = Pace::start();
        for dir in &request.dirs {
            for topic in &dir.topics {
                let of_topic = results.entry(topic.name.clone()).or_default();
                for &partition in &topic.partitions {
                    pace.step().await;
                    of_topic.insert(partition, placed(&context, dir, &topic.name, partition));
                }
            }
        }
        let results = results.into_iter().map(|(topic_name, partitions)| AlterReplicaLogDirTopicResult {
            topic_name,
            partitions: partitions
                .into_iter()
                .map(|(partition_index, error_code)| AlterReplicaLogDirPartitionResult { partition_index, error_code })
                .collect(),
        });
        AlterReplicaLogDirsResponse { results: results.collect(), ..AlterReplicaLogDirsResponse::default() }
    }
}

fn placed(context: &Context, dir: &AlterReplicaLogDir, topic: &Str, partition: i32) -> ErrorCode {
    let shard = &context.shard;
    if shard.log_dir.path() != std::path::Path::new(dir.path.as_str()) {
        return ErrorCode::LOG_DIR_NOT_FOUND;
    }
    if shard.log_dir.failure().is_some() {
        return ErrorCode::KAFKA_STORAGE_ERROR;
    }
    match shard.partition(topic, PartitionIndex(partition)) {
        Ok(_) => ErrorCode::NONE,
        Err(_) => ErrorCode::REPLICA_NOT_AVAILABLE,
    }
}
