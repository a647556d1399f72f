//! What a replica is whatever its role: its log's offsets, its high watermark and the acks parked on it. Only this
//! module moves the high watermark and settles acks.

use crate::effect::{AckError, Effect};
use crate::partition::{Durability, LogOffsets, Settings};
use tidelog_wire::types::{BrokerEpoch, BrokerId, Offset};

#[derive(Debug)]
pub(crate) struct Local {
    pub id: BrokerId,
    pub broker_epoch: BrokerEpoch,
    pub settings: Settings,
    pub log: LogOffsets,
    high_watermark: Offset,
    /// Greatest end of a parked acks=all produce; `None` when none is above the high watermark.
    parked_to: Option<Offset>,
}

impl Local {
    pub fn new(
        id: BrokerId,
        broker_epoch: BrokerEpoch,
        settings: Settings,
        log: LogOffsets,
        high_watermark: Offset,
    ) -> Self {
        check_offsets(&log);
        let high_watermark = high_watermark.clamp(log.start, log.end);
        Self { id, broker_epoch, settings, log, high_watermark, parked_to: None }
    }

    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// End of what counts towards the high watermark, and what a follower may name as its fetch offset.
    pub fn counted_end(&self) -> Offset {
        match self.settings.durability {
            Durability::Flushed => self.log.durable_end,
            Durability::PageCache => self.log.end,
        }
    }

    pub fn append_to(&mut self, end: Offset) {
        assert!(end >= self.log.end, "an append moved the log end back: {} to {end}", self.log.end);
        self.log.end = end;
    }

    /// A flush that was under way during a truncation may report more than is left.
    pub fn flush_to(&mut self, durable_end: Offset) {
        self.log.durable_end = durable_end.clamp(self.log.durable_end, self.log.end);
    }

    pub fn start_at(&mut self, start: Offset) {
        assert!(start <= self.log.end, "log start {start} beyond the log end {}", self.log.end);
        self.log.start = start.max(self.log.start);
        self.log.durable_end = self.log.durable_end.max(self.log.start);
        self.high_watermark = self.high_watermark.max(self.log.start);
    }

    /// The log was cut, or replaced by an empty one. Only an unclean election makes this lower the high watermark.
    pub fn replace_log(&mut self, log: LogOffsets) {
        check_offsets(&log);
        self.log = log;
        self.high_watermark = self.high_watermark.clamp(log.start, log.end);
    }

    /// Returns whether the high watermark moved.
    pub fn advance_high_watermark(&mut self, to: Offset, out: &mut Vec<Effect>) -> bool {
        assert!(to <= self.log.end, "high watermark {to} beyond the log end {}", self.log.end);
        if to <= self.high_watermark {
            return false;
        }
        self.high_watermark = to;
        out.push(Effect::HighWatermark(to));
        if let Some(parked_to) = self.parked_to {
            out.push(Effect::ReleaseAcks { through: to });
            if parked_to <= to {
                self.parked_to = None;
            }
        }
        true
    }

    pub fn park_ack(&mut self, end: Offset) {
        if end > self.high_watermark {
            self.parked_to = self.parked_to.max(Some(end));
        }
    }

    pub fn fail_acks(&mut self, beyond: Offset, out: &mut Vec<Effect>) {
        if self.parked_to.is_some_and(|parked_to| parked_to > beyond) {
            out.push(Effect::FailAcks { beyond, error: AckError::NotLeaderOrFollower });
            self.parked_to = Some(beyond).filter(|&left_to| left_to > self.high_watermark);
        }
    }
}

fn check_offsets(log: &LogOffsets) {
    assert!(log.start <= log.durable_end, "durable end below the log start: {log:?}");
    assert!(log.durable_end <= log.end, "durable end beyond the log end: {log:?}");
}
