//! Which partitions have fewer replicas in sync than they should: a replica that a move is still adding is not missed.

use std::collections::BTreeMap;

use tidelog_client::Client;
use tidelog_wire::messages::metadata_response::MetadataResponsePartition;
use tidelog_wire::messages::{ListPartitionReassignmentsRequest, MetadataResponse};

use super::moves::cluster::{Ongoing, ongoing};
use super::moves::plan::TopicPartition;
use crate::exit::Failure;

#[derive(Default)]
pub struct Redundancy {
    moves: BTreeMap<TopicPartition, Ongoing>,
}

impl Redundancy {
    /// Asks for the moves under way, but only where a replica is out of sync: otherwise they make no difference.
    pub async fn of(client: &Client, metadata: &MetadataResponse) -> Result<Self, Failure> {
        let mut partitions = metadata.topics.iter().flat_map(|topic| &topic.partitions);
        let is_served = || async {
            let connection = client.any().await?;
            Ok::<_, Failure>(connection.version::<ListPartitionReassignmentsRequest>().is_ok())
        };
        if partitions.all(|partition| partition.isr_nodes.len() >= partition.replica_nodes.len())
            || !is_served().await?
        {
            return Ok(Self::default());
        }
        Ok(Self { moves: ongoing(client).await? })
    }

    pub fn is_short(&self, topic: &str, partition: &MetadataResponsePartition) -> bool {
        partition.isr_nodes.len() < self.replication_factor(topic, partition)
    }

    /// The replicas without those that a move is adding.
    pub fn replication_factor(&self, topic: &str, partition: &MetadataResponsePartition) -> usize {
        let adding = self.moving(topic, partition).map_or(&[][..], |moving| &moving.adding);
        partition.replica_nodes.iter().filter(|replica| !adding.contains(replica)).count()
    }

    pub fn moving(&self, topic: &str, partition: &MetadataResponsePartition) -> Option<&Ongoing> {
        self.moves.get(&(topic.to_owned(), partition.partition_index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_that_a_move_adds_is_not_missed_and_others_are() {
        let moving = Ongoing { replicas: vec![3, 2, 1], adding: vec![3], removing: vec![1] };
        let redundancy = Redundancy { moves: BTreeMap::from([(("t".to_owned(), 0), moving)]) };
        let partition = |partition_index, isr: &[i32]| MetadataResponsePartition {
            partition_index,
            replica_nodes: vec![3, 2, 1],
            isr_nodes: isr.to_vec(),
            ..Default::default()
        };
        for (index, isr, is_short) in
            [(0, &[1, 2][..], false), (0, &[1], true), (1, &[1, 2], true), (1, &[1, 2, 3], false)]
        {
            assert_eq!(redundancy.is_short("t", &partition(index, isr)), is_short, "partition {index}, {isr:?}");
        }
        assert_eq!(redundancy.replication_factor("t", &partition(0, &[1, 2])), 2);
    }
}
