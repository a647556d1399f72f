//! Records that turn out to be damaged while the broker runs: others have better ones.

use std::rc::Rc;

use tidelog_commitlog::StorageError;
use tidelog_metadata::{Image, LeaderRecovery, ReplicaReport, Request, Response, TopicIdPartition};
use tidelog_wire::types::{BrokerId, LeaderEpoch};
use tracing::warn;

use crate::partition::PartitionHandle;
use crate::placement::is_to_be_cut;
use crate::retry::{Attempt, Task};
use crate::shard::Shard;

/// The partition's log could not be read. If records are damaged, the controller is to hear that this replica lacks what it
/// acknowledged (docs/REPLICATION.md R5). It leads elsewhere then, and the metadata applier has the damaged records fetched anew.
pub(crate) fn met(shard: &Rc<Shard>, partition: &PartitionHandle, error: &StorageError) {
    shard.storage_error(error);
    if let StorageError::Damaged { offset, .. } = error
        && partition.damaged_at.replace(Some(*offset)).is_none()
    {
        warn!(partition = %partition.id, "durable records are damaged, leaving them to the other replicas");
    }
    if is_unreported(partition) {
        shard.retries.now(Task::ReportDamage);
    }
}

fn is_unreported(partition: &PartitionHandle) -> bool {
    partition.is_damaged() && !partition.damage_reported.get()
}

/// Tells the controller of damage that it has not heard of. Each partition's is told once: one that has no other replica is
/// led on as it is.
pub(crate) async fn report(shard: &Rc<Shard>) -> Attempt {
    let damaged: Vec<_> = shard.partitions.all().into_iter().filter(is_unreported).collect();
    let replicas: Vec<_> = damaged.iter().filter_map(report_of).collect();
    if replicas.is_empty() {
        return Attempt::Done;
    }
    let request = Request::ReportUnclean { broker: shard.identity(), replicas };
    match shard.controller.submit(request).await {
        Ok(Response::ReportUnclean(Ok(()))) => {
            let image = shard.image();
            for partition in damaged {
                partition.damage_reported.set(true);
                // The controller may not have counted on this replica before, and then no change of the partition follows.
                if is_to_be_cut(shard, &image, &partition) {
                    shard.retries.now(Task::Place(partition.id.id_partition()));
                }
            }
            Attempt::Done
        }
        answer => {
            warn!(?answer, partitions = damaged.len(), "damage could not be reported, trying again");
            Attempt::Again
        }
    }
}

/// Tells the controller of a replica that was opened after this broker had registered, and was found to lack records.
pub(crate) async fn report_lack(shard: &Rc<Shard>, report: ReplicaReport) -> Attempt {
    let request = Request::ReportUnclean { broker: shard.identity(), replicas: vec![report] };
    match shard.controller.submit(request).await {
        Ok(Response::ReportUnclean(Ok(()))) => Attempt::Done,
        answer => {
            warn!(?answer, "a replica that lacks records could not be reported, trying again");
            Attempt::Again
        }
    }
}

fn report_of(partition: &PartitionHandle) -> Option<ReplicaReport> {
    let id = partition.id.id_partition();
    Some(ReplicaReport { partition: id, unclean: true, position: partition.log_position()? })
}

/// Whether damaged records may go: another leads who has better ones, and the controller does not count on this replica's.
/// While it does, it may elect this replica for what a cut would take. Or an election since `known_epoch` has accepted
/// their loss.
pub(crate) fn may_cut(image: &Image, id: TopicIdPartition, replica: BrokerId, known_epoch: LeaderEpoch) -> bool {
    let Some(partition) = image.partition(id) else {
        return false;
    };
    let is_counted_on = partition.isr.contains(&replica) || partition.elr.contains(&replica);
    match partition.leader == replica {
        true => partition.leader_recovery == LeaderRecovery::LossAccepted && partition.leader_epoch > known_epoch,
        false => partition.has_leader() && !is_counted_on,
    }
}

/// Tells the controller which replicas that were unclean are in sync again: they are whole.
pub(crate) async fn report_recovered(shard: &Rc<Shard>) -> Attempt {
    let partitions = recovered(shard, &shard.image());
    if partitions.is_empty() {
        return Attempt::Done;
    }
    let request = Request::ReplicaRecovered { broker: shard.identity(), partitions };
    if let Err(error) = shard.controller.submit(request).await {
        warn!(%error, "cannot tell which replicas are whole again, trying again");
    }
    // The image tells whether it helped.
    Attempt::Again
}

pub(crate) fn recovered(shard: &Shard, image: &Image) -> Vec<TopicIdPartition> {
    let identity = shard.identity();
    let Some(broker) = image.broker(identity.broker_id) else {
        return Vec::new();
    };
    let is_in_sync = |partition: &&TopicIdPartition| {
        image.partition(**partition).is_some_and(|state| state.isr.contains(&identity.broker_id))
    };
    broker.unclean.keys().filter(is_in_sync).copied().collect()
}
