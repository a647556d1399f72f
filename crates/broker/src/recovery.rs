//! The logs as a starting broker finds them: opened side by side on the disk threads, before it registers.
//!
//! What is found goes into the registration (docs/REPLICATION.md R5): where each log ends, and which replicas may lack records they
//! acknowledged. Logs then wait here until the image says what they are.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tidelog_commitlog::{Log, LogConfig, LogDirStart, LogId, RecoveryReport, StorageError};
use tidelog_metadata::{Image, LogPosition, ReplicaReport, TopicIdPartition};
use tidelog_wire::types::{BrokerEpoch, Offset, PartitionIndex};
use tidelog_wire::{Str, Uuid};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use crate::checkpoint;
use crate::metadata_applier::log_config;
use crate::partition::PartitionId;
use crate::shard::Shard;

/// How long topics of logs on disk may take to show in the local image, once it shows anything.
const IMAGE_SETTLES_WITHIN: Duration = Duration::from_millis(300);

/// Logs that are open and wait for the image to name them.
#[derive(Default)]
pub(crate) struct Recovered {
    /// By the names of their directories.
    logs: HashMap<(Str, PartitionIndex), Log>,
    high_watermarks: HashMap<LogId, Offset>,
}

/// What the last run left to be told with the registration.
pub(crate) struct Introduction {
    pub previous_epoch: BrokerEpoch,
    pub reports: Vec<ReplicaReport>,
    pub may_lack_logs: bool,
}

impl Recovered {
    /// The log in the directory of this name; it may be another topic's, which was deleted.
    pub(crate) fn take(&mut self, topic: &Str, index: PartitionIndex) -> Option<Log> {
        self.logs.remove(&(topic.clone(), index))
    }

    pub(crate) fn take_all(&mut self) -> Vec<Log> {
        self.logs.drain().map(|(_, log)| log).collect()
    }

    /// A log whose host is being made anew.
    pub(crate) fn put_back(&mut self, log: Log, high_watermark: Offset) {
        let id = log.id().clone();
        self.logs.insert((id.topic.clone(), id.partition), log);
        self.high_watermarks.insert(id, high_watermark);
    }

    /// As checkpointed by the last run.
    pub(crate) fn high_watermark(&self, id: &PartitionId) -> Option<Offset> {
        self.high_watermarks.get(&id.log_id()).copied()
    }
}

/// Opens every log on disk, and every one that the image places here.
pub(crate) async fn recover(shard: &Rc<Shard>, start: LogDirStart) -> Introduction {
    let began = Instant::now();
    // Their configuration may not be known yet, and changes nothing about what is found.
    let found: Vec<LogId> = start.found.into_iter().map(|found| found.id).collect();
    let opening: Vec<_> = found.iter().map(|id| open(shard, vec![(id.clone(), Arc::default())])).collect();
    if !found.is_empty() {
        image_settled(shard, &found).await;
    }
    let image = shard.image();
    let mut opened = Vec::new();
    for batch in opening.into_iter().chain([open(shard, placed_without_files(shard, &image, &found))]) {
        // A disk thread that gave up has said why.
        opened.extend(batch.await.unwrap_or_default());
    }
    let mut recovered =
        Recovered { logs: HashMap::with_capacity(opened.len()), high_watermarks: checkpoint::read(shard) };
    let mut reports = Vec::with_capacity(opened.len());
    let mut known: HashSet<_> = found.iter().map(|id| (id.topic_id, id.partition)).collect();
    let mut scanned_bytes = 0;
    for (id, result) in opened {
        match result {
            Ok((log, report)) => {
                scanned_bytes += report.scanned_bytes;
                known.insert((id.topic_id, id.partition));
                if !report.has_no_trace {
                    reports.push(report_of(&id, &log, &report));
                }
                recovered.logs.insert((id.topic, id.partition), log);
            }
            Err(error) => {
                warn!(topic = %id.topic, partition = %id.partition, %error, "cannot open the log");
                shard.storage_error(&error);
            }
        }
    }
    // The image may not show the topic yet: what the marks promise counts all the same.
    let promised = shard.log_dir.logs_with_records().into_iter();
    reports.extend(promised.filter(|id| !known.contains(id)).map(lost));
    let clean = start.clean_shutdown.is_some();
    info!(logs = recovered.logs.len(), scanned_bytes, took = ?began.elapsed(), clean, "logs opened");
    shard.recovered.replace(recovered);
    Introduction {
        previous_epoch: start.clean_shutdown.unwrap_or(BrokerEpoch::NONE),
        reports,
        may_lack_logs: start.may_lack_logs,
    }
}

type Opened = Vec<(LogId, Result<(Log, RecoveryReport), StorageError>)>;

fn open(shard: &Shard, logs: Vec<(LogId, Arc<LogConfig>)>) -> oneshot::Receiver<Opened> {
    let (log_dir, wall_ms) = (shard.log_dir.clone(), shard.clock.wall_ms());
    shard.disk.run(move || {
        let opened = logs.into_iter().map(|(id, config)| {
            let result = log_dir.open_log(&id, config, wall_ms);
            (id, result)
        });
        opened.collect()
    })
}

/// Waits until the image shows the topics of the logs that were found, as far as they still exist. Without a cluster
/// there is nobody to register with, so this may wait as long as that takes.
async fn image_settled(shard: &Shard, found: &[LogId]) {
    let mut images = shard.controller.image();
    let _ = images.wait_for(|image| image.cluster_id().is_some()).await;
    let shows_all = |image: &Arc<Image>| found.iter().all(|id| image.topic_by_id(id.topic_id).is_some());
    let _ = timeout(IMAGE_SETTLES_WITHIN, images.wait_for(shows_all)).await;
    let image = Arc::clone(&images.borrow());
    shard.publish_image(image);
}

/// Empty logs, and lost ones: opening tells which. Where a deleted topic of the same name has left its log, there is none.
fn placed_without_files(shard: &Shard, image: &Image, found: &[LogId]) -> Vec<(LogId, Arc<LogConfig>)> {
    let found: HashSet<_> = found.iter().map(|id| (&id.topic, id.partition)).collect();
    let mut placed = Vec::new();
    for (id, _) in image.partitions_on(shard.node_id()) {
        if let Some(topic) = image.topic_by_id(id.topic_id)
            && !found.contains(&(&topic.name, id.partition))
        {
            let log_id = LogId { topic: topic.name.clone(), partition: id.partition, topic_id: id.topic_id };
            placed.push((log_id, Arc::new(log_config(shard, image, &topic.name))));
        }
    }
    placed
}

fn lost((topic_id, partition): (Uuid, PartitionIndex)) -> ReplicaReport {
    warn!(%topic_id, %partition, "a log with records is missing");
    ReplicaReport { partition: TopicIdPartition { topic_id, partition }, unclean: true, position: LogPosition::EMPTY }
}

/// What opening the log says of the replica.
pub(crate) fn report_of(id: &LogId, log: &Log, report: &RecoveryReport) -> ReplicaReport {
    for reason in &report.unclean {
        warn!(topic = %id.topic, partition = %id.partition, ?reason, "the replica may lack acknowledged records");
    }
    ReplicaReport {
        partition: TopicIdPartition { topic_id: id.topic_id, partition: id.partition },
        unclean: !report.unclean.is_empty(),
        position: LogPosition { last_epoch: log.latest_epoch(), log_end: log.log_end_offset() },
    }
}
