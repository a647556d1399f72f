//! One partition's replica on this broker: the only type a host drives. It knows which role the replica has, and hands
//! each event to that role.

use crate::assignment::{Assignment, Replica};
use crate::effect::{AckError, Effect};
use crate::fetch::{ConsumerView, FetchAnswer, FetchError, FetchPosition, FetchResponse, FetchVerdict, FollowerFetch};
use crate::follower::Follower;
use crate::history::EpochHistory;
use crate::isr::{IsrOutcome, IsrProposal};
use crate::leader::Leader;
use crate::local::Local;
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
    /// Consumers may be sent to followers (KIP-392): those hear of every high watermark, also without records.
    pub followers_serve_consumers: bool,
}

/// When any shard of this broker last received a Fetch from another broker.
pub trait PeerContact {
    /// Milliseconds on the same clock as `now_ms`; `i64::MIN` if never.
    fn last_heard_ms(&self, broker: BrokerId) -> i64;
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

/// See the crate's documentation for how to drive it.
///
/// | role | entered when the image | left when the image |
/// |---|---|---|
/// | leader | names us, under our own registration, in an epoch we have not led yet | has a newer leader epoch |
/// | follower | names another leader | has a newer leader epoch |
/// | idle | names nobody, or an earlier incarnation of ours | has a newer leader epoch |
///
/// High watermark and parked acks outlive the role: a demoted leader's acks complete when it learns, as a follower, that
/// its records are committed.
#[derive(Debug)]
pub struct Partition {
    local: Local,
    leader_epoch: LeaderEpoch,
    role: Role,
    /// The newest epoch this incarnation led: it is never entered twice.
    led: LeaderEpoch,
    truncation: Truncation,
    isolated_since_ms: Option<i64>,
}

#[derive(Debug)]
enum Role {
    Idle,
    Leader(Leader),
    Follower(Follower),
}

/// A truncation the host was asked for. While it is under way nothing is fetched, and no leadership starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truncation {
    None,
    UnderWay,
    /// A leadership waits for it.
    BeforeLeading,
}

impl Partition {
    /// A replica whose role is not known yet. `broker_epoch` is this incarnation's own registration;
    /// `high_watermark` the checkpointed one (the log start if there is none), clamped to the log.
    pub fn new(
        local: BrokerId,
        broker_epoch: BrokerEpoch,
        settings: Settings,
        log: LogOffsets,
        high_watermark: Offset,
    ) -> Self {
        Self {
            local: Local::new(local, broker_epoch, settings, log, high_watermark),
            leader_epoch: LeaderEpoch::NONE,
            role: Role::Idle,
            led: LeaderEpoch::NONE,
            truncation: Truncation::None,
            isolated_since_ms: None,
        }
    }

    // ---- metadata ----

    /// The image holds this state for the partition: call it at start and whenever the partition, its topic's
    /// min.insync.replicas or one of its replicas' brokers changed. Older epochs than known are ignored, and so is a
    /// leadership for us while the image does not hold our own registration.
    pub fn assignment_changed(&mut self, assignment: &Assignment<'_>, now_ms: i64, out: &mut Vec<Effect>) {
        if assignment.leader_epoch < self.leader_epoch {
            return;
        }
        let same_epoch = assignment.leader_epoch == self.leader_epoch;
        let granted = self.is_granted_to_us(assignment);
        match &mut self.role {
            Role::Leader(leader) if same_epoch && granted => {
                leader.image_changed(assignment, &mut self.local, now_ms, out);
            }
            Role::Follower(follower) if same_epoch && follower.leader == assignment.leader => {}
            _ if granted && assignment.leader_epoch > self.led => self.lead(assignment, now_ms, out),
            _ => self.follow(assignment, out),
        }
    }

    /// The grant counts only if the image holds this incarnation's registration: an older grant was made to an
    /// earlier incarnation, whose records may differ from ours.
    fn is_granted_to_us(&self, assignment: &Assignment<'_>) -> bool {
        let ours = |replica: &Replica| replica.id == self.local.id && replica.broker_epoch == self.local.broker_epoch;
        assignment.leader == self.local.id && assignment.replicas.iter().any(ours)
    }

    fn lead(&mut self, assignment: &Assignment<'_>, now_ms: i64, out: &mut Vec<Effect>) {
        if self.truncation != Truncation::None {
            self.truncation = Truncation::BeforeLeading;
            return;
        }
        self.leave_role(out);
        self.leader_epoch = assignment.leader_epoch;
        self.led = assignment.leader_epoch;
        let leader = Leader::start(assignment, self.isolated_since_ms, &mut self.local, now_ms, out);
        self.role = Role::Leader(leader);
    }

    fn follow(&mut self, assignment: &Assignment<'_>, out: &mut Vec<Effect>) {
        self.leave_role(out);
        self.leader_epoch = assignment.leader_epoch;
        if assignment.leader != BrokerId::NONE && assignment.leader != self.local.id {
            self.role = Role::Follower(Follower::new(assignment.leader, assignment.leader_epoch));
            self.report_fetch_ready(out);
        }
    }

    fn leave_role(&mut self, out: &mut Vec<Effect>) {
        if let Role::Leader(leader) = std::mem::replace(&mut self.role, Role::Idle) {
            if leader.is_aside() {
                out.push(Effect::Resume);
            }
            // Their parked fetches are refused now.
            out.extend([Effect::WakeConsumers, Effect::WakeFollowers]);
        }
    }

    /// This process registered again (its session had expired) and got a new broker epoch.
    pub fn registered(&mut self, broker_epoch: BrokerEpoch) {
        self.local.broker_epoch = broker_epoch;
    }

    /// The replica is removed from this broker (reassigned, deleted, its log dir failed).
    pub fn stopped(&mut self, out: &mut Vec<Effect>) {
        self.leave_role(out);
        self.local.fail_acks(self.local.high_watermark(), out);
    }

    pub fn settings_changed(&mut self, settings: Settings, out: &mut Vec<Effect>) {
        self.local.settings = settings;
        self.counted_end_moved(out);
    }

    /// The controller's answer to [`Effect::ProposeIsr`]; `proposal` is the one that was sent.
    pub fn isr_resolved(&mut self, proposal: &IsrProposal, outcome: IsrOutcome, now_ms: i64, out: &mut Vec<Effect>) {
        if let Role::Leader(leader) = &mut self.role {
            leader.isr_resolved(proposal, outcome, &mut self.local, now_ms, out);
        }
    }

    // ---- produce ----

    /// May a produce be appended now? The epoch returned is what its batches are stamped with.
    pub fn check_produce(&self, acks: Acks) -> Result<LeaderEpoch, ProduceError> {
        match &self.role {
            Role::Leader(leader) => leader.check_produce(acks),
            Role::Idle | Role::Follower(_) => Err(ProduceError::NotLeaderOrFollower),
        }
    }

    /// The log grew to `end`, as leader or as follower.
    pub fn appended(&mut self, end: Offset, now_ms: i64, out: &mut Vec<Effect>) {
        match &mut self.role {
            Role::Leader(leader) => leader.appended(end, &mut self.local, now_ms, out),
            Role::Follower(follower) => follower.appended(end, &mut self.local, out),
            Role::Idle => self.local.append_to(end),
        }
    }

    /// The log is on disk up to `durable_end`.
    pub fn flushed(&mut self, durable_end: Offset, out: &mut Vec<Effect>) {
        self.local.flush_to(durable_end);
        self.counted_end_moved(out);
    }

    fn counted_end_moved(&mut self, out: &mut Vec<Effect>) {
        match &mut self.role {
            Role::Leader(leader) => leader.advance(&mut self.local, out),
            Role::Follower(_) | Role::Idle => self.report_fetch_ready(out),
        }
    }

    /// An acks=all produce whose records end at `end` was not committed yet when its append's effects were done
    /// (`end > high_watermark()`), and waits in the host's queue.
    pub fn ack_parked(&mut self, end: Offset) {
        self.local.park_ack(end);
    }

    /// What to answer to a parked produce whose timeout is over.
    pub fn expired_ack_error(&self) -> AckError {
        match &self.role {
            Role::Leader(leader) => leader.expired_ack_error(),
            Role::Idle | Role::Follower(_) => AckError::NotLeaderOrFollower,
        }
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
        match &mut self.role {
            Role::Leader(leader) => leader.follower_fetched(fetch, history, &mut self.local, now_ms, out),
            Role::Idle | Role::Follower(_) => self.refuse_follower(fetch),
        }
    }

    /// The answer to a fetch that was parked, once more: changes no progress.
    pub fn follower_answer(&self, fetch: &FollowerFetch, history: &impl EpochHistory) -> FetchAnswer {
        match &self.role {
            Role::Leader(leader) => leader.follower_answer(fetch, history, &self.local),
            Role::Idle | Role::Follower(_) => self.refuse_follower(fetch),
        }
    }

    fn refuse_follower(&self, fetch: &FollowerFetch) -> FetchAnswer {
        if fetch.current_leader_epoch > self.leader_epoch {
            return FetchAnswer::WaitForImage;
        }
        FetchAnswer::Error(self.refuse(Some(fetch.current_leader_epoch)))
    }

    /// The follower names the partition for the first time in a fetch session: what earlier ones sent may be lost.
    pub fn session_opened(&mut self, replica: BrokerId) {
        if let Role::Leader(leader) = &mut self.role {
            leader.session_opened(replica);
        }
    }

    /// An answer with this high watermark is on its way to the follower: it is not news any more.
    pub fn answer_sent(&mut self, replica: BrokerId, high_watermark: Offset) {
        if let Role::Leader(leader) = &mut self.role {
            leader.answer_sent(replica, high_watermark);
        }
    }

    /// May a consumer read at `offset`? At or above the high watermark there is nothing to read yet.
    pub fn consumer_fetch(
        &self,
        current_leader_epoch: Option<LeaderEpoch>,
        offset: Offset,
    ) -> Result<ConsumerView, FetchError> {
        let view = self.view(current_leader_epoch)?;
        let is_committed = view.log_start <= offset && offset < view.high_watermark;
        if !view.is_settled && !is_committed {
            return Err(FetchError::OffsetNotAvailable);
        }
        if offset < view.log_start || offset > self.local.log.end {
            return Err(FetchError::OffsetOutOfRange { log_start: view.log_start });
        }
        Ok(view)
    }

    /// As [`Partition::consumer_fetch`], for a consumer that may read from a follower (KIP-392). Up to our high watermark
    /// our log is the leader's; what the consumer has seen above it, there or elsewhere, is yet to reach us.
    pub fn nearby_fetch(
        &self,
        current_leader_epoch: Option<LeaderEpoch>,
        offset: Offset,
    ) -> Result<ConsumerView, FetchError> {
        if !matches!(self.role, Role::Follower(_)) {
            return self.consumer_fetch(current_leader_epoch, offset);
        }
        if current_leader_epoch.is_some_and(|epoch| epoch != self.leader_epoch) {
            return Err(self.refuse(current_leader_epoch));
        }
        if self.truncation != Truncation::None {
            return Err(FetchError::OffsetNotAvailable);
        }
        let (log, high_watermark) = (self.local.log, self.local.high_watermark());
        if offset < log.start || offset > log.end {
            return Err(FetchError::OffsetOutOfRange { log_start: log.start });
        }
        Ok(ConsumerView { log_start: log.start, high_watermark, is_settled: true, leader_epoch: self.leader_epoch })
    }

    /// In-sync followers that a consumer can go on with at `offset`, each with the end of what it has. None on a follower.
    pub fn followers_at(&self, offset: Offset) -> impl Iterator<Item = (BrokerId, Offset)> {
        let leader = match &self.role {
            Role::Leader(leader) => Some(leader),
            Role::Idle | Role::Follower(_) => None,
        };
        leader.into_iter().flat_map(move |leader| leader.followers_at(offset))
    }

    /// For ListOffsets: what a consumer may see, with the same refusals. `None`: the request did not say an epoch.
    pub fn consumer_view(&self, current_leader_epoch: Option<LeaderEpoch>) -> Result<ConsumerView, FetchError> {
        let view = self.view(current_leader_epoch)?;
        if view.is_settled { Ok(view) } else { Err(FetchError::OffsetNotAvailable) }
    }

    fn view(&self, current_leader_epoch: Option<LeaderEpoch>) -> Result<ConsumerView, FetchError> {
        match &self.role {
            Role::Leader(leader) => leader.consumer_view(current_leader_epoch, &self.local),
            Role::Idle | Role::Follower(_) => Err(self.refuse(current_leader_epoch)),
        }
    }

    /// For other requests that must reach the leader (DeleteRecords, OffsetForLeaderEpoch).
    pub fn check_leader(&self, current_leader_epoch: Option<LeaderEpoch>) -> Result<LeaderEpoch, FetchError> {
        match &self.role {
            Role::Leader(leader) => leader.check_epoch(current_leader_epoch),
            Role::Idle | Role::Follower(_) => Err(self.refuse(current_leader_epoch)),
        }
    }

    fn refuse(&self, current_leader_epoch: Option<LeaderEpoch>) -> FetchError {
        match current_leader_epoch {
            Some(epoch) if epoch < self.leader_epoch => FetchError::FencedLeaderEpoch,
            Some(epoch) if epoch > self.leader_epoch => FetchError::UnknownLeaderEpoch,
            _ => FetchError::NotLeaderOrFollower,
        }
    }

    // ---- following ----

    /// The fetch to send to the leader, if this replica follows one and its log is ready: everything appended is
    /// durable, no truncation is outstanding.
    pub fn fetch_position(&self, history: &impl EpochHistory) -> Option<FetchPosition> {
        let follower = self.ready_follower()?;
        Some(follower.position(&self.local, history))
    }

    fn ready_follower(&self) -> Option<&Follower> {
        match &self.role {
            Role::Follower(follower) if self.truncation == Truncation::None => {
                Some(follower).filter(|follower| follower.is_ready(&self.local))
            }
            Role::Idle | Role::Leader(_) | Role::Follower(_) => None,
        }
    }

    fn report_fetch_ready(&self, out: &mut Vec<Effect>) {
        if self.ready_follower().is_some() {
            out.push(Effect::FetchReady);
        }
    }

    /// The leader's answer to `position`. Effects first, then the verdict.
    pub fn fetch_response(
        &mut self,
        position: &FetchPosition,
        response: &FetchResponse,
        history: &impl EpochHistory,
        out: &mut Vec<Effect>,
    ) -> FetchVerdict {
        let Role::Follower(follower) = &mut self.role else {
            return FetchVerdict::Stale;
        };
        if self.truncation != Truncation::None {
            return FetchVerdict::Stale;
        }
        let effects_before = out.len();
        let verdict = follower.response(position, response, history, &mut self.local, out);
        let truncates = |effect: &Effect| matches!(effect, Effect::TruncateTo(_) | Effect::RestartAt(_));
        if out[effects_before..].iter().any(truncates) {
            self.truncation = Truncation::UnderWay;
        }
        verdict
    }

    /// [`Effect::TruncateTo`] or [`Effect::RestartAt`] was carried out; these are the log's offsets now.
    pub fn truncated(&mut self, log: LogOffsets, out: &mut Vec<Effect>) {
        self.local.replace_log(log);
        self.end_truncation(out);
        self.report_fetch_ready(out);
    }

    fn end_truncation(&mut self, out: &mut Vec<Effect>) {
        if self.truncation == Truncation::BeforeLeading {
            out.push(Effect::ReapplyAssignment);
        }
        self.truncation = Truncation::None;
    }

    /// What a Fetch response asked for ([`Effect::TruncateTo`], [`Effect::RestartAt`], [`Effect::AdvanceLogStart`]) could not
    /// be done, and the log is as it was. Fetch again after a back-off: the leader asks again.
    pub fn change_failed(&mut self, out: &mut Vec<Effect>) {
        self.end_truncation(out);
        if let Role::Follower(follower) = &mut self.role {
            follower.log_start_stays();
        }
    }

    /// The log start moved (never beyond the high watermark), and this is persisted: by retention or DeleteRecords on
    /// the leader, by [`Effect::AdvanceLogStart`] on a follower.
    pub fn log_start_advanced(&mut self, start: Offset, out: &mut Vec<Effect>) {
        self.local.start_at(start);
        match &mut self.role {
            Role::Leader(leader) => leader.log_start_advanced(&self.local, out),
            Role::Follower(follower) => follower.log_start_advanced(&self.local, out),
            Role::Idle => {}
        }
    }

    // ---- time and isolation ----

    /// This broker lost its session with the controller at `since_ms`.
    pub fn controller_contact_lost(&mut self, since_ms: i64) {
        self.isolated_since_ms.get_or_insert(since_ms);
        if let Role::Leader(leader) = &mut self.role {
            leader.isolated(since_ms, &self.local);
        }
    }

    /// The session is back, and the image has caught up.
    pub fn controller_contact_regained(&mut self, out: &mut Vec<Effect>) {
        self.isolated_since_ms = None;
        if let Role::Leader(leader) = &mut self.role {
            leader.in_contact(out);
        }
    }

    /// When [`Partition::tick`] is due; `None` while there is nothing to wait for. It may change with every event.
    pub fn next_deadline_ms(&self) -> Option<i64> {
        match &self.role {
            Role::Leader(leader) => leader.next_deadline_ms(&self.local),
            Role::Idle | Role::Follower(_) => None,
        }
    }

    /// Calling it early or late is harmless.
    pub fn tick(&mut self, now_ms: i64, peers: &impl PeerContact, out: &mut Vec<Effect>) {
        if let Role::Leader(leader) = &mut self.role {
            leader.tick(peers, &mut self.local, now_ms, out);
        }
    }

    // ---- facts ----

    /// The high watermark this replica knows. Consumers are shown [`Partition::consumer_view`], not this.
    pub fn high_watermark(&self) -> Offset {
        self.local.high_watermark()
    }

    /// The log's offsets, as last reported.
    pub fn log(&self) -> LogOffsets {
        self.local.log
    }

    /// The leader epoch of the newest state applied.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// Leads by the image's word, even while it stands aside.
    pub fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// Leaders only: smallest log start of the in-sync replicas, as far as they are known.
    pub fn low_watermark(&self) -> Option<Offset> {
        match &self.role {
            Role::Leader(leader) => leader.low_watermark(),
            Role::Idle | Role::Follower(_) => None,
        }
    }

    /// Leaders only: must this replica have a record on disk before it is committed? (Maximal ISR and eligible leaders.)
    pub fn commit_waits_for(&self, replica: BrokerId) -> bool {
        match &self.role {
            Role::Leader(leader) => leader.binds(replica),
            Role::Idle | Role::Follower(_) => false,
        }
    }

    /// The committed ISR as the leader knows it; empty on a follower.
    pub fn isr(&self) -> &[BrokerId] {
        match &self.role {
            Role::Leader(leader) => leader.isr(),
            Role::Idle | Role::Follower(_) => &[],
        }
    }
}
