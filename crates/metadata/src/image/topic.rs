//! Topics and their partitions.

use std::fmt;
use std::sync::Arc;

use tidelog_wire::types::{BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex};
use tidelog_wire::{Str, Uuid};

/// Kafka's TopicIdPartition: names a partition of this topic and not of a later one of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicIdPartition {
    pub topic_id: Uuid,
    pub partition: PartitionIndex,
}

impl fmt::Display for TopicIdPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic_id, self.partition)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Topic {
    pub id: Uuid,
    pub name: Str,
    pub(super) partitions: Vec<Arc<Partition>>,
}

impl Topic {
    pub fn partition_count(&self) -> usize {
        self.partitions.len()
    }

    pub fn partition(&self, index: PartitionIndex) -> Option<&Arc<Partition>> {
        self.partitions.get(usize::try_from(index.get()).ok()?)
    }

    /// All partitions, from index 0 on without gaps.
    pub fn partitions(&self) -> impl ExactSizeIterator<Item = (PartitionIndex, &Arc<Partition>)> {
        self.partitions.iter().enumerate().map(|(index, partition)| (PartitionIndex(index as i32), partition))
    }

    pub fn id_partition(&self, partition: PartitionIndex) -> TopicIdPartition {
        TopicIdPartition { topic_id: self.id, partition }
    }

    /// Replicas of partition 0, which all partitions were created with; 0 for a topic without partitions.
    pub fn replication_factor(&self) -> usize {
        self.partitions.first().map_or(0, |partition| partition.target_replica_count())
    }

    /// Whether clients must not write to it.
    pub fn is_internal(&self) -> bool {
        is_internal_topic(&self.name)
    }
}

/// Topics that brokers write, and clients must not.
pub fn is_internal_topic(name: &str) -> bool {
    matches!(name, "__consumer_offsets" | "__transaction_state" | "__share_group_state")
}

/// KIP-704.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LeaderRecovery {
    #[default]
    Recovered,
    /// Elected without being known to hold every committed record; until the leader says otherwise it is the only ISR member.
    Recovering,
    /// As `Recovering`, and someone who may has accepted the loss: damaged records of the leader are cut off too, and
    /// what followed them. Kafka does not know this state.
    LossAccepted,
}

impl LeaderRecovery {
    /// Kafka's number, where it has one.
    pub fn code(self) -> i8 {
        match self {
            Self::Recovered => 0,
            Self::Recovering => 1,
            Self::LossAccepted => 2,
        }
    }

    pub fn from_code(code: i8) -> Option<Self> {
        match code {
            0 => Some(Self::Recovered),
            1 => Some(Self::Recovering),
            2 => Some(Self::LossAccepted),
            _ => None,
        }
    }
}

/// Who holds and who leads a partition.
///
/// ```text
/// replicas        everyone who should hold it; the first is the preferred leader. During a reassignment the ones it
///                 ends with, then those it removes
///   isr           caught up; only active brokers; contains the leader
///   elr           out of the ISR, yet hold everything committed (KIP-966)
///   last_known    were in ISR or ELR when it was last complete, and may have lost records since
///   (the rest)    catching up, or gone
/// ```
/// The three sets are disjoint. ELR and last known are empty while |ISR| >= min ISR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    pub replicas: Vec<BrokerId>,
    pub isr: Vec<BrokerId>,
    pub elr: Vec<BrokerId>,
    pub last_known_elr: Vec<BrokerId>,
    pub adding_replicas: Vec<BrokerId>,
    pub removing_replicas: Vec<BrokerId>,
    /// The replicas in their order before the reassignment under way; empty without one.
    pub original_replicas: Vec<BrokerId>,
    /// In the order of `replicas`; empty while every broker has one log directory.
    pub directories: Vec<Uuid>,
    /// [`BrokerId::NONE`] when there is none.
    pub leader: BrokerId,
    pub leader_recovery: LeaderRecovery,
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: PartitionEpoch,
}

impl Partition {
    pub fn has_leader(&self) -> bool {
        self.leader != BrokerId::NONE
    }

    /// The first replica.
    pub fn preferred_leader(&self) -> BrokerId {
        self.replicas.first().copied().unwrap_or(BrokerId::NONE)
    }

    /// The replicas that a reassignment under way ends with.
    pub fn target_replicas(&self) -> impl Iterator<Item = BrokerId> {
        self.replicas.iter().copied().filter(|replica| !self.removing_replicas.contains(replica))
    }

    pub fn target_replica_count(&self) -> usize {
        self.target_replicas().count()
    }

    pub fn is_reassigning(&self) -> bool {
        !self.adding_replicas.is_empty() || !self.removing_replicas.is_empty()
    }

    /// Replicas that are being added are not missed yet, and do not stand in for one that is missing.
    pub fn is_under_replicated(&self) -> bool {
        self.replicas.iter().any(|replica| !self.adding_replicas.contains(replica) && !self.isr.contains(replica))
    }

    /// The first of the type's invariants that does not hold. One condition each, so that the message says which.
    pub fn broken_invariant(&self) -> Option<&'static str> {
        let within = |members: &[BrokerId]| members.iter().all(|member| self.replicas.contains(member));
        let outside_isr = |members: &[BrokerId]| !members.iter().any(|member| self.isr.contains(member));
        let outside_elr = |members: &[BrokerId]| !members.iter().any(|member| self.elr.contains(member));
        let invariants = [
            (is_set(&self.replicas), "a broker holds one replica"),
            (is_set(&self.isr), "the ISR names a broker once"),
            (within(&self.isr), "the ISR lies within the replicas"),
            (within(&self.elr), "the ELR lies within the replicas"),
            (within(&self.last_known_elr), "the last-known ELR lies within the replicas"),
            (outside_isr(&self.elr), "the ELR lies outside the ISR"),
            (outside_isr(&self.last_known_elr), "the last-known ELR lies outside the ISR"),
            (outside_elr(&self.last_known_elr), "the last-known ELR lies outside the ELR"),
            (!self.has_leader() || self.isr.contains(&self.leader), "the leader is in the ISR"),
            (within(&self.adding_replicas), "replicas being added are replicas"),
            (within(&self.removing_replicas), "replicas being removed are replicas"),
            (self.directories.is_empty() || self.directories.len() == self.replicas.len(), "a replica has a directory"),
        ];
        invariants.into_iter().find_map(|(holds, invariant)| (!holds).then_some(invariant))
    }

    /// The replication factor that min ISR is derived from and capped at: while a reassignment changes it, the smaller
    /// of both, for a growing one must not refuse producers until the new replicas have caught up.
    pub fn min_isr_replica_count(&self) -> usize {
        self.target_replica_count().min(self.replicas.len() - self.adding_replicas.len())
    }
}

fn is_set(members: &[BrokerId]) -> bool {
    (1..members.len()).all(|index| !members[..index].contains(&members[index]))
}

/// `configured` or else half of the replicas rounded up, at least 1 and at most all of them. Leader and controller
/// must agree on it, so both ask here (docs/REPLICATION.md R13).
pub fn min_insync_replicas(configured: Option<i32>, replica_count: usize) -> usize {
    let wanted = match configured {
        Some(count) => usize::try_from(count).unwrap_or(1),
        None => replica_count.div_ceil(2),
    };
    wanted.clamp(1, replica_count.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition() -> Partition {
        let brokers = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect::<Vec<_>>();
        Partition {
            replicas: brokers(&[1, 2, 3, 4]),
            isr: brokers(&[1, 2]),
            elr: brokers(&[3]),
            last_known_elr: brokers(&[4]),
            adding_replicas: Vec::new(),
            removing_replicas: Vec::new(),
            original_replicas: Vec::new(),
            directories: Vec::new(),
            leader: BrokerId(1),
            leader_recovery: LeaderRecovery::Recovered,
            leader_epoch: LeaderEpoch(3),
            partition_epoch: PartitionEpoch(7),
        }
    }

    #[test]
    fn a_partition_whose_sets_contradict_each_other_says_which() {
        type Break = fn(&mut Partition);
        assert_eq!(partition().broken_invariant(), None);
        let table: [(Break, &str); 8] = [
            (|partition| partition.replicas.push(BrokerId(1)), "a broker holds one replica"),
            (|partition| partition.isr.push(BrokerId(1)), "the ISR names a broker once"),
            (|partition| partition.isr.push(BrokerId(9)), "the ISR lies within the replicas"),
            (|partition| partition.elr.push(BrokerId(9)), "the ELR lies within the replicas"),
            (|partition| partition.elr.push(BrokerId(2)), "the ELR lies outside the ISR"),
            (|partition| partition.last_known_elr.push(BrokerId(3)), "the last-known ELR lies outside the ELR"),
            (|partition| partition.leader = BrokerId(3), "the leader is in the ISR"),
            (|partition| partition.directories.push(Uuid::from_u128(1)), "a replica has a directory"),
        ];
        for (breaks, invariant) in table {
            let mut partition = partition();
            breaks(&mut partition);
            assert_eq!(partition.broken_invariant(), Some(invariant));
        }
    }

    #[test]
    fn min_isr_is_half_the_replicas_unless_set_and_never_more_than_all() {
        let table = [
            (None, 1, 1),
            (None, 2, 1),
            (None, 3, 2),
            (None, 4, 2),
            (None, 5, 3),
            (Some(2), 3, 2),
            (Some(1), 3, 1),
            (Some(3), 2, 2),
            (Some(2), 1, 1),
            (Some(0), 3, 1),
            (Some(-4), 3, 1),
            (None, 0, 1),
        ];
        for (configured, replicas, expected) in table {
            assert_eq!(min_insync_replicas(configured, replicas), expected, "{configured:?} of {replicas}");
        }
    }
}
