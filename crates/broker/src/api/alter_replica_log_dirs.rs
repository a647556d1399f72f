//! AlterReplicaLogDirs (34): which of a broker's log directories holds a replica (KIP-113).
//!
//! A broker has one directory, so a replica is where it should be, or the directory is unknown.

use std::ops::RangeInclusive;

use tidelog_wire::messages::alter_replica_log_dirs_request::AlterReplicaLogDir;
use tidelog_wire::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use tidelog_wire::messages::{AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse};
use tidelog_wire::types::PartitionIndex;
use tidelog_wire::{ErrorCode, Str};

use super::{Api, Context};

pub(crate) struct AlterReplicaLogDirs;

impl Api for AlterReplicaLogDirs {
    type Request = AlterReplicaLogDirsRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=2;

    async fn answer(context: Context, request: AlterReplicaLogDirsRequest) -> AlterReplicaLogDirsResponse {
        let mut results: Vec<AlterReplicaLogDirTopicResult> = Vec::new();
        for dir in &request.dirs {
            for topic in &dir.topics {
                let partitions = topic.partitions.iter().map(|&partition_index| AlterReplicaLogDirPartitionResult {
                    partition_index,
                    error_code: placed(&context, dir, &topic.name, partition_index),
                });
                let known = results.iter().position(|result| result.topic_name == topic.name);
                let index = known.unwrap_or_else(|| {
                    let topic_name = topic.name.clone();
                    results.push(AlterReplicaLogDirTopicResult { topic_name, ..Default::default() });
                    results.len() - 1
                });
                results[index].partitions.extend(partitions);
            }
        }
        AlterReplicaLogDirsResponse { results, ..AlterReplicaLogDirsResponse::default() }
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
