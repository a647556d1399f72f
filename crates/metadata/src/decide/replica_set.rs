//! The replicas of a partition and a move of them under way (KIP-455), as they are before or after a decision.

use tidelog_wire::types::BrokerId;

use crate::image::Partition;

/// ```text
/// at rest      all = [1 2 3]
/// moving       all = [4 2 3 | 1]   adding = [4]   removing = [1]   original = [1 2 3]
/// completed    all = [4 2 3]
/// reverted     all = [1 2 3]
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReplicaSet {
    /// The replicas a move ends with, then those it removes.
    pub all: Vec<BrokerId>,
    pub adding: Vec<BrokerId>,
    pub removing: Vec<BrokerId>,
    /// Empty at rest.
    pub original: Vec<BrokerId>,
}

impl ReplicaSet {
    pub fn of(partition: &Partition) -> Self {
        Self {
            all: partition.replicas.clone(),
            adding: partition.adding_replicas.clone(),
            removing: partition.removing_replicas.clone(),
            original: partition.original_replicas.clone(),
        }
    }

    fn at_rest(all: Vec<BrokerId>) -> Self {
        Self { all, adding: Vec::new(), removing: Vec::new(), original: Vec::new() }
    }

    pub fn completed(&self) -> Self {
        Self::at_rest(without(&self.all, &self.removing))
    }

    pub fn reverted(&self) -> Self {
        match self.original.is_empty() {
            true => self.clone(),
            false => Self::at_rest(self.original.clone()),
        }
    }

    /// On the way to `target`. A move under way is reverted first, so its new replicas that are not wanted any more go
    /// at once.
    pub fn moving_to(&self, target: &[BrokerId]) -> Self {
        let original = self.reverted().all;
        let adding = without(target, &original);
        let removing = without(&original, target);
        if adding.is_empty() && removing.is_empty() {
            return Self::at_rest(target.to_vec());
        }
        let all = [target, &removing].concat();
        Self { all, adding, removing, original }
    }

    /// See [`Partition::min_isr_replica_count`].
    pub fn min_isr_count(&self) -> usize {
        (self.all.len() - self.removing.len()).min(self.all.len() - self.adding.len())
    }
}

fn without(replicas: &[BrokerId], those: &[BrokerId]) -> Vec<BrokerId> {
    replicas.iter().copied().filter(|replica| !those.contains(replica)).collect()
}
