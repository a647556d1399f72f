//! Records that turn out to be damaged while the broker runs: others have better ones.

use std::rc::Rc;
use std::time::Duration;

use tidelog_commitlog::StorageError;
use tidelog_metadata::{LogPosition, ReplicaReport, Request, TopicIdPartition};
use tracing::warn;

use crate::partition::PartitionHandle;
use crate::shard::Shard;

/// After a report of which nobody knows what became.
const REPORT_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A read of the partition failed. If records are damaged, tells the controller that this replica lacks what it acknowledged
/// (docs/REPLICATION.md R5). It leads elsewhere then, and the metadata applier has the damaged records fetched anew. Said once for each
/// partition.
pub(crate) fn read_failed(shard: &Rc<Shard>, partition: &PartitionHandle, error: &StorageError) {
    shard.storage_error(error);
    if let StorageError::Damaged { offset, .. } = error {
        partition.damaged_at.set(Some(*offset));
    }
    if !partition.is_damaged() || partition.damage_reported.replace(true) {
        return;
    }
    warn!(partition = %partition.id, "durable records are damaged, leaving them to the other replicas");
    let Some((_, log_end, _)) = partition.log_extent() else {
        return;
    };
    let report = ReplicaReport {
        partition: TopicIdPartition { topic_id: partition.id.topic_id, partition: partition.id.index },
        unclean: true,
        position: LogPosition { last_epoch: partition.leader_epoch(), log_end },
    };
    let (controller, broker) = (shard.controller.clone(), shard.identity());
    let partition = Rc::clone(partition);
    shard.spawn("report of damage", async move {
        if controller.submit(Request::ReportUnclean { broker, replicas: vec![report] }).await.is_err() {
            // The next read of it says so again.
            partition.damage_reported.set(false);
        }
    });
}

/// Tells the controller of a replica that could not be opened before this broker registered, and is found to lack records.
pub(crate) fn report(shard: &Rc<Shard>, report: ReplicaReport) {
    let (controller, broker) = (shard.controller.clone(), shard.identity());
    shard.spawn("report of damage", async move {
        while controller.submit(Request::ReportUnclean { broker, replicas: vec![report] }).await.is_err() {
            tokio::time::sleep(REPORT_AGAIN_AFTER).await;
        }
    });
}
