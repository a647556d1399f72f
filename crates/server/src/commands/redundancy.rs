//! Which partitions lack a replica in sync: one that a move is still adding is not missed, and does not stand in for another.

use std::collections::BTreeMap;
use std::time::Duration;

use tidelog_client::Client;
use tidelog_wire::messages::metadata_response::MetadataResponsePartition;
use tidelog_wire::messages::{ListPartitionReassignmentsRequest, MetadataResponse};

use super::moves::cluster::{Ongoing, ongoing};
use super::moves::plan::TopicPartition;

/// A cluster that is slow to list its moves is shown without them.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

#[derive(Default)]
pub struct Redundancy {
    moves: BTreeMap<TopicPartition, Ongoing>,
}

impl Redundancy {
    /// Asks for the moves under way, but only where a replica is out of sync: otherwise they make no difference. A cluster
    /// that cannot list them is judged as if nothing moved.
    pub async fn of(client: &Client, metadata: &MetadataResponse) -> Self {
        let mut partitions = metadata.topics.iter().flat_map(|topic| &topic.partitions);
        if !partitions.any(|partition| out_of_sync(partition).next().is_some()) {
            return Self::default();
        }
        let asking = async {
            let connection = client.any().await?;
            match connection.version::<ListPartitionReassignmentsRequest>() {
                Ok(_) => ongoing(client).await,
                Err(_) => Ok(BTreeMap::new()),
            }
        };
        match tokio::time::timeout(ANSWER_WITHIN, asking).await {
            Ok(Ok(moves)) => Self { moves },
            Ok(Err(error)) => {
                tracing::debug!(%error, "the moves under way are unknown");
                Self::default()
            }
            Err(_) => Self::default(),
        }
    }

    pub fn is_short(&self, topic: &str, partition: &MetadataResponsePartition) -> bool {
        let adding = self.adding(topic, partition);
        out_of_sync(partition).any(|replica| !adding.contains(&replica))
    }

    /// The replicas without those that a move is adding.
    pub fn replication_factor(&self, topic: &str, partition: &MetadataResponsePartition) -> usize {
        let adding = self.adding(topic, partition);
        partition.replica_nodes.iter().filter(|replica| !adding.contains(replica)).count()
    }

    fn adding(&self, topic: &str, partition: &MetadataResponsePartition) -> &[i32] {
        self.moving(topic, partition).map_or(&[], |moving| &moving.adding)
    }

    pub fn moving(&self, topic: &str, partition: &MetadataResponsePartition) -> Option<&Ongoing> {
        self.moves.get(&(topic.to_owned(), partition.partition_index))
    }
}

fn out_of_sync(partition: &MetadataResponsePartition) -> impl Iterator<Item = i32> {
    partition.replica_nodes.iter().copied().filter(|replica| !partition.isr_nodes.contains(replica))
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
            [(0, &[1, 2][..], false), (0, &[1], true), (0, &[1, 3], true), (1, &[1, 2], true), (1, &[1, 2, 3], false)]
        {
            assert_eq!(redundancy.is_short("t", &partition(index, isr)), is_short, "partition {index}, {isr:?}");
        }
        assert_eq!(redundancy.replication_factor("t", &partition(0, &[1, 2])), 2);
    }
}
