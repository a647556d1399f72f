//! Who is in the ISR: proposals to the controller, their outcomes, and what the image says.

use super::Leader;
use crate::assignment::{Assignment, Replica};
use crate::effect::Effect;
use crate::isr::{Isr, IsrOutcome, IsrProposal, Request, RequestState};
use crate::local::Local;
use crate::progress::Progress;
use tidelog_wire::types::{BrokerEpoch, BrokerId, Offset};

/// Pause after the controller refused a proposal or did not answer.
const PROPOSAL_BACKOFF_MS: i64 = 100;
/// The image should have told us sooner what the controller knows and we do not.
const OUTDATED_BACKOFF_MS: i64 = 1000;

impl Leader {
    /// The image changed, the leader epoch did not: another partition epoch, brokers fenced or registered, or
    /// another min.insync.replicas.
    pub fn image_changed(
        &mut self,
        assignment: &Assignment<'_>,
        local: &mut Local,
        now_ms: i64,
        out: &mut Vec<Effect>,
    ) {
        self.min_isr = assignment.min_isr;
        self.update_replicas(assignment, local.id, now_ms);
        // An image behind an accepted proposal of ours still tells of brokers, but no longer of this partition.
        if assignment.partition_epoch > self.partition_epoch {
            self.partition_epoch = assignment.partition_epoch;
            self.commit_isr(assignment.isr.to_vec(), local);
        }
        if assignment.partition_epoch == self.partition_epoch {
            self.elr = assignment.elr.to_vec();
        }
        self.membership_settled(local, now_ms, out);
    }

    /// Keeps one `Progress` for each assigned replica and, whatever the image says, each member of the ISR.
    fn update_replicas(&mut self, assignment: &Assignment<'_>, local_id: BrokerId, now_ms: i64) {
        let isr = &self.isr;
        self.others.retain(|other| {
            isr.maximal_contains(other.id) || assignment.replicas.iter().any(|replica| replica.id == other.id)
        });
        for replica in assignment.replicas.iter().filter(|replica| replica.id != local_id) {
            match self.others.iter_mut().find(|other| other.id == replica.id) {
                Some(other) => other.registration_changed(replica),
                None => self.others.push(Progress::new(replica, now_ms)),
            }
        }
        for &id in assignment.isr.iter().filter(|&&id| id != local_id) {
            if !self.others.iter().any(|other| other.id == id) {
                let unregistered = Replica { id, broker_epoch: BrokerEpoch::NONE, eligible: false };
                self.others.push(Progress::new(&unregistered, now_ms));
            }
        }
    }

    pub fn isr_resolved(
        &mut self,
        proposal: &IsrProposal,
        outcome: IsrOutcome,
        local: &mut Local,
        now_ms: i64,
        out: &mut Vec<Effect>,
    ) {
        let outdated = RequestState::RetryAt { ms: now_ms + OUTDATED_BACKOFF_MS };
        let retry_at = RequestState::RetryAt { ms: now_ms + PROPOSAL_BACKOFF_MS };
        let confirmation = self.with_broker_epochs(self.isr.committed(), local);
        let Some(request) = self.isr.request_mut().filter(|request| request.proposal == *proposal) else {
            return;
        };
        match outcome {
            IsrOutcome::Accepted { leader_epoch, partition_epoch, isr } => {
                // Anything else than our own epoch moving on is for the image to explain.
                if leader_epoch == self.epoch && partition_epoch >= self.partition_epoch {
                    self.partition_epoch = partition_epoch;
                    self.accept_isr(isr, local);
                } else {
                    request.state = outdated;
                }
            }
            IsrOutcome::Outdated => request.state = outdated,
            IsrOutcome::Unknown => {
                request.maybe_under_way = true;
                request.state = retry_at;
            }
            // An earlier attempt may still arrive, and be accepted then. Confirming the ISR as it is moves the
            // partition epoch on, which outdates that attempt; until then the change stays pending.
            IsrOutcome::Ineligible if request.maybe_under_way => {
                request.proposal.new_isr = confirmation;
                request.state = retry_at;
            }
            IsrOutcome::Ineligible => {
                self.isr.abandon();
                self.propose_after_ms = now_ms + PROPOSAL_BACKOFF_MS;
            }
        }
        self.membership_settled(local, now_ms, out);
    }

    fn accept_isr(&mut self, isr: Vec<BrokerId>, local: &Local) {
        // Whether the controller keeps a removed member eligible is known only with the image: it binds until then.
        let removed = self.isr.committed().iter().filter(|id| !isr.contains(id));
        self.elr.extend(removed);
        self.elr.retain(|id| !isr.contains(id));
        self.commit_isr(isr, local);
    }

    fn commit_isr(&mut self, isr: Vec<BrokerId>, local: &Local) {
        for other in self.others.iter_mut().filter(|other| self.isr.committed().contains(&other.id)) {
            // Whoever left the ISR comes back by fetching, not by what it had before; unless it has everything, for then
            // it has nothing to ask: it was fenced, and its fetches of other partitions went on.
            other.candidate = other.durable_end() == Some(local.log.end);
        }
        self.isr = Isr::Committed { isr };
    }

    fn membership_settled(&mut self, local: &mut Local, now_ms: i64, out: &mut Vec<Effect>) {
        self.advance(local, out);
        self.settle_low_watermark(local, out);
        self.propose_expansion(local, now_ms, out);
    }

    /// Proposes the next replica that caught up with both the high watermark and this epoch's start: with less, it
    /// could miss records committed under an earlier leader that our own high watermark does not show yet.
    pub(super) fn propose_expansion(&mut self, local: &Local, now_ms: i64, out: &mut Vec<Effect>) {
        let Isr::Committed { isr } = &self.isr else {
            return;
        };
        if now_ms < self.propose_after_ms {
            return;
        }
        let Some(adding) = self.others.iter().find(|other| self.joins(other, local)) else { return };
        let adding = adding.id;
        let isr = isr.clone();
        let mut new_isr = self.with_broker_epochs(&isr, local);
        new_isr.extend(self.with_broker_epochs(&[adding], local));
        let request = self.request(new_isr, out);
        self.isr = Isr::PendingExpand { isr, adding, request };
    }

    fn joins(&self, other: &Progress, local: &Local) -> bool {
        let reached = other.durable_end() >= Some(self.join_mark(local));
        // Below our log start it may keep what diverges, or bring back what was deleted.
        let starts_with_us = other.log_start() >= Some(local.log.start);
        other.candidate && reached && starts_with_us && other.may_join() && !self.isr.maximal_contains(other.id)
    }

    /// What a replica must have on disk to join the ISR.
    pub(super) fn join_mark(&self, local: &Local) -> Offset {
        local.high_watermark().max(self.epoch_start)
    }

    fn propose_shrink(&mut self, local: &Local, now_ms: i64, out: &mut Vec<Effect>) {
        let Isr::Committed { isr } = &self.isr else {
            return;
        };
        let lag_max_ms = local.settings.replica_lag_time_max_ms;
        let lags = |id: &BrokerId| {
            let other = self.others.iter().find(|other| other.id == *id);
            let deadline_ms = other.and_then(|other| other.lag_deadline_ms(local.log.end, lag_max_ms));
            deadline_ms.is_some_and(|deadline_ms| deadline_ms <= now_ms)
        };
        if now_ms < self.propose_after_ms || !isr.iter().any(lags) {
            return;
        }
        let staying: Vec<BrokerId> = isr.iter().copied().filter(|id| !lags(id)).collect();
        let isr = isr.clone();
        let request = self.request(self.with_broker_epochs(&staying, local), out);
        self.isr = Isr::PendingShrink { isr, request };
    }

    fn request(&self, new_isr: Vec<(BrokerId, BrokerEpoch)>, out: &mut Vec<Effect>) -> Request {
        let proposal = IsrProposal { leader_epoch: self.epoch, partition_epoch: self.partition_epoch, new_isr };
        out.push(Effect::ProposeIsr(Box::new(proposal.clone())));
        Request { proposal, state: RequestState::Sent, maybe_under_way: false }
    }

    fn with_broker_epochs(&self, members: &[BrokerId], local: &Local) -> Vec<(BrokerId, BrokerEpoch)> {
        let broker_epoch = |id: BrokerId| {
            let other = self.others.iter().find(|other| other.id == id);
            other.map_or(local.broker_epoch, Progress::broker_epoch)
        };
        members.iter().map(|&id| (id, broker_epoch(id))).collect()
    }

    pub(super) fn membership_deadline_ms(&self, local: &Local) -> Option<i64> {
        let Isr::Committed { isr } = &self.isr else {
            return match self.isr.request().map(|request| request.state) {
                Some(RequestState::RetryAt { ms }) => Some(ms),
                Some(RequestState::Sent) | None => None,
            };
        };
        let due_ms = |other: &Progress| {
            if isr.contains(&other.id) {
                other.lag_deadline_ms(local.log.end, local.settings.replica_lag_time_max_ms)
            } else {
                self.joins(other, local).then_some(self.propose_after_ms)
            }
        };
        let due_ms = self.others.iter().filter_map(due_ms).min()?;
        Some(due_ms.max(self.propose_after_ms))
    }

    pub(super) fn tick_membership(&mut self, local: &Local, now_ms: i64, out: &mut Vec<Effect>) {
        if let Some(request) = self.isr.request_mut() {
            if matches!(request.state, RequestState::RetryAt { ms } if ms <= now_ms) {
                request.state = RequestState::Sent;
                out.push(Effect::ProposeIsr(Box::new(request.proposal.clone())));
            }
            return;
        }
        self.propose_shrink(local, now_ms, out);
        self.propose_expansion(local, now_ms, out);
    }
}
