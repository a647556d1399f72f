//! Producers that wait for their records to be committed, ordered by the offset they wait for.

use std::collections::VecDeque;
use std::rc::Rc;

use tidelog_wire::types::Offset;

use super::refusal::Refusal;

/// What became of one partition's records of a produce request.
#[derive(Clone, Debug)]
pub(crate) enum AppendOutcome {
    Stored {
        base_offset: Offset,
        /// -1 unless the topic stamps records itself.
        log_append_time_ms: i64,
        log_start: Offset,
    },
    Refused(Refusal),
}

/// A produce request that collects the outcomes of its partitions.
pub(crate) trait ProduceReply {
    /// The outcome of the partition at `index` of the request. Only the first one for an index counts.
    fn fill(&self, index: usize, outcome: AppendOutcome);
}

/// Where one partition's outcome goes.
#[derive(Clone)]
pub(crate) struct ReplyTo {
    pub call: Rc<dyn ProduceReply>,
    pub index: usize,
}

impl ReplyTo {
    pub(crate) fn fill(&self, outcome: AppendOutcome) {
        self.call.fill(self.index, outcome);
    }
}

struct ParkedAck {
    /// Released when the high watermark reaches it.
    end: Offset,
    outcome: AppendOutcome,
    reply: ReplyTo,
}

/// Parked acks=all produces of one partition.
#[derive(Default)]
pub(super) struct AckQueue {
    parked: VecDeque<ParkedAck>,
}

impl AckQueue {
    /// `outcome` is told once the high watermark is at `end`. Nearly always the greatest `end` so far; a duplicate of an
    /// earlier batch may wait for less.
    pub(super) fn park(&mut self, end: Offset, outcome: AppendOutcome, reply: ReplyTo) {
        let position = self.parked.partition_point(|ack| ack.end <= end);
        self.parked.insert(position, ParkedAck { end, outcome, reply });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parked.is_empty()
    }

    pub(super) fn release(&mut self, through: Offset) {
        while self.parked.front().is_some_and(|ack| ack.end <= through) {
            if let Some(ack) = self.parked.pop_front() {
                ack.reply.fill(ack.outcome);
            }
        }
    }

    pub(super) fn fail(&mut self, beyond: Offset, refusal: &Refusal) {
        let first = self.parked.partition_point(|ack| ack.end <= beyond);
        for ack in self.parked.drain(first..) {
            ack.reply.fill(AppendOutcome::Refused(refusal.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tidelog_wire::ErrorCode;

    use super::*;

    #[derive(Default)]
    struct Outcomes(RefCell<Vec<(usize, bool)>>);

    impl ProduceReply for Outcomes {
        fn fill(&self, index: usize, outcome: AppendOutcome) {
            let stored = matches!(outcome, AppendOutcome::Stored { .. });
            self.0.borrow_mut().push((index, stored));
        }
    }

    fn parked(ends: &[i64]) -> (AckQueue, Rc<Outcomes>) {
        let outcomes = Rc::new(Outcomes::default());
        let mut queue = AckQueue::default();
        for (index, end) in ends.iter().enumerate() {
            let outcome =
                AppendOutcome::Stored { base_offset: Offset(0), log_append_time_ms: -1, log_start: Offset(0) };
            let call = Rc::clone(&outcomes) as Rc<dyn ProduceReply>;
            queue.park(Offset(*end), outcome, ReplyTo { call, index });
        }
        (queue, outcomes)
    }

    #[test]
    fn acks_are_released_in_order_as_the_high_watermark_passes_them() {
        let (mut queue, outcomes) = parked(&[10, 20, 15]);
        queue.release(Offset(9));
        assert!(outcomes.0.borrow().is_empty());
        queue.release(Offset(19));
        assert_eq!(*outcomes.0.borrow(), [(0, true), (2, true)]);
        queue.release(Offset(20));
        assert_eq!(outcomes.0.borrow().len(), 3);
    }

    #[test]
    fn only_what_ends_beyond_the_cut_fails() {
        let (mut queue, outcomes) = parked(&[10, 20]);
        queue.fail(Offset(10), &Refusal::of(ErrorCode::NOT_LEADER_OR_FOLLOWER));
        assert_eq!(*outcomes.0.borrow(), [(1, false)]);
        queue.release(Offset(10));
        assert_eq!(*outcomes.0.borrow(), [(1, false), (0, true)]);
    }
}
