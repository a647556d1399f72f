//! AlterPartition: a leader changes its partitions' ISRs. Checks in KRaft's order (KIP-497, KIP-841, KIP-903).

use tidelog_wire::ErrorCode;
use tidelog_wire::types::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch};

use super::election::{PartitionUpdate, TopicRules};
use super::{Context, Round};
use crate::image::{LeaderRecovery, Partition};
use crate::record::{PartitionChange, Record};
use crate::request::{AlterPartition, IsrMember, PartitionAlteration};
use crate::response::{AlteredPartition, RequestError};

impl Round {
    pub(super) fn alter_partition(
        &mut self,
        request: &AlterPartition,
        context: &Context<'_>,
    ) -> Result<Vec<AlteredPartition>, RequestError> {
        let leader = self.registered(request.broker)?.id;
        Ok(request.partitions.iter().map(|wanted| self.alter_one(leader, wanted, context)).collect())
    }

    fn alter_one(&mut self, leader: BrokerId, wanted: &PartitionAlteration, context: &Context<'_>) -> AlteredPartition {
        let before = match self.check_alteration(leader, wanted) {
            Ok(before) => before.clone(),
            Err(code) => return refused(wanted, code),
        };
        let Some(topic) = self.image.topic_by_id(wanted.partition.topic_id) else {
            return refused(wanted, ErrorCode::UNKNOWN_TOPIC_ID);
        };
        let rules = TopicRules::of(&self.resolver(context), &topic.name);
        let isr = wanted.new_isr.iter().map(|member| member.broker_id).collect();
        let update = PartitionUpdate::new(&self.image, wanted.partition, &before, rules)
            .with_isr(isr)
            .with_leader_recovery(wanted.leader_recovery);
        // A leader that asks for what it has makes sure that nothing it asked for earlier can still be granted: the
        // partition epoch grows all the same.
        let change = update.build().unwrap_or_else(|| PartitionChange {
            topic_id: wanted.partition.topic_id,
            partition: wanted.partition.partition,
            ..PartitionChange::default()
        });
        self.push(Record::PartitionChange(Box::new(change)));
        match self.image.partition(wanted.partition) {
            Some(after) if after.leader == leader => altered(wanted, after),
            _ => refused(wanted, ErrorCode::NEW_LEADER_ELECTED),
        }
    }

    fn check_alteration(&self, leader: BrokerId, wanted: &PartitionAlteration) -> Result<&Partition, ErrorCode> {
        let Some(topic) = self.image.topic_by_id(wanted.partition.topic_id) else {
            return Err(ErrorCode::UNKNOWN_TOPIC_ID);
        };
        let Some(partition) = topic.partition(wanted.partition.partition) else {
            return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        };
        if wanted.leader_epoch > partition.leader_epoch || wanted.partition_epoch > partition.partition_epoch {
            // The leader has seen more than this image holds: a newer controller must have answered it.
            return Err(ErrorCode::NOT_CONTROLLER);
        }
        if wanted.leader_epoch < partition.leader_epoch {
            return Err(ErrorCode::FENCED_LEADER_EPOCH);
        }
        if leader != partition.leader {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        if wanted.partition_epoch < partition.partition_epoch {
            return Err(ErrorCode::INVALID_UPDATE_VERSION);
        }
        check_members(partition, &wanted.new_isr)?;
        check_recovery(partition, wanted)?;
        let eligible = |member: &IsrMember| self.is_eligible(partition, member);
        if !wanted.new_isr.iter().all(eligible) {
            return Err(ErrorCode::INELIGIBLE_REPLICA);
        }
        Ok(partition)
    }

    /// A fenced or stopping broker, or another incarnation than the leader has heard, is not in sync.
    fn is_eligible(&self, partition: &Partition, member: &IsrMember) -> bool {
        let Some(broker) = self.image.broker(member.broker_id) else { return false };
        let stays = member.broker_epoch == BrokerEpoch::NONE && partition.isr.contains(&member.broker_id);
        broker.is_active() && (stays || broker.epoch == member.broker_epoch)
    }
}

fn check_members(partition: &Partition, isr: &[IsrMember]) -> Result<(), ErrorCode> {
    let is_replica = |member: &IsrMember| partition.replicas.contains(&member.broker_id);
    let is_repeated =
        |(index, member): (usize, &IsrMember)| isr[..index].iter().any(|earlier| earlier.broker_id == member.broker_id);
    // A leader that leaves itself out cannot serve the partition: one of the others is to lead.
    if isr.is_empty() || !isr.iter().all(is_replica) || isr.iter().enumerate().any(is_repeated) {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    Ok(())
}

/// A leader that recovers is alone in its ISR, and recovery begins only with an election (KIP-704).
fn check_recovery(partition: &Partition, wanted: &PartitionAlteration) -> Result<(), ErrorCode> {
    if wanted.leader_recovery == LeaderRecovery::Recovering
        && (wanted.new_isr.len() > 1 || partition.leader_recovery == LeaderRecovery::Recovered)
    {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    Ok(())
}

fn altered(wanted: &PartitionAlteration, after: &Partition) -> AlteredPartition {
    AlteredPartition {
        partition: wanted.partition,
        error_code: ErrorCode::NONE,
        leader: after.leader,
        leader_epoch: after.leader_epoch,
        isr: after.isr.clone(),
        leader_recovery: after.leader_recovery,
        partition_epoch: after.partition_epoch,
    }
}

fn refused(wanted: &PartitionAlteration, error_code: ErrorCode) -> AlteredPartition {
    AlteredPartition {
        partition: wanted.partition,
        error_code,
        leader: BrokerId::NONE,
        leader_epoch: LeaderEpoch::NONE,
        isr: Vec::new(),
        leader_recovery: LeaderRecovery::Recovered,
        partition_epoch: PartitionEpoch(-1),
    }
}
