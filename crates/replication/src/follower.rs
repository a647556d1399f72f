//! The follower's half: what to ask the leader, and what its answers mean.

use crate::effect::Effect;
use crate::fetch::{FetchPosition, FetchResponse, FetchVerdict};
use crate::history::{EpochEnd, EpochHistory};
use crate::local::Local;
use tidelog_wire::types::{BrokerId, LeaderEpoch, Offset};

/// One leader's follower, from one leader epoch's grant to the next.
#[derive(Debug)]
pub(crate) struct Follower {
    pub leader: BrokerId,
    pub leader_epoch: LeaderEpoch,
    /// What came with the records that the host is appending.
    announced: Option<Announced>,
    /// A log start that the host is persisting.
    advancing_start: bool,
}

/// The leader's numbers in a Fetch response.
#[derive(Clone, Copy, Debug)]
struct Announced {
    high_watermark: Offset,
    log_start: Offset,
}

impl Follower {
    pub fn new(leader: BrokerId, leader_epoch: LeaderEpoch) -> Self {
        Self { leader, leader_epoch, announced: None, advancing_start: false }
    }

    /// A follower fetches at its log end only, and only once that counts: so the fetch offset is its durable end.
    pub fn is_ready(&self, local: &Local) -> bool {
        local.counted_end() == local.log.end && !self.advancing_start
    }

    pub fn position(&self, local: &Local, history: &impl EpochHistory) -> FetchPosition {
        FetchPosition {
            leader: self.leader,
            leader_epoch: self.leader_epoch,
            fetch_offset: local.log.end,
            last_fetched_epoch: history.latest_epoch(),
            log_start: local.log.start,
        }
    }

    /// An answer is about the log as it was when we asked, in the epoch we asked in: otherwise it says nothing of the
    /// log as it is.
    fn answers_this_log(&self, position: &FetchPosition, local: &Local, history: &impl EpochHistory) -> bool {
        position.leader == self.leader
            && position.leader_epoch == self.leader_epoch
            && position.fetch_offset == local.log.end
            && position.last_fetched_epoch == history.latest_epoch()
    }

    pub fn response(
        &mut self,
        position: &FetchPosition,
        response: &FetchResponse,
        history: &impl EpochHistory,
        local: &mut Local,
        out: &mut Vec<Effect>,
    ) -> FetchVerdict {
        if !self.answers_this_log(position, local, history) {
            return FetchVerdict::Stale;
        }
        match *response {
            FetchResponse::Ok { high_watermark, log_start, has_records } => {
                self.announced = Some(Announced { high_watermark, log_start });
                if has_records {
                    return FetchVerdict::Append;
                }
                self.take_announced(local, out);
                FetchVerdict::Done
            }
            FetchResponse::Diverging(end) => {
                let to = truncation_offset(end, history, local);
                self.truncate(to, local, out);
                FetchVerdict::Done
            }
            FetchResponse::OffsetOutOfRange { log_start: Some(start) } if may_restart(start, position, local) => {
                local.fail_acks(local.high_watermark(), out);
                out.push(Effect::RestartAt(start));
                FetchVerdict::Done
            }
            FetchResponse::OffsetOutOfRange { .. } | FetchResponse::Refused => FetchVerdict::BackOff,
        }
    }

    fn truncate(&mut self, to: Offset, local: &mut Local, out: &mut Vec<Effect>) {
        self.announced = None;
        local.fail_acks(to, out);
        out.push(if to < local.log.start { Effect::RestartAt(to) } else { Effect::TruncateTo(to) });
    }

    pub fn appended(&mut self, end: Offset, local: &mut Local, out: &mut Vec<Effect>) {
        local.append_to(end);
        self.take_announced(local, out);
        if self.is_ready(local) {
            out.push(Effect::FetchReady);
        }
    }

    /// The leader's numbers hold up to our log end: all of it is a prefix of the leader's log, as the answer proved.
    fn take_announced(&mut self, local: &mut Local, out: &mut Vec<Effect>) {
        let Some(announced) = self.announced.take() else {
            return;
        };
        if local.advance_high_watermark(announced.high_watermark.min(local.log.end), out) {
            out.push(Effect::WakeConsumers);
        }
        let start = announced.log_start.min(local.high_watermark());
        if start > local.log.start {
            self.advancing_start = true;
            out.push(Effect::AdvanceLogStart(start));
        }
    }

    pub fn log_start_stays(&mut self) {
        self.advancing_start = false;
    }

    pub fn log_start_advanced(&mut self, local: &Local, out: &mut Vec<Effect>) {
        self.advancing_start = false;
        if self.is_ready(local) {
            out.push(Effect::FetchReady);
        }
    }
}

/// Truncation is by epoch, never to the high watermark (KIP-101): keep what both logs have of the newest epoch that both
/// know. If we do not know the leader's epoch, cut to the end of the next older one of ours and ask again (KIP-279); if
/// we have none so old, nothing of ours is the leader's.
fn truncation_offset(leader: EpochEnd, history: &impl EpochHistory, local: &Local) -> Offset {
    let to = match history.end_offset_for_epoch(leader.leader_epoch) {
        Some(own) if own.leader_epoch == leader.leader_epoch => own.end_offset.min(leader.end_offset),
        Some(own) => own.end_offset,
        None => leader.end_offset.min(local.log.start),
    };
    to.min(local.log.end)
}

/// Dropping the log is right only if it ends where the leader's starts, or below, or holds nothing.
fn may_restart(leader_start: Offset, position: &FetchPosition, local: &Local) -> bool {
    local.log.end <= leader_start || (local.log.start == local.log.end && position.fetch_offset != leader_start)
}
