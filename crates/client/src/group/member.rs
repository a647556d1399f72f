//! What a member of a consumer group is to do next.
//!
//! | happens                                 | then                                                                     |
//! |-----------------------------------------|--------------------------------------------------------------------------|
//! | it is assigned less                     | reading ends, what was written is committed, the coordinator is told     |
//! | it is assigned more                     | once nothing is being given up: finds where to begin, reads, tells it    |
//! | it is fenced or unknown                 | drops everything without a commit and joins with epoch 0                 |
//! | its coordinator is none or silent       | looks for another and says everything again, for as long as its patience |
//! | a commit finds its epoch stale          | asks for its epoch and commits again                                     |
//! | it is to leave                          | commits, then says so with epoch -1                                      |
//! | any other refusal                       | ends                                                                     |
//!
//! Only answers to heartbeats change what it belongs to: they come in order, one at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tidelog_wire::messages::consumer_group_heartbeat_request::TopicPartitions;
use tidelog_wire::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use tidelog_wire::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use tidelog_wire::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, OffsetCommitRequest, OffsetCommitResponse,
    OffsetFetchRequest,
};
use tidelog_wire::{ErrorCode, Str, Uuid};

const JOIN_EPOCH: i32 = 0;
const LEAVE_EPOCH: i32 = -1;
const REBALANCE_TIMEOUT_MS: i32 = 60_000;
/// What was written and is not committed is read again by whom takes the partitions of a member that dies.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
const BACK_OFF: Duration = Duration::from_millis(100);
/// How long partitions that are to go wait for their last commit: less than the coordinator waits.
const GIVE_UP_WITHIN: Duration = Duration::from_secs(20);
pub(super) const LEAVE_WITHIN: Duration = Duration::from_secs(10);

pub(super) type Partition = (Uuid, i32);
pub(super) type Partitions = BTreeSet<Partition>;
pub(super) type Starts = BTreeMap<Partition, Start>;

/// Where reading of a partition begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    pub next_offset: i64,
    /// By the group; otherwise it is committed as soon as may be, or a member that dies now would leave a gap.
    pub is_committed: bool,
}

/// What is to be done now.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// The group's coordinator is another or none.
    ForgetCoordinator,
    /// These are read no more.
    End(Partitions),
    /// Where to begin with these is to be found, beginning with what the group has committed.
    Begin(Partitions, OffsetFetchRequest),
    Commit(OffsetCommitRequest),
    Heartbeat(ConsumerGroupHeartbeatRequest),
}

/// A request that got no answer, or one that tells nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Heartbeat,
    Begin,
    Commit,
}

/// Why it is no member any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Refused(ErrorCode, Option<String>),
    /// No coordinator has answered for as long as its patience.
    Unheard,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Member,
    /// Until then it tries to commit.
    Leaving(Instant),
    Left,
}

/// One request at a time of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Due(Instant),
    Asked,
}

impl Turn {
    fn is_due(self, now: Instant) -> bool {
        matches!(self, Self::Due(at) if at <= now)
    }

    fn hurry(&mut self, now: Instant) {
        if let Self::Due(at) = self {
            *at = now.min(*at);
        }
    }

    fn at(self) -> Option<Instant> {
        match self {
            Self::Due(at) => Some(at),
            Self::Asked => None,
        }
    }
}

/// The next offset to be read, of what was written and of what the coordinator has acknowledged.
#[derive(Clone, Copy, Debug)]
struct Progress {
    written: i64,
    committed: Option<i64>,
}

impl Progress {
    fn is_committed(self) -> bool {
        self.committed == Some(self.written)
    }
}

#[derive(Debug)]
pub(super) struct Member {
    group: Str,
    topic: Str,
    member_id: Str,
    patience: Duration,
    phase: Phase,
    epoch: i32,
    interval: Duration,
    /// What the coordinator wants it to read.
    target: Partitions,
    /// What it reads, and what it is giving up.
    owned: BTreeMap<Partition, Progress>,
    giving_up: Option<(Partitions, Instant)>,
    beginning: Partitions,
    committing: BTreeMap<Partition, i64>,
    /// What it owns as the coordinator has heard it, and as it is being told; `None` if everything has to be said.
    heard: Option<Partitions>,
    saying: Partitions,
    is_leave_sent: bool,
    unheard_since: Option<Instant>,
    has_lost_coordinator: bool,
    /// Read no more since it was fenced, and the reader does not know.
    abandoned: Partitions,
    heartbeat: Turn,
    begin: Turn,
    commit: Turn,
}

impl Member {
    pub fn new(group: &str, topic: &str, member_id: &str, patience: Duration, now: Instant) -> Self {
        Self {
            group: Str::from(group.to_owned()),
            topic: Str::from(topic.to_owned()),
            member_id: Str::from(member_id.to_owned()),
            patience,
            phase: Phase::Member,
            epoch: JOIN_EPOCH,
            interval: BACK_OFF,
            target: Partitions::new(),
            owned: BTreeMap::new(),
            giving_up: None,
            beginning: Partitions::new(),
            committing: BTreeMap::new(),
            heard: None,
            saying: Partitions::new(),
            is_leave_sent: false,
            unheard_since: None,
            has_lost_coordinator: false,
            abandoned: Partitions::new(),
            heartbeat: Turn::Due(now),
            begin: Turn::Due(now),
            commit: Turn::Due(now),
        }
    }

    /// Everything up to `next_offset` of a partition that is read has been written.
    pub fn written(&mut self, now: Instant, partition: i32, next_offset: i64) {
        let is_idle = self.is_committed();
        let owned = self.owned.iter_mut().find(|((_, index), _)| *index == partition);
        let Some((_, progress)) = owned.filter(|(_, progress)| progress.written < next_offset) else { return };
        progress.written = next_offset;
        if is_idle && self.commit != Turn::Asked {
            self.commit = Turn::Due(now + COMMIT_INTERVAL);
        }
    }

    pub fn leave(&mut self, now: Instant) {
        self.phase = Phase::Leaving(now + LEAVE_WITHIN);
        self.commit.hurry(now);
        if self.is_committed() {
            self.heartbeat.hurry(now);
        }
        self.leave_if_unknown();
    }

    pub fn has_left(&self) -> bool {
        self.phase == Phase::Left
    }

    /// Nothing that was written is unknown to the coordinator.
    pub fn is_committed(&self) -> bool {
        self.owned.values().all(|progress| progress.is_committed())
    }

    /// Reads all it is assigned, and that is something.
    pub fn is_settled(&self) -> bool {
        !self.target.is_empty() && self.owned.keys().eq(&self.target)
    }

    /// Asked again until there is nothing to do.
    pub fn next(&mut self, now: Instant) -> Option<Step> {
        if std::mem::take(&mut self.has_lost_coordinator) {
            return Some(Step::ForgetCoordinator);
        }
        if !self.abandoned.is_empty() {
            return Some(Step::End(std::mem::take(&mut self.abandoned)));
        }
        self.next_end(now)
            .or_else(|| self.next_commit(now))
            .or_else(|| self.next_heartbeat(now))
            .or_else(|| self.next_begin(now))
    }

    /// When there is something to do next, unless an answer comes before.
    pub fn wake_at(&self, now: Instant) -> Option<Instant> {
        let leave_at = match self.phase {
            Phase::Leaving(until) => Some(until),
            Phase::Member | Phase::Left => None,
        };
        let give_up_at = self.giving_up.as_ref().map(|(_, until)| *until);
        let turns = [self.heartbeat.at(), self.begin.at(), self.commit.at(), give_up_at, leave_at];
        turns.into_iter().flatten().filter(|at| *at > now).min()
    }

    fn next_end(&mut self, now: Instant) -> Option<Step> {
        if let Some((partitions, until)) = &self.giving_up {
            let is_committed = |partition| self.owned.get(partition).is_none_or(|progress| progress.is_committed());
            if now >= *until || partitions.iter().all(is_committed) {
                self.owned.retain(|partition, _| !partitions.contains(partition));
                self.committing.retain(|partition, _| !partitions.contains(partition));
                self.giving_up = None;
                self.heartbeat.hurry(now);
            }
            return None;
        }
        let surplus: Partitions = self.owned.keys().filter(|owned| !self.target.contains(owned)).copied().collect();
        if surplus.is_empty() {
            return None;
        }
        self.giving_up = Some((surplus.clone(), now + GIVE_UP_WITHIN));
        self.commit.hurry(now);
        Some(Step::End(surplus))
    }

    fn next_commit(&mut self, now: Instant) -> Option<Step> {
        if !self.commit.is_due(now) || self.is_committed() {
            return None;
        }
        let open = self.owned.iter().filter(|(_, progress)| !progress.is_committed());
        self.committing = open.map(|(partition, progress)| (*partition, progress.written)).collect();
        self.commit = Turn::Asked;
        let mut topics: BTreeMap<Uuid, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
        for ((topic_id, partition_index), offset) in &self.committing {
            topics.entry(*topic_id).or_default().push(OffsetCommitRequestPartition {
                partition_index: *partition_index,
                committed_offset: *offset,
                committed_metadata: Some(Str::default()),
                ..Default::default()
            });
        }
        let topic =
            |(topic_id, partitions)| OffsetCommitRequestTopic { name: self.topic.clone(), topic_id, partitions };
        Some(Step::Commit(OffsetCommitRequest {
            group_id: self.group.clone(),
            generation_id_or_member_epoch: self.epoch,
            member_id: self.member_id.clone(),
            topics: topics.into_iter().map(topic).collect(),
            ..Default::default()
        }))
    }

    fn next_heartbeat(&mut self, now: Instant) -> Option<Step> {
        let is_leaving = match self.phase {
            Phase::Left => return None,
            Phase::Leaving(until) => now >= until || self.is_committed(),
            Phase::Member => false,
        };
        if !self.heartbeat.is_due(now) {
            return None;
        }
        self.heartbeat = Turn::Asked;
        self.is_leave_sent = is_leaving;
        let is_full = self.heard.is_none() && !is_leaving;
        self.saying = self.owned.keys().copied().collect();
        let is_news = is_full || (!is_leaving && self.heard.as_ref() != Some(&self.saying));
        Some(Step::Heartbeat(ConsumerGroupHeartbeatRequest {
            group_id: self.group.clone(),
            member_id: self.member_id.clone(),
            member_epoch: if is_leaving { LEAVE_EPOCH } else { self.epoch },
            rebalance_timeout_ms: if is_full { REBALANCE_TIMEOUT_MS } else { -1 },
            subscribed_topic_names: is_full.then(|| vec![self.topic.clone()]),
            topic_partitions: is_news.then(|| by_topic(&self.saying)),
            ..Default::default()
        }))
    }

    fn next_begin(&mut self, now: Instant) -> Option<Step> {
        if !self.begin.is_due(now) || self.phase != Phase::Member || self.giving_up.is_some() {
            return None;
        }
        let missing: Partitions =
            self.target.iter().filter(|partition| !self.owned.contains_key(partition)).copied().collect();
        if missing.is_empty() {
            return None;
        }
        self.begin = Turn::Asked;
        self.beginning = missing.clone();
        let topic = |wanted: TopicPartitions| OffsetFetchRequestTopics {
            name: self.topic.clone(),
            topic_id: wanted.topic_id,
            partition_indexes: wanted.partitions,
        };
        let of_group = OffsetFetchRequestGroup {
            group_id: self.group.clone(),
            member_id: Some(self.member_id.clone()),
            member_epoch: self.epoch,
            topics: Some(by_topic(&missing).into_iter().map(topic).collect()),
        };
        let request = OffsetFetchRequest { groups: vec![of_group], require_stable: true, ..Default::default() };
        Some(Step::Begin(missing, request))
    }

    /// The answer to a heartbeat.
    pub fn heard(&mut self, now: Instant, answer: &ConsumerGroupHeartbeatResponse) -> Result<(), Ended> {
        let code = answer.error_code;
        match code {
            ErrorCode::NONE if self.is_leave_sent => self.phase = Phase::Left,
            ErrorCode::NONE => self.granted(now, answer),
            _ if is_about_coordinator(code) => return self.unanswered(now, Ask::Heartbeat),
            // It is no member any more, which is what it asked for.
            _ if self.is_leave_sent => self.phase = Phase::Left,
            ErrorCode::FENCED_MEMBER_EPOCH | ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::GROUP_ID_NOT_FOUND
                if self.epoch != JOIN_EPOCH =>
            {
                self.abandon(now);
            }
            _ => return Err(Ended::Refused(code, answer.error_message.as_deref().map(str::to_owned))),
        }
        Ok(())
    }

    fn granted(&mut self, now: Instant, answer: &ConsumerGroupHeartbeatResponse) {
        self.unheard_since = None;
        self.epoch = answer.member_epoch;
        self.interval = Duration::from_millis(u64::try_from(answer.heartbeat_interval_ms).unwrap_or_default());
        self.interval = self.interval.max(BACK_OFF);
        if let Some(member_id) = &answer.member_id {
            self.member_id = member_id.clone();
        }
        if let Some(assignment) = &answer.assignment {
            let topics = assignment.topic_partitions.iter();
            self.target = topics
                .flat_map(|topic| topic.partitions.iter().map(move |partition| (topic.topic_id, *partition)))
                .collect();
        }
        let heard = std::mem::take(&mut self.saying);
        let is_news = !self.owned.keys().eq(&heard);
        self.heard = Some(heard);
        let may_leave = self.phase != Phase::Member && self.is_committed();
        self.heartbeat = Turn::Due(if is_news || may_leave { now } else { now + self.interval });
    }

    /// Others may own its partitions already: a commit would be refused.
    fn abandon(&mut self, now: Instant) {
        self.abandoned.extend(std::mem::take(&mut self.owned).into_keys());
        self.target.clear();
        self.giving_up = None;
        self.beginning.clear();
        self.committing.clear();
        self.heard = None;
        self.epoch = JOIN_EPOCH;
        self.heartbeat = Turn::Due(now);
        self.leave_if_unknown();
    }

    /// Nobody needs to be told if no join is known to the coordinator or on its way.
    fn leave_if_unknown(&mut self) {
        let is_leaving = matches!(self.phase, Phase::Leaving(_));
        if is_leaving && self.epoch == JOIN_EPOCH && self.heartbeat != Turn::Asked {
            self.phase = Phase::Left;
        }
    }

    /// Where reading begins, or why that is not known. Returns what is to be read.
    pub fn begun(&mut self, now: Instant, found: Result<Starts, ErrorCode>) -> Result<Starts, Ended> {
        let found = match found {
            Ok(found) => found,
            Err(code) => return self.put_off(now, Ask::Begin, code).map(|()| Starts::new()),
        };
        self.begin = Turn::Due(now);
        let wanted = std::mem::take(&mut self.beginning);
        let is_wanted = |partition: &Partition| wanted.contains(partition) && self.target.contains(partition);
        let begun: Starts = found.into_iter().filter(|(partition, _)| is_wanted(partition)).collect();
        for (partition, start) in &begun {
            let committed = start.is_committed.then_some(start.next_offset);
            self.owned.insert(*partition, Progress { written: start.next_offset, committed });
        }
        self.commit.hurry(now);
        self.heartbeat.hurry(now);
        Ok(begun)
    }

    /// The answer to a commit.
    pub fn committed(&mut self, now: Instant, answer: &OffsetCommitResponse) -> Result<(), Ended> {
        let committing = std::mem::take(&mut self.committing);
        let mut failed = None;
        for topic in &answer.topics {
            for partition in &topic.partitions {
                let is_meant = |owned| is_told_of(owned, topic.topic_id, partition.partition_index);
                for (owned, offset) in committing.iter().filter(|(owned, _)| is_meant(owned)) {
                    match (partition.error_code, self.owned.get_mut(owned)) {
                        (ErrorCode::NONE, Some(progress)) => progress.committed = Some(*offset),
                        (ErrorCode::NONE, None) => {}
                        (code, _) => failed = Some(code),
                    }
                }
            }
        }
        if let Some(code) = failed {
            return self.put_off(now, Ask::Commit, code);
        }
        self.unheard_since = None;
        let is_leaving = self.phase != Phase::Member;
        let is_urgent = is_leaving || self.giving_up.is_some();
        self.commit = Turn::Due(if is_urgent { now } else { now + COMMIT_INTERVAL });
        if is_leaving {
            self.heartbeat.hurry(now);
        }
        Ok(())
    }

    /// No answer, or none that can be read: it is asked again a little later, perhaps elsewhere.
    pub fn unanswered(&mut self, now: Instant, ask: Ask) -> Result<(), Ended> {
        self.has_lost_coordinator = true;
        let later = Turn::Due(now + BACK_OFF);
        match ask {
            Ask::Heartbeat => {
                self.heartbeat = later;
                self.is_leave_sent = false;
                // Whether it was heard is not known.
                self.heard = None;
            }
            Ask::Begin => self.begin = later,
            Ask::Commit => self.commit = later,
        }
        let since = *self.unheard_since.get_or_insert(now);
        match self.phase {
            Phase::Leaving(until) if now >= until && ask == Ask::Heartbeat => self.phase = Phase::Left,
            Phase::Member if now.duration_since(since) >= self.patience => return Err(Ended::Unheard),
            Phase::Member | Phase::Leaving(_) | Phase::Left => {}
        }
        Ok(())
    }

    fn put_off(&mut self, now: Instant, ask: Ask, code: ErrorCode) -> Result<(), Ended> {
        match code {
            // The next heartbeat tells what it belongs to.
            ErrorCode::STALE_MEMBER_EPOCH | ErrorCode::FENCED_MEMBER_EPOCH | ErrorCode::UNKNOWN_MEMBER_ID => {
                self.heartbeat.hurry(now);
            }
            _ if is_about_coordinator(code) => return self.unanswered(now, ask),
            _ if code.is_retriable() => {}
            _ => return Err(Ended::Refused(code, None)),
        }
        let later = Turn::Due(now + BACK_OFF);
        match ask {
            Ask::Begin => self.begin = later,
            Ask::Commit => self.commit = later,
            Ask::Heartbeat => self.heartbeat = later,
        }
        Ok(())
    }
}

/// Whether an answer about this topic and partition is about `asked`. Versions that name topics do not tell the id; there
/// is one topic.
pub(super) fn is_told_of(asked: &Partition, topic_id: Uuid, index: i32) -> bool {
    index == asked.1 && (topic_id.is_zero() || topic_id == asked.0)
}

fn is_about_coordinator(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
    )
}

fn by_topic(partitions: &Partitions) -> Vec<TopicPartitions> {
    let mut topics: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
    for (topic_id, partition) in partitions {
        topics.entry(*topic_id).or_default().push(*partition);
    }
    topics.into_iter().map(|(topic_id, partitions)| TopicPartitions { topic_id, partitions }).collect()
}
