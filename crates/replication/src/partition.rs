//! One partition's replica on this broker: the only type a host drives.

use crate::assignment::Assignment;
use crate::effect::{AckError, Effect};
use crate::fetch::{
    ConsumerView, FetchAnswer, FetchError, FetchPosition, FetchResponse, FetchVerdict,
    FollowerFetch,
};
use crate::history::EpochHistory;
use crate::isr::{IsrOutcome, IsrProposal};
use tidelog_wire::types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset};

/// Offsets of the local log: `start <= durable_end <= end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOffsets {
    pub start: Offset,
    /// End of the contiguous prefix that is on disk.
    pub durable_end: Offset,
    pub end: Offset,
}

/// What makes a record count towards the high watermark (topic config `write.caching`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// `write.caching=false`: once it is on disk.
    Flushed,
    /// `write.caching=true`: once it is appended, as Kafka does.
    PageCache,
}

#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub durability: Durability,
    /// `replica.lag.time.max.ms`: an ISR member that did not catch up for so long is dropped.
    pub replica_lag_time_max_ms: i64,
    /// `broker.session.timeout.ms`: silence of the controller and of an ISR member after which a leader steps aside.
    pub session_timeout_ms: i64,
}

/// When any shard of this broker last received a Fetch from another broker.
pub trait PeerContact {
    /// Milliseconds on the same clock as `now_ms`; `i64::MIN` if never.
    fn last_heard_ms(&self, broker: BrokerId) -> i64;
}

/// See the crate's documentation for how to drive it.
#[derive(Debug)]
pub struct Partition {
    high_watermark: Offset,
}

/// Why a produce is refused before anything was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProduceError {
    NotLeaderOrFollower,
    /// NOT_ENOUGH_REPLICAS: acks=all, and the ISR is smaller than min.insync.replicas.
    NotEnoughReplicas,
}

/// Which acknowledgement a producer asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// 0 or 1.
    Leader,
    /// -1.
    All,
}

impl Partition {
    /// A replica whose role is not known yet. `local_epoch` is this incarnation's own registration;
    /// `high_watermark` the checkpointed one (the log start if there is none), clamped to the log.
    pub fn new(
        local: BrokerId,
        local_epoch: BrokerEpoch,
        settings: Settings,
        log: LogOffsets,
        high_watermark: Offset,
    ) -> Self {
        let _ = (local, local_epoch, settings, log);
        Self { high_watermark }
    }

    // ---- metadata ----

    /// The image holds this state for the partition: call it at start and whenever the partition, its topic's
    /// min.insync.replicas or one of its replicas' brokers changed. Older epochs than known are ignored, and so is a
    /// leadership for us while the image does not hold our own registration.
    pub fn assignment_changed(
        &mut self,
        assignment: &Assignment<'_>,
        now_ms: i64,
        out: &mut Vec<Effect>,
    ) {
        let _ = (assignment, now_ms, out);
    }

    /// The replica is removed from this broker (reassigned, deleted, its log dir failed).
    pub fn stopped(&mut self, out: &mut Vec<Effect>) {
        let _ = out;
    }

    pub fn settings_changed(&mut self, settings: Settings, out: &mut Vec<Effect>) {
        let _ = (settings, out);
    }

    /// The controller's answer to [`Effect::ProposeIsr`]; `proposal` is the one that was sent.
    pub fn isr_resolved(
        &mut self,
        proposal: &IsrProposal,
        outcome: IsrOutcome,
        now_ms: i64,
        out: &mut Vec<Effect>,
    ) {
        let _ = (proposal, outcome, now_ms, out);
    }

    // ---- produce ----

    /// May a produce be appended now? The epoch returned is what its batches are stamped with.
    pub fn check_produce(&self, acks: Acks) -> Result<LeaderEpoch, ProduceError> {
        let _ = acks;
        Err(ProduceError::NotLeaderOrFollower)
    }

    /// The log grew to `end`, as leader or as follower.
    pub fn appended(&mut self, end: Offset, now_ms: i64, out: &mut Vec<Effect>) {
        let _ = (end, now_ms, out);
    }

    /// The log is on disk up to `durable_end`.
    pub fn flushed(&mut self, durable_end: Offset, now_ms: i64, out: &mut Vec<Effect>) {
        let _ = (durable_end, now_ms, out);
    }

    /// An acks=all produce whose records end at `end` was not committed yet when its append's effects were done
    /// (`end > high_watermark()`), and waits in the host's queue.
    pub fn ack_parked(&mut self, end: Offset) {
        let _ = end;
    }

    /// What to answer to a parked produce whose timeout is over.
    pub fn expired_ack_error(&self) -> AckError {
        AckError::NotLeaderOrFollower
    }

    // ---- serving fetches ----

    /// A follower's fetch arrived: records its progress, then answers. Call it once per request and partition named.
    pub fn follower_fetched(
        &mut self,
        fetch: &FollowerFetch,
        history: &impl EpochHistory,
        now_ms: i64,
        out: &mut Vec<Effect>,
    ) -> FetchAnswer {
        let _ = (fetch, history, now_ms, out);
        FetchAnswer::Error(FetchError::NotLeaderOrFollower)
    }

    /// The answer to a fetch that was parked, once more: changes no progress.
    pub fn follower_answer(
        &self,
        fetch: &FollowerFetch,
        history: &impl EpochHistory,
    ) -> FetchAnswer {
        let _ = (fetch, history);
        FetchAnswer::Error(FetchError::NotLeaderOrFollower)
    }

    /// An answer with these numbers is on its way to the follower: it is not news any more.
    pub fn answer_sent(&mut self, replica: BrokerId, high_watermark: Offset, log_start: Offset) {
        let _ = (replica, high_watermark, log_start);
    }

    /// May a consumer read at `offset`? An offset between high watermark and log end is answered with no records.
    pub fn consumer_fetch(
        &self,
        current_leader_epoch: Option<LeaderEpoch>,
        offset: Offset,
    ) -> Result<ConsumerView, FetchError> {
        let _ = (current_leader_epoch, offset);
        Err(FetchError::NotLeaderOrFollower)
    }

    /// For ListOffsets: what a consumer may see, with the same refusals.
    pub fn consumer_view(
        &self,
        current_leader_epoch: Option<LeaderEpoch>,
    ) -> Result<ConsumerView, FetchError> {
        let _ = current_leader_epoch;
        Err(FetchError::NotLeaderOrFollower)
    }

    /// For other requests that must reach the leader (DeleteRecords, OffsetForLeaderEpoch); `None`: not said.
    pub fn check_leader(
        &self,
        current_leader_epoch: Option<LeaderEpoch>,
    ) -> Result<LeaderEpoch, FetchError> {
        let _ = current_leader_epoch;
        Err(FetchError::NotLeaderOrFollower)
    }

    // ---- following ----

    /// The fetch to send to the leader, if this replica follows one and its log is ready: everything appended is
    /// durable, no truncation is outstanding.
    pub fn fetch_position(&self, history: &impl EpochHistory) -> Option<FetchPosition> {
        let _ = history;
        None
    }

    /// The leader's answer to `position`. Effects first, then the verdict.
    pub fn fetch_response(
        &mut self,
        position: &FetchPosition,
        response: &FetchResponse,
        history: &impl EpochHistory,
        out: &mut Vec<Effect>,
    ) -> FetchVerdict {
        let _ = (position, response, history, out);
        FetchVerdict::Stale
    }

    /// [`Effect::TruncateTo`] or [`Effect::RestartAt`] was carried out; these are the log's offsets now.
    pub fn truncated(&mut self, log: LogOffsets, out: &mut Vec<Effect>) {
        let _ = (log, out);
    }

    /// The log start moved, and this is persisted: by retention or DeleteRecords on the leader, by
    /// [`Effect::AdvanceLogStart`] on a follower.
    pub fn log_start_advanced(&mut self, start: Offset, out: &mut Vec<Effect>) {
        let _ = (start, out);
    }

    // ---- time and isolation ----

    /// This broker lost its session with the controller at `since_ms`.
    pub fn controller_contact_lost(&mut self, since_ms: i64) {
        let _ = since_ms;
    }

    /// The session is back, and the image has caught up.
    pub fn controller_contact_regained(&mut self, out: &mut Vec<Effect>) {
        let _ = out;
    }

    /// When [`Partition::tick`] is due; `None` while there is nothing to wait for. It may change with every event.
    pub fn next_deadline_ms(&self) -> Option<i64> {
        None
    }

    /// Calling it early or late is harmless.
    pub fn tick(&mut self, now_ms: i64, peers: &impl PeerContact, out: &mut Vec<Effect>) {
        let _ = (now_ms, peers, out);
    }

    // ---- facts ----

    /// The high watermark this replica knows. Consumers are shown [`Partition::consumer_view`], not this.
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// The leader epoch of the newest state applied.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        LeaderEpoch::NONE
    }

    pub fn is_leader(&self) -> bool {
        false
    }

    /// Leaders only: smallest log start of the in-sync replicas, as far as they are known.
    pub fn low_watermark(&self) -> Option<Offset> {
        None
    }

    /// The committed ISR as the leader knows it; empty on a follower.
    pub fn isr(&self) -> &[BrokerId] {
        &[]
    }
}
