//! The leader's half: follower progress, the high watermark, consumers' view, self-fencing. ISR changes are in
//! [`membership`].

mod membership;

use crate::assignment::Assignment;
use crate::effect::{AckError, Effect};
use crate::fetch::{ConsumerView, FetchAnswer, FetchError, FollowerFetch};
use crate::history::{EpochEnd, EpochHistory};
use crate::isr::Isr;
use crate::local::Local;
use crate::partition::{Acks, PeerContact, ProduceError};
use crate::progress::Progress;
use tidelog_wire::types::{BrokerId, LeaderEpoch, Offset, PartitionEpoch};

/// While isolated, a leader that stepped aside looks this often whether its ISR fetches again.
const ISOLATION_CHECK_MS: i64 = 50;

/// One leadership: from one leader epoch's grant to the next.
///
/// ```text
/// log start ..... high watermark ..... durable end ..... log end
///   consumers read ─┘  followers read ──────────────────────┘
///            epoch start: nothing is shown to consumers until the high watermark reached it (KIP-207)
/// ```
#[derive(Debug)]
pub(crate) struct Leader {
    epoch: LeaderEpoch,
    epoch_start: Offset,
    partition_epoch: PartitionEpoch,
    min_isr: usize,
    isr: Isr,
    /// Eligible leader replicas: the controller may elect them, so they bind the high watermark like ISR members.
    elr: Vec<BrokerId>,
    /// All assigned replicas but this one.
    others: Vec<Progress>,
    /// The controller refused or failed us: no new proposal before this time.
    propose_after_ms: i64,
    low_watermark: Option<Offset>,
    standing: Standing,
}

/// Whether this leader may still speak for the partition (rule "self-fencing").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    InContact,
    /// No session with the controller since then; look at the followers at `check_at_ms`.
    Isolated {
        since_ms: i64,
        check_at_ms: i64,
    },
    Aside {
        since_ms: i64,
        check_at_ms: i64,
    },
}

impl Leader {
    /// Takes the leadership of `assignment`'s epoch; the epoch starts at the log's end.
    pub fn start(
        assignment: &Assignment<'_>,
        isolated_since_ms: Option<i64>,
        local: &mut Local,
        now_ms: i64,
        out: &mut Vec<Effect>,
    ) -> Self {
        let epoch_start = local.log.end;
        out.push(Effect::StartEpoch { leader_epoch: assignment.leader_epoch, start: epoch_start });
        let others = assignment.replicas.iter().filter(|replica| replica.id != local.id);
        let mut leader = Self {
            epoch: assignment.leader_epoch,
            epoch_start,
            partition_epoch: assignment.partition_epoch,
            min_isr: assignment.min_isr,
            isr: Isr::Committed { isr: assignment.isr.to_vec() },
            elr: assignment.elr.to_vec(),
            others: others.map(|replica| Progress::new(replica, now_ms)).collect(),
            propose_after_ms: now_ms,
            low_watermark: None,
            standing: Standing::InContact,
        };
        if let Some(since_ms) = isolated_since_ms {
            leader.isolated(since_ms, local);
        }
        leader.advance(local, out);
        // Also when nothing advanced: whatever was parked under the previous role must be asked again.
        out.push(Effect::WakeConsumers);
        leader.settle_low_watermark(local, out);
        leader
    }

    pub fn isr(&self) -> &[BrokerId] {
        self.isr.committed()
    }

    pub fn low_watermark(&self) -> Option<Offset> {
        self.low_watermark
    }

    // ---- appends ----

    pub fn check_produce(&self, acks: Acks) -> Result<LeaderEpoch, ProduceError> {
        if self.is_aside() {
            return Err(ProduceError::NotLeaderOrFollower);
        }
        match acks {
            Acks::All if !self.has_min_isr() => Err(ProduceError::NotEnoughReplicas),
            Acks::All | Acks::Leader => Ok(self.epoch),
        }
    }

    pub fn appended(&mut self, end: Offset, local: &mut Local, now_ms: i64, out: &mut Vec<Effect>) {
        let before = local.log.end;
        for other in &mut self.others {
            other.log_grows(before, now_ms);
        }
        local.append_to(end);
        out.push(Effect::WakeFollowers);
        self.advance(local, out);
    }

    pub fn expired_ack_error(&self) -> AckError {
        if self.is_aside() {
            AckError::NotLeaderOrFollower
        } else if self.has_min_isr() {
            AckError::RequestTimedOut
        } else {
            AckError::NotEnoughReplicasAfterAppend
        }
    }

    // ---- high watermark ----

    fn has_min_isr(&self) -> bool {
        self.isr.committed().len() >= self.min_isr
    }

    /// Who must have a record on disk before it is committed: whoever the controller may elect, now or once the
    /// pending change is through.
    pub fn binds(&self, replica: BrokerId) -> bool {
        self.isr.maximal_contains(replica) || self.elr.contains(&replica)
    }

    /// High watermark = smallest durable end of those that bind it, never back, only with enough of them (KIP-966).
    pub fn advance(&mut self, local: &mut Local, out: &mut Vec<Effect>) {
        if !self.has_min_isr() {
            return;
        }
        let mut smallest = local.counted_end();
        let mut known = 1;
        for other in self.others.iter().filter(|other| self.binds(other.id)) {
            let Some(durable_end) = other.durable_end() else {
                return;
            };
            smallest = smallest.min(durable_end);
            known += 1;
        }
        // Someone who is in the ISR but not among the replicas of our image cannot be waited for otherwise.
        if known < self.isr.committed().len() {
            return;
        }
        let hidden_before = local.high_watermark() < self.epoch_start;
        if !local.advance_high_watermark(smallest, out) {
            return;
        }
        if self.exposes(local) {
            if hidden_before || local.settings.followers_serve_consumers {
                out.push(Effect::WakeFollowers);
            }
            out.push(Effect::WakeConsumers);
        }
    }

    /// Before the high watermark reached the epoch's start, it may be lower than what an earlier leader showed.
    fn exposes(&self, local: &Local) -> bool {
        local.high_watermark() >= self.epoch_start
    }

    // ---- serving ----

    pub fn check_epoch(&self, current: Option<LeaderEpoch>) -> Result<LeaderEpoch, FetchError> {
        match current {
            Some(epoch) if epoch < self.epoch => Err(FetchError::FencedLeaderEpoch),
            Some(epoch) if epoch > self.epoch => Err(FetchError::UnknownLeaderEpoch),
            _ if self.is_aside() => Err(FetchError::NotLeaderOrFollower),
            _ => Ok(self.epoch),
        }
    }

    pub fn consumer_view(&self, current: Option<LeaderEpoch>, local: &Local) -> Result<ConsumerView, FetchError> {
        let leader_epoch = self.check_epoch(current)?;
        Ok(ConsumerView {
            log_start: local.log.start,
            high_watermark: local.high_watermark(),
            is_settled: self.exposes(local),
            leader_epoch,
        })
    }

    pub fn followers_at(&self, offset: Offset) -> impl Iterator<Item = (BrokerId, Offset)> {
        let in_sync = self.others.iter().filter(|other| self.isr.committed().contains(&other.id));
        in_sync.filter_map(move |other| {
            let (start, end) = (other.log_start()?, other.durable_end()?);
            (start <= offset && offset <= end).then_some((other.id, end))
        })
    }

    pub fn follower_fetched(
        &mut self,
        fetch: &FollowerFetch,
        history: &impl EpochHistory,
        local: &mut Local,
        now_ms: i64,
        out: &mut Vec<Effect>,
    ) -> FetchAnswer {
        if let Err(refusal) = self.check_position(fetch, history, local) {
            return refusal;
        }
        self.record_progress(fetch, local, now_ms, out);
        self.read_answer(fetch, local)
    }

    pub fn follower_answer(&self, fetch: &FollowerFetch, history: &impl EpochHistory, local: &Local) -> FetchAnswer {
        match self.check_position(fetch, history, local) {
            Err(refusal) => refusal,
            Ok(()) => self.read_answer(fetch, local),
        }
    }

    pub fn answer_sent(&mut self, replica: BrokerId, high_watermark: Offset) {
        if let Some(other) = self.others.iter_mut().find(|other| other.id == replica) {
            other.told_high_watermark = other.told_high_watermark.max(Some(high_watermark));
        }
    }

    pub fn session_opened(&mut self, replica: BrokerId) {
        if let Some(other) = self.others.iter_mut().find(|other| other.id == replica) {
            other.told_high_watermark = None;
        }
    }

    /// Is the follower one of ours, in our epoch, and its log up to its fetch offset a prefix of ours?
    fn check_position(
        &self,
        fetch: &FollowerFetch,
        history: &impl EpochHistory,
        local: &Local,
    ) -> Result<(), FetchAnswer> {
        if fetch.current_leader_epoch < self.epoch {
            return Err(FetchAnswer::Error(FetchError::FencedLeaderEpoch));
        }
        let other = self.others.iter().find(|other| other.id == fetch.replica);
        let (true, Some(other)) = (fetch.current_leader_epoch == self.epoch, other) else {
            return Err(FetchAnswer::WaitForImage);
        };
        if other.is_stale(fetch.broker_epoch) {
            return Err(FetchAnswer::Error(FetchError::NotLeaderOrFollower));
        }
        let out_of_range = FetchAnswer::Error(FetchError::OffsetOutOfRange { log_start: local.log.start });
        if fetch.fetch_offset < local.log.start {
            return Err(out_of_range);
        }
        // It may have led while there was nothing: the epoch it knows has no records, and ours come after it.
        let is_empty = fetch.log_start == fetch.fetch_offset && fetch.fetch_offset == local.log.end;
        if fetch.last_fetched_epoch != LeaderEpoch::NONE && !is_empty {
            let last = fetch.last_fetched_epoch;
            let end = history.end_offset_for_epoch(last).filter(|end| {
                // An end at our log start is a guess: the epoch is older than all we have.
                end.end_offset > local.log.start || last == history.latest_epoch()
            });
            match end {
                Some(end) if end.leader_epoch < last || end.end_offset < fetch.fetch_offset => {
                    return Err(FetchAnswer::Diverging(end));
                }
                Some(_) => {}
                // All it has is older than all we have: cut down to our log start, and then dropped, for what it has
                // below may diverge too.
                None if fetch.fetch_offset > local.log.start => {
                    let oldest = EpochEnd { leader_epoch: last, end_offset: local.log.start };
                    return Err(FetchAnswer::Diverging(oldest));
                }
                None => return Err(out_of_range),
            }
        }
        if fetch.fetch_offset > local.log.end { Err(out_of_range) } else { Ok(()) }
    }

    fn record_progress(&mut self, fetch: &FollowerFetch, local: &mut Local, now_ms: i64, out: &mut Vec<Effect>) {
        let reaches_isr = fetch.fetch_offset >= self.join_mark(local);
        let outside = !self.isr.maximal_contains(fetch.replica);
        let Some(other) = self.others.iter_mut().find(|other| other.id == fetch.replica) else {
            return;
        };
        let log_start_before = other.log_start();
        other.fetched(fetch, local.log.end, now_ms);
        other.candidate = outside && reaches_isr;
        if log_start_before != Some(fetch.log_start) {
            self.settle_low_watermark(local, out);
        }
        self.advance(local, out);
        if outside {
            self.propose_expansion(local, now_ms, out);
        }
    }

    fn read_answer(&self, fetch: &FollowerFetch, local: &Local) -> FetchAnswer {
        let high_watermark = local.high_watermark();
        let told = self.others.iter().find(|other| other.id == fetch.replica);
        let told = told.map_or(high_watermark, |other| other.told_high_watermark.unwrap_or(local.log.start));
        // A demoted leader waits for the high watermark to pass what it appended, and that is below our epoch's start.
        // Above it, high watermarks travel with the records, unless consumers wait for them over there.
        let awaited = if local.settings.followers_serve_consumers { high_watermark } else { self.epoch_start };
        let news = told < high_watermark.min(awaited) || fetch.log_start < local.log.start;
        FetchAnswer::Read {
            from: fetch.fetch_offset,
            up_to: local.log.end,
            high_watermark,
            log_start: local.log.start,
            news,
        }
    }

    // ---- log start ----

    pub fn log_start_advanced(&mut self, local: &Local, out: &mut Vec<Effect>) {
        out.push(Effect::WakeFollowers);
        self.settle_low_watermark(local, out);
    }

    /// Like the high watermark, it counts only with enough replicas: else an eligible leader outside the ISR could
    /// bring deleted records back.
    fn settle_low_watermark(&mut self, local: &Local, out: &mut Vec<Effect>) {
        if !self.has_min_isr() {
            return;
        }
        let mut smallest = local.log.start;
        for other in self.others.iter().filter(|other| self.binds(other.id)) {
            let Some(log_start) = other.log_start() else {
                return;
            };
            smallest = smallest.min(log_start);
        }
        if self.low_watermark.is_none_or(|low_watermark| smallest > low_watermark) {
            self.low_watermark = Some(smallest);
            out.push(Effect::LowWatermark(smallest));
        }
    }

    // ---- isolation ----

    pub fn is_aside(&self) -> bool {
        matches!(self.standing, Standing::Aside { .. })
    }

    pub fn isolated(&mut self, since_ms: i64, local: &Local) {
        if self.standing == Standing::InContact {
            let check_at_ms = since_ms.saturating_add(local.settings.session_timeout_ms);
            self.standing = Standing::Isolated { since_ms, check_at_ms };
        }
    }

    pub fn in_contact(&mut self, out: &mut Vec<Effect>) {
        if self.is_aside() {
            out.extend([Effect::Resume, Effect::WakeConsumers]);
        }
        self.standing = Standing::InContact;
    }

    fn isolation_deadline_ms(&self) -> Option<i64> {
        match self.standing {
            Standing::InContact => None,
            Standing::Isolated { check_at_ms, .. } | Standing::Aside { check_at_ms, .. } => Some(check_at_ms),
        }
    }

    /// With everyone fetching whom the controller may elect, a leader goes on without any controller; with one of them
    /// silent too, the rest of the cluster may have chosen that one.
    fn check_isolation(&mut self, peers: &impl PeerContact, local: &mut Local, now_ms: i64, out: &mut Vec<Effect>) {
        let (since_ms, was_aside) = match self.standing {
            Standing::Isolated { since_ms, check_at_ms } if check_at_ms <= now_ms => (since_ms, false),
            Standing::Aside { since_ms, check_at_ms } if check_at_ms <= now_ms => (since_ms, true),
            _ => return,
        };
        let timeout_ms = local.settings.session_timeout_ms;
        let members = self.others.iter().filter(|other| self.binds(other.id));
        let heard_ms = members.map(|other| peers.last_heard_ms(other.id)).min().unwrap_or(now_ms);
        let silent_at_ms = heard_ms.saturating_add(timeout_ms);
        if silent_at_ms > now_ms {
            self.standing = Standing::Isolated { since_ms, check_at_ms: silent_at_ms };
            if was_aside {
                out.extend([Effect::Resume, Effect::WakeConsumers]);
            }
        } else {
            self.standing = Standing::Aside { since_ms, check_at_ms: now_ms + ISOLATION_CHECK_MS };
            if !was_aside {
                local.fail_acks(local.high_watermark(), out);
                out.extend([Effect::StepAside, Effect::WakeConsumers]);
            }
        }
    }

    // ---- time ----

    pub fn next_deadline_ms(&self, local: &Local) -> Option<i64> {
        let isolation = self.isolation_deadline_ms();
        [isolation, self.membership_deadline_ms(local)].into_iter().flatten().min()
    }

    pub fn tick(&mut self, peers: &impl PeerContact, local: &mut Local, now_ms: i64, out: &mut Vec<Effect>) {
        self.check_isolation(peers, local, now_ms, out);
        self.tick_membership(local, now_ms, out);
    }
}
