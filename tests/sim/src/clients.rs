//! Producers and consumers that use whichever node takes them for a leader's clients, also a wrong one.

use std::collections::VecDeque;
use std::fmt;

use bytes::Bytes;
use rand::Rng;
use tidelog_commitlog::{AppendError, Appended, ProducerError, ReadStart};
use tidelog_replication::{Acks, Partition};
use tidelog_wire::types::{LeaderEpoch, Offset};

use crate::batch::{self, Stored};
use crate::node::ParkedAck;
use crate::world::{Event, NodeEvent, World};

const ACK_TIMEOUT_MS: i64 = 8000;
/// Batches of one producer from the first that no answer has come for.
const IN_FLIGHT_MAX: u64 = 5;

/// An idempotent producer. It sends what it was not answered for again, at whichever node leads then, in order.
#[derive(Debug)]
pub struct Producer {
    id: i64,
    next_sequence: i32,
    batches: u64,
    unanswered: VecDeque<Unanswered>,
    /// Where it sends to: what another leader got may be lost.
    leader_epoch: LeaderEpoch,
}

#[derive(Clone)]
struct Unanswered {
    /// Counts the producer's batches.
    number: u64,
    key: BatchKey,
    batch: Bytes,
    last_value: u64,
    sent_at_ms: Option<i64>,
}

impl fmt::Debug for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} sent at {:?}", self.key, self.sent_at_ms)
    }
}

/// Producer id and first sequence.
pub type BatchKey = (i64, i32);

impl Producer {
    pub fn new(id: i64) -> Self {
        Self { id, next_sequence: 0, batches: 0, unanswered: VecDeque::new(), leader_epoch: LeaderEpoch::NONE }
    }

    pub fn is_answered(&self) -> bool {
        self.unanswered.is_empty()
    }

    fn has_room(&self) -> bool {
        self.unanswered.front().is_none_or(|oldest| self.batches - oldest.number < IN_FLIGHT_MAX)
    }

    /// Everything is to be sent again if the oldest has waited for too long.
    fn give_up_waiting(&mut self, now_ms: i64, patience_ms: i64) {
        let oldest = self.unanswered.front().and_then(|oldest| oldest.sent_at_ms);
        if oldest.is_some_and(|sent_at_ms| now_ms - sent_at_ms > patience_ms) {
            self.unanswered.iter_mut().for_each(|unanswered| unanswered.sent_at_ms = None);
        }
    }

    fn send_to(&mut self, leader_epoch: LeaderEpoch) {
        if std::mem::replace(&mut self.leader_epoch, leader_epoch) != leader_epoch {
            self.unanswered.iter_mut().for_each(|unanswered| unanswered.sent_at_ms = None);
        }
    }

    fn answered(&mut self, key: BatchKey) {
        self.unanswered.retain(|unanswered| unanswered.key != key);
    }
}

impl World {
    pub(crate) fn clients(&mut self) {
        let pause_ms = self.rng.random_range(1..25);
        self.at(pause_ms, Event::Clients);
        let nodes = self.nodes.len() as i32;
        let leader = self.controller.image().leader;
        let any = self.rng.random_range(1..=nodes);
        let id = if leader > 0 && self.rng.random_bool(0.8) { leader } else { any };
        let node = self.node(id);
        if !node.is_up || node.paused_until_ms > self.now_ms {
            return;
        }
        if self.rng.random_bool(0.4) {
            let producer = self.rng.random_range(0..self.producers.len());
            self.produce_idempotently(id, producer);
        } else if self.producing && self.rng.random_bool(0.5) {
            let acks = if self.rng.random_bool(0.7) { Acks::All } else { Acks::Leader };
            self.produce(id, acks);
        }
        self.consume(id);
    }

    fn check_produce(&self, id: i32, acks: Acks) -> Option<LeaderEpoch> {
        let partition = self.nodes[id as usize - 1].partition.as_ref()?;
        partition.check_produce(acks).ok()
    }

    /// One batch of a producer that never sends it again.
    fn produce(&mut self, id: i32, acks: Acks) {
        let Some(epoch) = self.check_produce(id, acks) else { return };
        let (batch, last_value) = self.next_batch(None);
        let now_ms = self.now_ms;
        let appended = self.node(id).log.append_one(batch, epoch, now_ms);
        self.appended(id);
        if acks == Acks::All {
            self.park_ack(id, &appended, last_value, None);
        }
    }

    /// A new batch and its last value.
    fn next_batch(&mut self, producer: Option<BatchKey>) -> (Bytes, u64) {
        let count = self.rng.random_range(1..=12);
        let first_value = self.next_value;
        self.next_value += count;
        (batch::build(&mut self.rng, first_value, count, producer), first_value + count - 1)
    }

    fn produce_idempotently(&mut self, id: i32, index: usize) {
        let now_ms = self.now_ms;
        let patience_ms = self.rng.random_range(50..3000);
        self.producers[index].give_up_waiting(now_ms, patience_ms);
        if self.producing && self.producers[index].has_room() {
            let key = (self.producers[index].id, self.producers[index].next_sequence);
            let (batch, last_value) = self.next_batch(Some(key));
            let producer = &mut self.producers[index];
            producer.next_sequence += Stored::all(&batch).map(|batch| (batch.end - batch.base) as i32).sum::<i32>();
            let number = producer.batches;
            producer.batches += 1;
            producer.unanswered.push_back(Unanswered { number, key, batch, last_value, sent_at_ms: None });
        }
        let Some(epoch) = self.check_produce(id, Acks::All) else { return };
        self.producers[index].send_to(epoch);
        let unsent = self.producers[index].unanswered.iter().filter(|unanswered| unanswered.sent_at_ms.is_none());
        let unsent: Vec<Unanswered> = unsent.cloned().collect();
        if unsent.is_empty() {
            return;
        }
        let batches: Vec<Bytes> = unsent.iter().map(|unanswered| unanswered.batch.clone()).collect();
        let results = self.node(id).log.append_all(&batches, epoch, now_ms);
        self.appended(id);
        for (sent, result) in unsent.iter().zip(results) {
            self.sent(id, index, sent, result);
        }
    }

    fn sent(&mut self, id: i32, index: usize, sent: &Unanswered, result: Result<Appended, AppendError>) {
        let now_ms = self.now_ms;
        let lossy = self.checker.lossy;
        let producer = &mut self.producers[index];
        let is_oldest = producer.unanswered.front().is_none_or(|oldest| oldest.key == sent.key);
        match result {
            Ok(appended) => {
                let known = producer.unanswered.iter_mut().find(|unanswered| unanswered.key == sent.key);
                known.into_iter().for_each(|unanswered| unanswered.sent_at_ms = Some(now_ms));
                self.retries += usize::from(appended.duplicate);
                self.park_ack(id, &appended, sent.last_value, Some(sent.key));
            }
            Err(AppendError::Producer(_)) if lossy => {
                self.producers[index] = Producer::new(self.next_value as i64);
                self.next_value += 1;
            }
            // What was sent before it is lost with a leader: it is sent again after that.
            Err(AppendError::Producer(ProducerError::OutOfOrderSequence { .. })) if !is_oldest => {}
            // A log that was opened since looks for a retry in its last two segments.
            Err(AppendError::Producer(_)) if self.is_long_ago(id, sent.last_value) => {
                self.producers[index].answered(sent.key);
            }
            Err(error) => {
                let producer = &self.producers[index];
                panic!("batch {:?} of {producer:?} is refused by node {id}: {error}", sent.key)
            }
        }
    }

    fn is_long_ago(&self, id: i32, value: u64) -> bool {
        let bytes = self.nodes[id as usize - 1].log.bytes_since(value);
        bytes.map_or_else(|| self.checker.is_deleted(value), |bytes| bytes > self.options.segment_bytes as usize)
    }

    pub(crate) fn appended(&mut self, id: i32) {
        let now_ms = self.now_ms;
        let end = Offset(self.node(id).log.end());
        self.drive(id, |partition, out| partition.appended(end, now_ms, out));
    }

    fn park_ack(&mut self, id: i32, appended: &Appended, value: u64, key: Option<BatchKey>) {
        let end = appended.last_offset.get() + 1;
        let ack = ParkedAck { end, offset: end - 1, base_offset: appended.base_offset.get(), value, key };
        let committed = |partition: &Partition| partition.high_watermark().get() >= end;
        if self.node(id).partition.as_ref().is_some_and(committed) {
            self.acknowledge(&ack);
            return;
        }
        self.drive(id, |partition, _| partition.ack_parked(Offset(end)));
        self.node(id).parked_acks.push_back(ack);
        self.node_at(id, ACK_TIMEOUT_MS, NodeEvent::AckTimedOut { end });
    }

    /// The producer hears of it, or its connection is gone.
    pub(crate) fn acknowledge(&mut self, ack: &ParkedAck) {
        // A page cache or a whole disk may be gone again by now.
        let promised = if self.wipes > 0 || self.options.write_caching { 0 } else { self.lowest_min_isr };
        self.checker.acknowledged(&self.nodes, ack, promised);
        let is_heard = self.rng.random_bool(0.8);
        if let Some(key) = ack.key.filter(|_| is_heard) {
            self.producers.iter_mut().for_each(|producer| producer.answered(key));
        }
    }

    fn consume(&mut self, id: i32) {
        let node = &mut self.nodes[id as usize - 1];
        let Some(partition) = &node.partition else { return };
        let offset = self.rng.random_range(node.log.start()..=node.log.end());
        let Ok(view) = partition.consumer_fetch(None, Offset(offset)) else { return };
        if view.is_settled {
            self.checker.exposed(view.leader_epoch.get(), view.high_watermark.get());
        }
        if offset >= view.high_watermark.get() {
            return;
        }
        let max_bytes = self.rng.random_range(0..self.options.fetch_bytes_max);
        let records = match node.log.begin_read(Offset(offset), view.high_watermark, max_bytes) {
            ReadStart::Ready(records) => records,
            ReadStart::Cold(job) => job.run().expect("what is below the high watermark can be read"),
        };
        let mut next = None;
        for batch in Stored::all(&records) {
            let is_next = next.map_or(batch.base <= offset && offset < batch.end, |next| batch.base == next);
            assert!(is_next && batch.end <= view.high_watermark.get(), "a read of {offset} gives {batch:?}");
            next = Some(batch.end);
            self.checker.consumed(&batch);
        }
        assert!(next.is_some(), "P7: nothing is read at {offset}, below the high watermark");
    }
}
