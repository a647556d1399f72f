//! Produce: what arrived in one wake-up is appended with one write, and acknowledged when it counts.

use std::rc::Rc;

use tidelog_commitlog::{AppendError, Appended, InvalidBatch, ValidBatch};
use tidelog_replication::{AckError, Acks, ProduceError};
use tidelog_wire::types::LeaderEpoch;

use super::acks::{AppendOutcome, ReplyTo};
use super::host::{PartitionHost, State};
use super::judge::{Produced, judge};
use super::refusal::Refusal;
use crate::shard::Shard;

/// One partition's records of a produce request, waiting for the turn's append.
pub(crate) struct PendingProduce {
    pub batch: Produced,
    pub acks: Acks,
    pub reply: ReplyTo,
}

impl PartitionHost {
    /// Queues records for the append at the end of this turn.
    pub(crate) fn produce(self: &Rc<Self>, shard: &Shard, produce: PendingProduce) {
        self.state.borrow_mut().pending.push(produce);
        self.queue_append(shard);
    }

    pub(super) fn queue_append(self: &Rc<Self>, shard: &Shard) {
        if !self.append_queued.replace(true) {
            shard.turn.append(Rc::clone(self));
        }
    }

    /// Appends everything that is pending and can be judged here; what takes longer is appended later.
    pub(crate) fn append_pending(self: &Rc<Self>, shard: &Rc<Shard>) {
        self.append_queued.set(false);
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if state.is_judging {
            return;
        }
        let (mut accepted, leader_epoch) = take_acceptable(state);
        let now_ms = shard.clock.wall_ms();
        if let Some(log) = state.log.as_ref() {
            judge(&mut shard.validator.borrow_mut(), &mut accepted, log.config(), now_ms);
        }
        let judged = accepted.iter().take_while(|produce| produce.batch.is_judged()).count();
        let left = accepted.split_off(judged);
        if !accepted.is_empty() {
            self.append(shard, state, accepted, leader_epoch, now_ms);
        }
        if !left.is_empty() {
            self.judge_apart(shard, state, left);
        }
    }

    fn append(
        self: &Rc<Self>,
        shard: &Rc<Shard>,
        state: &mut State,
        judged: Vec<PendingProduce>,
        leader_epoch: LeaderEpoch,
        now_ms: i64,
    ) {
        let Some(log) = state.log.as_mut() else {
            return refuse_all(judged, &Refusal::from(ProduceError::NotLeaderOrFollower));
        };
        let (mut batches, mut replies) = (Vec::with_capacity(judged.len()), Vec::with_capacity(judged.len()));
        for PendingProduce { batch, acks, reply } in judged {
            if let Produced::Judged(batch) = batch {
                batches.push(batch);
                replies.push((acks, reply));
            }
        }
        let size_of = |batch: &Result<ValidBatch, InvalidBatch>| batch.as_ref().map_or(0, ValidBatch::size_in_bytes);
        let sizes: Vec<usize> = batches.iter().map(size_of).collect();
        let results = log.append_valid(batches, leader_epoch, now_ms);
        let log_end = log.log_end_offset();
        self.count(shard, &sizes, &results);
        state.protocol.appended(log_end, shard.clock.monotonic_ms(), &mut state.effects);
        self.execute_effects(shard, state);
        for ((acks, reply), result) in replies.into_iter().zip(results) {
            settle(shard, state, acks, reply, result);
        }
        self.want_flush(shard, state);
    }

    /// What to answer to a parked produce whose time is over.
    pub(crate) fn expired_ack_error(&self) -> AckError {
        self.state.borrow().protocol.expired_ack_error()
    }

    /// Producers wait for records of this replica to be appended or committed.
    pub(crate) fn has_waiting_producers(&self) -> bool {
        let state = self.state.borrow();
        state.is_judging || !state.pending.is_empty() || !state.acks.is_empty()
    }

    fn count(&self, shard: &Shard, sizes: &[usize], results: &[Result<Appended, AppendError>]) {
        let (mut bytes, mut records) = (0, 0);
        for (size, result) in sizes.iter().zip(results) {
            if let Ok(appended) = result
                && !appended.duplicate
            {
                bytes += *size as u64;
                records += (appended.last_offset - appended.base_offset + 1) as u64;
            }
        }
        shard.metrics.bytes_in.add(bytes);
        shard.metrics.messages_in.add(records);
        self.appended_bytes.set(self.appended_bytes.get() + bytes);
    }
}

/// Refuses what may not be appended now; the rest goes into one append.
fn take_acceptable(state: &mut State) -> (Vec<PendingProduce>, LeaderEpoch) {
    let mut accepted = std::mem::take(&mut state.pending);
    let (leader, all) = (state.protocol.check_produce(Acks::Leader), state.protocol.check_produce(Acks::All));
    let mut leader_epoch = LeaderEpoch::NONE;
    accepted.retain(|produce| {
        let check = match produce.acks {
            Acks::Leader => leader,
            Acks::All => all,
        };
        match check {
            Ok(epoch) => leader_epoch = epoch,
            Err(error) => produce.reply.fill(AppendOutcome::Refused(error.into())),
        }
        check.is_ok()
    });
    (accepted, leader_epoch)
}

/// Answers now what needs no other replica or is committed already, parks the rest.
fn settle(shard: &Shard, state: &mut State, acks: Acks, reply: ReplyTo, result: Result<Appended, AppendError>) {
    let log_start = state.log.as_ref().map_or_else(Default::default, |log| log.log_start_offset());
    let appended = match result {
        Ok(appended) => appended,
        Err(error) => {
            if let AppendError::Storage(error) = &error {
                shard.storage_error(error);
            }
            shard.metrics.failed_produce_requests.add(1);
            return reply.fill(AppendOutcome::Refused(Refusal::of_append(&error, log_start)));
        }
    };
    let end = appended.last_offset + 1;
    let outcome = AppendOutcome::Stored {
        base_offset: appended.base_offset,
        log_append_time_ms: appended.log_append_time_ms,
        log_start,
    };
    if acks == Acks::All && end > state.protocol.high_watermark() {
        state.acks.park(end, outcome, reply);
        state.protocol.ack_parked(end);
    } else {
        reply.fill(outcome);
    }
}

pub(super) fn refuse_all(produces: Vec<PendingProduce>, refusal: &Refusal) {
    for produce in produces {
        produce.reply.fill(AppendOutcome::Refused(refusal.clone()));
    }
}
