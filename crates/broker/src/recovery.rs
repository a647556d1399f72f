//! The logs as a starting broker finds them: opened side by side on the disk threads, before it registers.
//!
//! What is found goes into the registration (DESIGN 7.5): where each log ends, and which replicas may lack records they
//! acknowledged. Logs then wait here until the image says what they are.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use tidelog_commitlog::{FoundLog, Log, LogDirStart, LogId, RecoveryReport, StorageError};
use tidelog_metadata::{LogPosition, ReplicaReport, TopicIdPartition};
use tidelog_wire::types::{BrokerEpoch, Offset};
use tracing::{info, warn};

use crate::checkpoint;
use crate::metadata_applier::log_config;
use crate::partition::PartitionId;
use crate::shard::Shard;

/// Opened logs, and what is known of the others.
pub(crate) struct Recovered {
    logs: RefCell<HashMap<LogId, Log>>,
    /// Logs on disk that the local image did not know at start.
    unknown: Vec<FoundLog>,
    high_watermarks: HashMap<LogId, Offset>,
    pub previous_epoch: BrokerEpoch,
    pub reports: Vec<ReplicaReport>,
}

impl Recovered {
    pub(crate) fn take(&self, id: &LogId) -> Option<Log> {
        self.logs.borrow_mut().remove(id)
    }

    /// A log whose host is being made anew.
    pub(crate) fn put_back(&mut self, id: LogId, log: Log, high_watermark: Offset) {
        self.high_watermarks.insert(id.clone(), high_watermark);
        self.logs.borrow_mut().insert(id, log);
    }

    /// As checkpointed by the last run.
    pub(crate) fn high_watermark(&self, id: &PartitionId) -> Option<Offset> {
        self.high_watermarks.get(&id.log_id()).copied()
    }

    /// Deletes what the cluster does not place here any more: topics deleted or moved while this broker was away.
    pub(crate) fn discard_strays(&mut self, shard: &Shard) {
        let wall_ms = shard.clock.wall_ms();
        let mut strays = std::mem::take(&mut self.unknown);
        strays.retain(|found| shard.partitions.get(found.id.topic_id, found.id.partition).is_none());
        for found in &strays {
            warn!(topic = %found.id.topic, partition = %found.id.partition, "deleting a log that is not placed here");
            self.deleted(shard, shard.log_dir.delete_found(found, wall_ms));
        }
        for (id, log) in self.logs.take() {
            warn!(topic = %id.topic, partition = %id.partition, "deleting a log that is no longer placed here");
            self.deleted(shard, shard.log_dir.delete_log(log, wall_ms));
        }
    }

    fn deleted(&self, shard: &Shard, deleted: Result<Option<tidelog_commitlog::DeletedFiles>, StorageError>) {
        match deleted {
            Ok(files) => shard.deletions.add(files),
            Err(error) => shard.storage_error(&error),
        }
    }
}

/// Opens every log that the local image places here.
pub(crate) async fn recover(shard: &Rc<Shard>, start: LogDirStart) -> Recovered {
    let image = shard.image();
    let began = tokio::time::Instant::now();
    let wall_ms = shard.clock.wall_ms();
    let mut pending = Vec::new();
    for (id, _) in image.partitions_on(shard.node_id()) {
        let Some(topic) = image.topic_by_id(id.topic_id) else {
            continue;
        };
        let log_id = LogId { topic: topic.name.clone(), partition: id.partition, topic_id: id.topic_id };
        let config = Arc::new(log_config(shard, &image, &topic.name));
        let (log_dir, asked) = (shard.log_dir.clone(), log_id.clone());
        let opened = shard.disk.run(move || log_dir.open_log(&asked, config, wall_ms));
        pending.push((log_id, opened));
    }
    let mut recovered = Recovered {
        logs: RefCell::default(),
        unknown: start.found.into_iter().filter(|found| !is_placed(shard, &found.id)).collect(),
        high_watermarks: checkpoint::read(shard),
        previous_epoch: start.clean_shutdown.unwrap_or(BrokerEpoch::NONE),
        reports: Vec::with_capacity(pending.len()),
    };
    let (mut scanned_bytes, count) = (0, pending.len());
    for (id, opened) in pending {
        match opened.await {
            Ok(Ok((log, report))) => {
                scanned_bytes += report.scanned_bytes;
                recovered.reports.push(report_of(&id, &log, &report));
                recovered.logs.get_mut().insert(id, log);
            }
            Ok(Err(error)) => {
                warn!(topic = %id.topic, partition = %id.partition, %error, "cannot open the log");
                shard.storage_error(&error);
            }
            Err(_) => warn!(topic = %id.topic, partition = %id.partition, "opening the log was given up"),
        }
    }
    info!(logs = count, scanned_bytes, took = ?began.elapsed(), clean = start.clean_shutdown.is_some(), "logs opened");
    recovered
}

fn is_placed(shard: &Shard, id: &LogId) -> bool {
    let image = shard.image();
    let partition = TopicIdPartition { topic_id: id.topic_id, partition: id.partition };
    image.partition(partition).is_some_and(|state| state.replicas.contains(&shard.node_id()))
}

fn report_of(id: &LogId, log: &Log, report: &RecoveryReport) -> ReplicaReport {
    for reason in &report.unclean {
        warn!(topic = %id.topic, partition = %id.partition, ?reason, "the replica may lack acknowledged records");
    }
    ReplicaReport {
        partition: TopicIdPartition { topic_id: id.topic_id, partition: id.partition },
        unclean: !report.unclean.is_empty(),
        position: LogPosition { last_epoch: log.latest_epoch(), log_end: log.log_end_offset() },
    }
}
