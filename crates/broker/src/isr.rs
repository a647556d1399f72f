//! ISR changes on their way to the controller: everything proposed while one AlterPartition is out goes with the next.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tidelog_metadata::{
    AlterPartition, AlteredPartition, IsrMember, LeaderRecovery, PartitionAlteration, Request, Response,
};
use tidelog_replication::{IsrOutcome, IsrProposal};
use tidelog_wire::ErrorCode;
use tracing::{debug, info, warn};

use crate::net::LocalNotify;
use crate::partition::PartitionHandle;
use crate::shard::Shard;

/// After a failed request, before the next one.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// Proposals that wait to be sent.
#[derive(Default)]
pub(crate) struct IsrProposals {
    waiting: RefCell<Vec<(PartitionHandle, IsrProposal)>>,
    arrived: LocalNotify,
}

impl IsrProposals {
    pub(crate) fn propose(&self, partition: PartitionHandle, proposal: IsrProposal) {
        self.waiting.borrow_mut().push((partition, proposal));
        self.arrived.notify();
    }

    /// Sends proposals until the shard ends.
    pub(crate) async fn run(shard: Rc<Shard>) {
        loop {
            shard.isr_proposals.arrived.notified().await;
            let proposals = shard.isr_proposals.waiting.take();
            if !proposals.is_empty() {
                send(&shard, proposals).await;
            }
        }
    }
}

async fn send(shard: &Rc<Shard>, proposals: Vec<(PartitionHandle, IsrProposal)>) {
    let request = AlterPartition {
        broker: shard.identity(),
        partitions: proposals.iter().map(|(partition, proposal)| alteration(partition, proposal)).collect(),
    };
    match shard.controller.submit(Request::AlterPartition(request)).await {
        Ok(Response::AlterPartition(Ok(altered))) => {
            info!(partitions = altered.len(), first = %proposals[0].0.id, "ISRs changed");
            for ((partition, proposal), altered) in proposals.into_iter().zip(altered) {
                report(shard, &partition, &proposal, &altered);
                partition.isr_resolved(shard, &proposal, outcome(altered));
            }
        }
        answer => {
            warn!(?answer, partitions = proposals.len(), "ISR changes were not answered");
            tokio::time::sleep(RETRY_AFTER).await;
            for (partition, proposal) in proposals {
                partition.isr_resolved(shard, &proposal, IsrOutcome::Unknown);
            }
        }
    }
}

fn alteration(partition: &PartitionHandle, proposal: &IsrProposal) -> PartitionAlteration {
    let member = |(broker_id, broker_epoch): &_| IsrMember { broker_id: *broker_id, broker_epoch: *broker_epoch };
    PartitionAlteration {
        partition: partition.id.id_partition(),
        leader_epoch: proposal.leader_epoch,
        partition_epoch: proposal.partition_epoch,
        new_isr: proposal.new_isr.iter().map(member).collect(),
        leader_recovery: LeaderRecovery::Recovered,
    }
}

fn report(shard: &Shard, partition: &PartitionHandle, proposal: &IsrProposal, altered: &AlteredPartition) {
    if altered.error_code != ErrorCode::NONE {
        if let Some(suppressed) = shard.isr_log.permit() {
            let error = altered.error_code.name();
            info!(partition = %partition.id, error, suppressed, "ISR change refused");
        }
        return;
    }
    let before = partition.isr_size();
    match proposal.new_isr.len() < before {
        true => shard.metrics.isr_shrinks.add(1),
        false => shard.metrics.isr_expands.add(1),
    }
    let isr: Vec<i32> = altered.isr.iter().map(|broker| broker.get()).collect();
    debug!(partition = %partition.id, ?isr, epoch = %altered.leader_epoch, "ISR changed");
}

fn outcome(altered: AlteredPartition) -> IsrOutcome {
    match altered.error_code {
        ErrorCode::NONE => IsrOutcome::Accepted {
            leader_epoch: altered.leader_epoch,
            partition_epoch: altered.partition_epoch,
            isr: altered.isr,
        },
        ErrorCode::INELIGIBLE_REPLICA | ErrorCode::OPERATION_NOT_ATTEMPTED => IsrOutcome::Ineligible,
        ErrorCode::REQUEST_TIMED_OUT | ErrorCode::UNKNOWN_SERVER_ERROR | ErrorCode::NOT_CONTROLLER => {
            IsrOutcome::Unknown
        }
        _ => IsrOutcome::Outdated,
    }
}
