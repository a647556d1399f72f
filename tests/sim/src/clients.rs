//! Producers and consumers that use whichever node takes them for a leader's clients, also a wrong one.

use rand::Rng;
use tidelog_replication::{Acks, Partition};
use tidelog_wire::types::Offset;

use crate::log::Record;
use crate::node::ParkedAck;
use crate::world::{Event, NodeEvent, World};

const ACK_TIMEOUT_MS: i64 = 8000;

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
        if self.producing && self.rng.random_bool(0.7) {
            let acks = if self.rng.random_bool(0.8) { Acks::All } else { Acks::Leader };
            self.produce(id, acks);
        }
        self.consume(id);
    }

    pub fn produce(&mut self, id: i32, acks: Acks) {
        let now_ms = self.now_ms;
        let count = self.rng.random_range(1..=3);
        let first_value = self.next_value;
        let node = self.node(id);
        let Some(Ok(epoch)) = node.partition.as_ref().map(|partition| partition.check_produce(acks)) else { return };
        let records: Vec<Record> =
            (first_value..first_value + count).map(|value| Record { epoch: epoch.get(), value }).collect();
        node.log.append(&records);
        let end = node.log.end();
        self.next_value += count;
        self.drive(id, |partition, out| partition.appended(Offset(end), now_ms, out));
        if acks != Acks::All {
            return;
        }
        let (offset, value) = (end - 1, first_value + count - 1);
        let committed = |partition: &Partition| partition.high_watermark().get() >= end;
        if self.node(id).partition.as_ref().is_some_and(committed) {
            self.acknowledge(offset, value);
            return;
        }
        self.drive(id, |partition, _| partition.ack_parked(Offset(end)));
        self.node(id).parked_acks.push_back(ParkedAck { end, offset, value });
        self.node_at(id, ACK_TIMEOUT_MS, NodeEvent::AckTimedOut { end });
    }

    fn consume(&mut self, id: i32) {
        let node = &self.nodes[id as usize - 1];
        let Some(partition) = &node.partition else { return };
        let offset = self.rng.random_range(node.log.start()..=node.log.end());
        let Ok(view) = partition.consumer_fetch(None, Offset(offset)) else { return };
        if view.is_settled {
            self.checker.exposed(view.leader_epoch.get(), view.high_watermark.get());
        }
        if offset < view.high_watermark.get() {
            let record = node.log.get(offset).expect("what is below the high watermark is in the log");
            self.checker.consumed(offset, record);
        }
    }
}
