//! Named replicas with a log in memory, and verbs to tell stories with. Effects are carried out at once and kept for
//! looking at.
#![allow(dead_code)]

use tidelog_replication::{
    Acks, Assignment, Durability, Effect, EpochEnd, EpochHistory, FetchAnswer, FetchError, FetchPosition,
    FetchResponse, FetchVerdict, FollowerFetch, IsrOutcome, IsrProposal, LogOffsets, Partition, PeerContact,
    Replica as ReplicaState, Settings,
};
use tidelog_wire::types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch};

pub const LAG_MS: i64 = 30_000;
pub const SESSION_MS: i64 = 1500;

/// What the controller says of the partition. Brokers 1 to 3; a broker's epoch is 10 times its id until it reboots.
#[derive(Clone, Debug)]
pub struct Image {
    pub leader: i32,
    pub leader_epoch: i32,
    pub partition_epoch: i32,
    pub isr: Vec<i32>,
    pub elr: Vec<i32>,
    pub min_isr: usize,
    pub brokers: Vec<(i32, i64, bool)>,
}

pub fn image(leader: i32, leader_epoch: i32, isr: &[i32]) -> Image {
    Image {
        leader,
        leader_epoch,
        partition_epoch: leader_epoch * 10,
        isr: isr.to_vec(),
        elr: Vec::new(),
        min_isr: 2,
        brokers: vec![(1, 10, true), (2, 20, true), (3, 30, true)],
    }
}

/// The log: the epoch of each record.
#[derive(Clone, Debug, Default)]
pub struct Log {
    pub start: i64,
    pub records: Vec<i32>,
    pub history: Vec<(i32, i64)>,
    pub durable_end: i64,
}

impl Log {
    pub fn end(&self) -> i64 {
        self.start + self.records.len() as i64
    }

    pub fn offsets(&self) -> LogOffsets {
        LogOffsets { start: Offset(self.start), durable_end: Offset(self.durable_end), end: Offset(self.end()) }
    }

    fn append(&mut self, epoch: i32) {
        if self.latest_epoch().get() < epoch {
            self.history.push((epoch, self.end()));
        }
        self.records.push(epoch);
    }

    fn truncate(&mut self, to: i64) {
        self.records.truncate((to - self.start) as usize);
        self.history.retain(|&(_, at)| at < to);
        self.durable_end = self.durable_end.min(to);
    }

    fn advance_start(&mut self, start: i64) {
        self.records.drain(..(start - self.start) as usize);
        self.start = start;
        self.durable_end = self.durable_end.max(start);
        let oldest = self.history.iter().rposition(|&(_, at)| at <= start).unwrap_or(0);
        self.history.drain(..oldest);
        if let Some(first) = self.history.first_mut() {
            first.1 = first.1.max(start);
        }
    }
}

impl EpochHistory for Log {
    fn latest_epoch(&self) -> LeaderEpoch {
        self.history.last().map_or(LeaderEpoch::NONE, |&(epoch, _)| LeaderEpoch(epoch))
    }

    fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        let Some(at) = self.history.iter().rposition(|&(known, _)| known <= epoch.get()) else {
            let (_, oldest) = *self.history.first()?;
            return Some(EpochEnd { leader_epoch: epoch, end_offset: Offset(oldest) });
        };
        let end = self.history.get(at + 1).map_or(self.end(), |&(_, start)| start);
        Some(EpochEnd { leader_epoch: LeaderEpoch(self.history[at].0), end_offset: Offset(end) })
    }
}

pub struct Replica {
    pub id: i32,
    pub broker_epoch: i64,
    pub log: Log,
    pub partition: Partition,
    pub now_ms: i64,
    pub effects: Vec<Effect>,
    /// Changes of the log that a leader asks for are not carried out.
    pub slow_disk: bool,
}

/// Heard from everyone just now, or never.
pub struct Heard(pub i64);

impl PeerContact for Heard {
    fn last_heard_ms(&self, _: BrokerId) -> i64 {
        self.0
    }
}

pub fn settings(durability: Durability) -> Settings {
    Settings {
        durability,
        replica_lag_time_max_ms: LAG_MS,
        session_timeout_ms: SESSION_MS,
        followers_serve_consumers: false,
    }
}

impl Replica {
    pub fn new(id: i32) -> Self {
        Self::with_log(id, &[])
    }

    /// Its log has these records (by epoch), all on disk.
    pub fn with_log(id: i32, epochs: &[i32]) -> Self {
        let mut log = Log::default();
        epochs.iter().for_each(|&epoch| log.append(epoch));
        log.durable_end = log.end();
        Self::start(id, i64::from(id) * 10, log, Durability::Flushed)
    }

    pub fn start(id: i32, broker_epoch: i64, log: Log, durability: Durability) -> Self {
        let partition = Partition::new(
            BrokerId(id),
            BrokerEpoch(broker_epoch),
            settings(durability),
            log.offsets(),
            Offset(log.start),
        );
        Self { id, broker_epoch, log, partition, now_ms: 0, effects: Vec::new(), slow_disk: false }
    }

    /// kill -9 and a new incarnation, with whatever part of its log.
    pub fn reboot(self, broker_epoch: i64, keeps: i64) -> Self {
        let mut log = self.log;
        log.truncate(keeps);
        log.durable_end = log.end();
        Self::start(self.id, broker_epoch, log, Durability::Flushed)
    }

    pub fn drive<T>(&mut self, event: impl FnOnce(&mut Partition, &Log, &mut Vec<Effect>) -> T) -> T {
        let mut out = Vec::new();
        let result = event(&mut self.partition, &self.log, &mut out);
        for effect in out {
            self.effects.push(effect.clone());
            self.execute(effect);
        }
        result
    }

    fn execute(&mut self, effect: Effect) {
        match effect {
            Effect::StartEpoch { leader_epoch, start } => {
                self.log.history.retain(|&(_, at)| at < start.get());
                self.log.history.push((leader_epoch.get(), start.get()));
            }
            Effect::TruncateTo(to) if !self.slow_disk => self.truncate(to.get()),
            Effect::RestartAt(at) => {
                self.log = Log { start: at.get(), durable_end: at.get(), ..Log::default() };
                let offsets = self.log.offsets();
                self.drive(|partition, _, out| partition.truncated(offsets, out));
            }
            Effect::AdvanceLogStart(start) if !self.slow_disk => self.delete_records(start.get()),
            _ => {}
        }
    }

    pub fn truncate(&mut self, to: i64) {
        self.log.truncate(to);
        let offsets = self.log.offsets();
        self.drive(|partition, _, out| partition.truncated(offsets, out));
    }

    pub fn apply(&mut self, image: &Image) {
        let replicas: Vec<ReplicaState> = image
            .brokers
            .iter()
            .map(|&(id, epoch, eligible)| ReplicaState { id: BrokerId(id), broker_epoch: BrokerEpoch(epoch), eligible })
            .collect();
        let isr: Vec<BrokerId> = image.isr.iter().map(|&id| BrokerId(id)).collect();
        let elr: Vec<BrokerId> = image.elr.iter().map(|&id| BrokerId(id)).collect();
        let assignment = Assignment {
            leader: BrokerId(image.leader),
            leader_epoch: LeaderEpoch(image.leader_epoch),
            partition_epoch: PartitionEpoch(image.partition_epoch),
            replicas: &replicas,
            isr: &isr,
            elr: &elr,
            min_isr: image.min_isr,
        };
        let now_ms = self.now_ms;
        self.drive(|partition, _, out| partition.assignment_changed(&assignment, now_ms, out));
    }

    /// Appends `count` records as leader, and parks one acks=all produce at their end.
    pub fn produce(&mut self, count: usize) {
        let epoch = self.partition.check_produce(Acks::Leader).expect("leads");
        (0..count).for_each(|_| self.log.append(epoch.get()));
        let (end, now_ms) = (Offset(self.log.end()), self.now_ms);
        self.drive(|partition, _, out| partition.appended(end, now_ms, out));
        self.partition.ack_parked(end);
    }

    pub fn flush(&mut self) {
        self.log.durable_end = self.log.end();
        let end = Offset(self.log.durable_end);
        self.drive(|partition, _, out| partition.flushed(end, out));
    }

    pub fn delete_records(&mut self, start: i64) {
        self.log.advance_start(start);
        self.drive(|partition, _, out| partition.log_start_advanced(Offset(start), out));
    }

    pub fn position(&self) -> Option<FetchPosition> {
        self.partition.fetch_position(&self.log)
    }

    /// The fetch it would send now.
    pub fn question(&self) -> (FetchPosition, FollowerFetch) {
        let position = self.position().expect("ready to fetch");
        let fetch = FollowerFetch {
            replica: BrokerId(self.id),
            broker_epoch: BrokerEpoch(self.broker_epoch),
            current_leader_epoch: position.leader_epoch,
            fetch_offset: position.fetch_offset,
            last_fetched_epoch: position.last_fetched_epoch,
            log_start: position.log_start,
        };
        (position, fetch)
    }

    pub fn serve(&mut self, fetch: &FollowerFetch) -> FetchAnswer {
        let now_ms = self.now_ms;
        self.drive(|partition, log, out| partition.follower_fetched(fetch, log, now_ms, out))
    }

    /// The leader's answer as it travels.
    pub fn respond(&mut self, fetch: &FollowerFetch) -> (FetchResponse, Vec<i32>) {
        match self.serve(fetch) {
            FetchAnswer::Read { from, up_to, high_watermark, log_start, .. } => {
                let range = (from.get() - self.log.start) as usize..(up_to.get() - self.log.start) as usize;
                let records = self.log.records[range].to_vec();
                self.partition.answer_sent(fetch.replica, high_watermark);
                (FetchResponse::Ok { high_watermark, log_start, has_records: !records.is_empty() }, records)
            }
            FetchAnswer::Diverging(end) => (FetchResponse::Diverging(end), Vec::new()),
            FetchAnswer::Error(FetchError::OffsetOutOfRange { log_start }) => {
                (FetchResponse::OffsetOutOfRange { log_start: Some(log_start) }, Vec::new())
            }
            FetchAnswer::WaitForImage | FetchAnswer::Error(_) => (FetchResponse::Refused, Vec::new()),
        }
    }

    pub fn take(&mut self, position: &FetchPosition, response: &FetchResponse, records: &[i32]) -> FetchVerdict {
        let verdict = self.drive(|partition, log, out| partition.fetch_response(position, response, log, out));
        if verdict == FetchVerdict::Append {
            records.iter().for_each(|&epoch| self.log.append(epoch));
            let (end, now_ms) = (Offset(self.log.end()), self.now_ms);
            self.drive(|partition, _, out| partition.appended(end, now_ms, out));
        }
        verdict
    }

    /// One round: asks, takes the answer, syncs what came.
    pub fn fetch_from(&mut self, leader: &mut Self) -> FetchVerdict {
        let (position, fetch) = self.question();
        let (response, records) = leader.respond(&fetch);
        let verdict = self.take(&position, &response, &records);
        self.flush();
        verdict
    }

    /// Until it has everything, and the leader knows.
    pub fn catch_up(&mut self, leader: &mut Self) {
        for _ in 0..8 {
            self.fetch_from(leader);
        }
        assert_eq!(self.log.end(), leader.log.end(), "does not catch up");
    }

    pub fn high_watermark(&self) -> i64 {
        self.partition.high_watermark().get()
    }

    pub fn view(&self) -> Result<i64, FetchError> {
        self.partition.consumer_view(None).map(|view| view.high_watermark.get())
    }

    pub fn tick(&mut self, now_ms: i64, heard: i64) {
        self.now_ms = now_ms;
        self.drive(|partition, _, out| partition.tick(now_ms, &Heard(heard), out));
    }

    /// The proposals made since the effects were last taken.
    pub fn proposals(&mut self) -> Vec<IsrProposal> {
        let effects = std::mem::take(&mut self.effects);
        let proposal = |effect| match effect {
            Effect::ProposeIsr(proposal) => Some(*proposal),
            _ => None,
        };
        effects.into_iter().filter_map(proposal).collect()
    }

    pub fn proposal(&mut self) -> IsrProposal {
        let mut proposals = self.proposals();
        assert_eq!(proposals.len(), 1, "{proposals:?}");
        proposals.remove(0)
    }

    pub fn resolve(&mut self, proposal: &IsrProposal, outcome: IsrOutcome) {
        let now_ms = self.now_ms;
        self.drive(|partition, _, out| partition.isr_resolved(proposal, outcome, now_ms, out));
    }

    pub fn accept(&mut self, proposal: &IsrProposal) {
        let outcome = IsrOutcome::Accepted {
            leader_epoch: proposal.leader_epoch,
            partition_epoch: PartitionEpoch(proposal.partition_epoch.get() + 1),
            isr: proposal.new_isr.iter().map(|(id, _)| *id).collect(),
        };
        self.resolve(proposal, outcome);
    }

    pub fn released(&self) -> Option<i64> {
        let through = |effect: &Effect| match effect {
            Effect::ReleaseAcks { through } => Some(through.get()),
            _ => None,
        };
        self.effects.iter().filter_map(through).max()
    }

    pub fn has_failed_acks(&self) -> bool {
        self.effects.iter().any(|effect| matches!(effect, Effect::FailAcks { .. }))
    }
}

/// Leader 1 with followers 2 and 3, all in the ISR, nothing written yet.
pub fn trio() -> (Replica, Replica, Replica) {
    let (mut one, mut two, mut three) = (Replica::new(1), Replica::new(2), Replica::new(3));
    let first = image(1, 1, &[1, 2, 3]);
    for replica in [&mut one, &mut two, &mut three] {
        replica.apply(&first);
    }
    two.fetch_from(&mut one);
    three.fetch_from(&mut one);
    one.effects.clear();
    (one, two, three)
}
