//! Leaderships that this broker has and cannot serve, because the log could not be opened: others are asked to lead.

use std::rc::Rc;

use tidelog_metadata::{
    AlterPartition, Image, IsrMember, LeaderRecovery, Partition, PartitionAlteration, Request, TopicIdPartition,
};
use tidelog_wire::types::{BrokerEpoch, BrokerId};
use tracing::warn;

use crate::retry::Attempt;
use crate::shard::Shard;

/// Asks the controller for an ISR without this replica wherever it leads and is not hosted, and somebody else is in sync.
pub(crate) async fn resign(shard: &Rc<Shard>) -> Attempt {
    if !shard.is_ready.get() {
        return Attempt::Again;
    }
    let image = shard.image();
    let is_hosted = |id: TopicIdPartition| shard.partitions.get(id.topic_id, id.partition).is_some();
    let unserved = image.partitions_on(shard.node_id()).filter(|(id, _)| !is_hosted(*id));
    let partitions: Vec<_> =
        unserved.filter_map(|(id, partition)| without_leader(&image, id, partition, shard.node_id())).collect();
    if partitions.is_empty() {
        return Attempt::Done;
    }
    warn!(partitions = partitions.len(), "leaving to others what cannot be opened here");
    let request = AlterPartition { broker: shard.identity(), partitions };
    // The image tells whether it helped.
    if let Err(error) = shard.controller.submit(Request::AlterPartition(request)).await {
        warn!(%error, "cannot leave leaderships to others, trying again");
    }
    Attempt::Again
}

/// `None` if there is nothing to leave, or nobody to leave it to.
fn without_leader(
    image: &Image,
    id: TopicIdPartition,
    partition: &Partition,
    leader: BrokerId,
) -> Option<PartitionAlteration> {
    let epoch = |broker| image.broker(broker).map_or(BrokerEpoch::NONE, |broker| broker.epoch);
    let others = partition.isr.iter().filter(|member| **member != leader);
    let new_isr: Vec<_> = others.map(|member| IsrMember { broker_id: *member, broker_epoch: epoch(*member) }).collect();
    (partition.leader == leader && !new_isr.is_empty()).then_some(PartitionAlteration {
        partition: id,
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.partition_epoch,
        new_isr,
        leader_recovery: LeaderRecovery::Recovered,
    })
}
