//! What a leader knows of one other replica.

use crate::assignment::Replica;
use crate::fetch::FollowerFetch;
use tidelog_wire::types::{BrokerEpoch, BrokerId, Offset};

#[derive(Clone, Debug)]
pub(crate) struct Progress {
    pub id: BrokerId,
    /// The broker's registration in the image.
    registered: BrokerEpoch,
    eligible: bool,
    /// From its newest fetch in this leader epoch whose position was found to be on our log.
    last_fetch: Option<LastFetch>,
    /// When it last had everything we had.
    last_caught_up_ms: i64,
    /// Reached the ISR's mark with a fetch of its own since it was last in the ISR, or left it with everything we had.
    pub candidate: bool,
    /// High watermark that this incarnation was last told in its present fetch session, if any.
    pub told_high_watermark: Option<Offset>,
}

#[derive(Clone, Copy, Debug)]
struct LastFetch {
    broker_epoch: BrokerEpoch,
    durable_end: Offset,
    log_start: Offset,
    at_ms: i64,
    /// Our log end at that time.
    log_end: Offset,
}

impl Progress {
    pub fn new(replica: &Replica, now_ms: i64) -> Self {
        Self {
            id: replica.id,
            registered: replica.broker_epoch,
            eligible: replica.eligible,
            last_fetch: None,
            last_caught_up_ms: now_ms,
            candidate: false,
            told_high_watermark: None,
        }
    }

    pub fn registration_changed(&mut self, replica: &Replica) {
        self.registered = replica.broker_epoch;
        self.eligible = replica.eligible;
    }

    /// End of its durable log, `None` until it fetched from this leader.
    pub fn durable_end(&self) -> Option<Offset> {
        self.last_fetch.map(|fetch| fetch.durable_end)
    }

    pub fn log_start(&self) -> Option<Offset> {
        self.last_fetch.map(|fetch| fetch.log_start)
    }

    /// The incarnation an ISR proposal speaks of: the one whose fetch we saw.
    pub fn broker_epoch(&self) -> BrokerEpoch {
        self.last_fetch.map_or(self.registered, |fetch| fetch.broker_epoch)
    }

    /// A fetch of an earlier incarnation than one we know of (KIP-903).
    pub fn is_stale(&self, broker_epoch: BrokerEpoch) -> bool {
        broker_epoch < self.registered.max(self.broker_epoch())
    }

    /// Its broker may be in an ISR, and the incarnation that fetched is the registered one.
    pub fn may_join(&self) -> bool {
        self.eligible && self.last_fetch.is_some_and(|fetch| fetch.broker_epoch == self.registered)
    }

    pub fn fetched(&mut self, fetch: &FollowerFetch, log_end: Offset, now_ms: i64) {
        if self.last_fetch.is_some_and(|last| last.broker_epoch != fetch.broker_epoch) {
            // It remembers what it checkpointed, which may be older.
            self.told_high_watermark = None;
        }
        if fetch.fetch_offset >= log_end {
            self.last_caught_up_ms = now_ms;
        } else if let Some(last) = self.last_fetch.filter(|last| fetch.fetch_offset >= last.log_end) {
            self.last_caught_up_ms = self.last_caught_up_ms.max(last.at_ms);
        }
        self.last_fetch = Some(LastFetch {
            broker_epoch: fetch.broker_epoch,
            durable_end: fetch.fetch_offset,
            log_start: fetch.log_start,
            at_ms: now_ms,
            log_end,
        });
    }

    /// Our log is about to grow from `log_end`: who had it all was caught up until now, though it may not have asked
    /// for a long time (an idle partition is not named in fetches).
    pub fn log_grows(&mut self, log_end: Offset, now_ms: i64) {
        if self.durable_end() == Some(log_end) {
            self.last_caught_up_ms = now_ms;
        }
    }

    /// When it will have been behind for too long; `None` while it is not behind.
    pub fn lag_deadline_ms(&self, log_end: Offset, lag_time_max_ms: i64) -> Option<i64> {
        (self.durable_end() != Some(log_end)).then(|| self.last_caught_up_ms.saturating_add(lag_time_max_ms))
    }
}
