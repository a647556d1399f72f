//! What operators must hear of a decision, though nobody asked.

use tidelog_wire::Str;
use tidelog_wire::types::{BrokerId, LeaderEpoch, PartitionIndex};

use crate::image::{Image, LeaderRecovery};
use crate::record::PartitionChange;

/// Goes to the log and is counted once the decision is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The new leader was neither in the ISR nor in the ELR, or is to give up damaged records: acknowledged ones may be lost.
    UncleanElection { topic: Str, partition: PartitionIndex, leader: BrokerId, leader_epoch: LeaderEpoch },
}

impl Note {
    /// Of a change that is about to be applied to `image`.
    pub(crate) fn of(change: &PartitionChange, image: &Image) -> Option<Self> {
        let leader = change.leader.filter(|leader| *leader != BrokerId::NONE)?;
        let topic = image.topic_by_id(change.topic_id)?;
        let before = topic.partition(change.partition)?;
        let accepts_loss = change.leader_recovery == Some(LeaderRecovery::LossAccepted);
        let is_clean = before.isr.contains(&leader) || before.elr.contains(&leader);
        (!is_clean || accepts_loss).then(|| Self::UncleanElection {
            topic: topic.name.clone(),
            partition: change.partition,
            leader,
            leader_epoch: LeaderEpoch(before.leader_epoch.get() + 1),
        })
    }
}
