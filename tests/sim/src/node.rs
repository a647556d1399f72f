//! One simulated broker: a log that survives it, and everything of an incarnation that does not.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use rand::rngs::StdRng;
use tidelog_commitlog::ReadJob;
use tidelog_replication::{Durability, FollowerFetch, Partition, PeerContact, Settings};
use tidelog_wire::types::{BrokerId, Offset};

use crate::clients::BatchKey;
use crate::controller::{Image, SESSION_TIMEOUT_MS};
use crate::groups::Hosted;
use crate::log::Log;

#[derive(Debug)]
pub struct Node {
    pub id: i32,
    pub log: Log,
    pub replica_lag_time_max_ms: i64,
    /// Its log lost records it once had, and it has not caught up since.
    pub may_lack_records: bool,
    /// Reported unclean with the next registration.
    pub report_unclean: bool,
    /// The clean-shutdown marker: broker epoch of the incarnation that left it.
    pub stopped_cleanly: Option<i64>,
    /// High watermark as last checkpointed.
    pub checkpoint: i64,
    /// High watermark before the event under way.
    pub high_watermark: i64,
    /// Counts its starts. Events of an earlier incarnation are dropped.
    pub incarnation: u64,
    pub is_up: bool,
    pub paused_until_ms: i64,
    /// It wants to stop cleanly, since then.
    pub stopping_since_ms: Option<i64>,
    pub broker_epoch: i64,
    pub is_registered: bool,
    /// `None` while it is down or not registered, and while it has no replica of the partition.
    pub partition: Option<Partition>,
    pub image: Option<Rc<Image>>,
    /// The coordinator of groups, while this node leads and has replayed its log.
    pub hosted: Option<Box<Hosted>>,
    /// The last request heard from each member: what stands on one connection comes in order.
    pub heard_of: BTreeMap<i32, u64>,
    /// The leader epoch a coordinator is being loaded for.
    pub loading: Option<i32>,
    pub parked_acks: VecDeque<ParkedAck>,
    pub parked_fetches: Vec<ParkedFetch>,
    /// By number.
    pub cold_reads: BTreeMap<u64, ColdRead>,
    pub tick_at_ms: Option<i64>,
    /// Number of the newest fetch sent; answers to older ones are still looked at.
    pub fetch_number: u64,
    /// The newest fetch when the replica came to this node: answers up to it are for a replica that is gone.
    pub fetches_before: u64,
    /// How often a replica was taken away from this node; what was to happen to its log is not to happen to the next.
    pub removals: u64,
    pub last_contact_ms: i64,
    pub is_isolated: bool,
    pub last_heard: LastHeard,
}

#[derive(Clone, Copy, Debug)]
pub struct ParkedAck {
    pub end: i64,
    /// The last record's.
    pub offset: i64,
    pub base_offset: i64,
    /// The last record's.
    pub value: u64,
    /// If the producer is idempotent.
    pub key: Option<BatchKey>,
}

/// An answer that waits for the device.
#[derive(Debug)]
pub struct ColdRead {
    pub job: ReadJob,
    pub fetch: FollowerFetch,
    pub number: u64,
    pub high_watermark: Offset,
    pub log_start: Offset,
}

#[derive(Clone, Copy, Debug)]
pub struct ParkedFetch {
    pub fetch: FollowerFetch,
    pub number: u64,
    pub until_ms: i64,
}

/// When each peer was last heard, by node id - 1.
#[derive(Clone, Debug, Default)]
pub struct LastHeard(pub Vec<i64>);

impl PeerContact for LastHeard {
    fn last_heard_ms(&self, broker: BrokerId) -> i64 {
        self.0[broker.get() as usize - 1]
    }
}

impl Node {
    pub fn new(id: i32, nodes: usize, log: Log, replica_lag_time_max_ms: i64) -> Self {
        Self {
            id,
            log,
            replica_lag_time_max_ms,
            may_lack_records: false,
            report_unclean: false,
            stopped_cleanly: None,
            checkpoint: 0,
            high_watermark: 0,
            incarnation: 1,
            is_up: false,
            paused_until_ms: 0,
            stopping_since_ms: None,
            broker_epoch: -1,
            is_registered: false,
            partition: None,
            image: None,
            hosted: None,
            heard_of: BTreeMap::new(),
            loading: None,
            parked_acks: VecDeque::new(),
            parked_fetches: Vec::new(),
            cold_reads: BTreeMap::new(),
            tick_at_ms: None,
            fetch_number: 0,
            fetches_before: 0,
            removals: 0,
            last_contact_ms: 0,
            is_isolated: false,
            last_heard: LastHeard(vec![i64::MIN; nodes]),
        }
    }

    pub fn settings(&self) -> Settings {
        Settings {
            durability: if self.log.is_write_caching() { Durability::PageCache } else { Durability::Flushed },
            replica_lag_time_max_ms: self.replica_lag_time_max_ms,
            session_timeout_ms: SESSION_TIMEOUT_MS,
            followers_serve_consumers: false,
        }
    }

    /// The process is gone; what it held in memory with it. Producers see their connections die: outcome unknown.
    pub fn stop(self) -> Self {
        let nodes = self.last_heard.0.len();
        Self {
            incarnation: self.incarnation + 1,
            removals: self.removals,
            may_lack_records: self.may_lack_records,
            report_unclean: self.report_unclean,
            checkpoint: self.checkpoint,
            ..Self::new(self.id, nodes, self.log, self.replica_lag_time_max_ms)
        }
    }

    /// The replica moved elsewhere: its log is deleted, and who waits for it is not answered.
    pub fn remove_replica(&mut self, now_ms: i64, rng: &mut StdRng) {
        self.partition = None;
        self.hosted = None;
        self.loading = None;
        self.log.delete(now_ms, rng);
        self.checkpoint = 0;
        self.high_watermark = 0;
        self.parked_acks.clear();
        self.parked_fetches.clear();
        self.fetches_before = self.fetch_number;
        self.removals += 1;
        self.may_lack_records = false;
    }

    pub fn image_version(&self) -> u64 {
        self.image.as_ref().map_or(0, |image| image.version)
    }
}
