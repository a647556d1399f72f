//! What must hold after every step, whatever happened before (the P numbers are the invariants' names in the docs).

use std::collections::{BTreeMap, HashMap};

use tidelog_wire::types::BrokerId;

use crate::batch::{Record, Stored};
use crate::clients::BatchKey;
use crate::controller::{Controller, Image};
use crate::node::{Node, ParkedAck};

/// The truth, collected from what the nodes did.
#[derive(Debug, Default)]
pub struct Checker {
    /// Everything below a high watermark that any leader had, by offset.
    committed: Vec<Record>,
    /// Where each value stands that is committed.
    places: HashMap<u64, i64>,
    /// The first offset that was acknowledged for each batch of an idempotent producer.
    first_acks: BTreeMap<BatchKey, i64>,
    /// Values acknowledged with acks=all, with their offsets.
    pub acked: Vec<(i64, u64)>,
    /// Smallest and greatest high watermark shown to consumers in each leader epoch.
    exposed: BTreeMap<i32, (i64, i64)>,
    /// Which node and incarnation led in each epoch.
    leaders: BTreeMap<i32, (i32, u64)>,
    seen: Seen,
    /// A DeleteRecords was confirmed up to here.
    deleted_to: i64,
    /// The greatest log start that any node had.
    greatest_start: i64,
    /// A leader was elected among replicas that had lost records: from now on records may be missing.
    pub lossy: bool,
}

#[derive(Debug, Default)]
struct Seen {
    leader_epoch: i32,
    partition_epoch: i32,
    moving_to: Vec<i32>,
    broker_epochs: BTreeMap<i32, i64>,
}

impl Checker {
    pub fn true_high_watermark(&self) -> i64 {
        self.committed.len() as i64
    }

    /// What any leader's high watermark has passed at this offset.
    pub fn committed_value(&self, offset: i64) -> Option<u64> {
        self.committed.get(usize::try_from(offset).ok()?).map(|record| record.value)
    }

    /// It was committed, and DeleteRecords may have taken its batch.
    pub fn is_deleted(&self, value: u64) -> bool {
        self.places.get(&value).is_some_and(|offset| *offset < self.greatest_start)
    }

    /// P13.
    pub fn leads(&mut self, node: &Node, epoch: i32) {
        let leader = (node.id, node.incarnation);
        let first = *self.leaders.entry(epoch).or_insert(leader);
        assert_eq!(first, leader, "P13: two incarnations lead in epoch {epoch}");
    }

    /// A node's high watermark went up. P4 and P7: what is committed never changes.
    pub fn high_watermark(&mut self, node: &Node, from: i64, to: i64) {
        if self.lossy {
            return;
        }
        let leads = node.partition.as_ref().is_some_and(|partition| partition.is_leader());
        for offset in from.max(node.log.start())..to {
            let record = node.log.get(offset).expect("P12: a high watermark is within the log");
            match self.committed.get(offset as usize) {
                Some(&committed) => {
                    assert_eq!(record, committed, "P4: node {} differs at {offset} below its high watermark", node.id);
                }
                None => {
                    assert!(leads, "follower {} has a high watermark that no leader had", node.id);
                    assert_eq!(offset, self.true_high_watermark(), "a high watermark over a gap");
                    self.committed.push(record);
                    let first = self.places.insert(record.value, offset);
                    // A log that begins behind a batch knows nothing of it.
                    let is_once = first.is_none_or(|first| first < self.greatest_start);
                    assert!(is_once, "{record:?} is committed at {first:?} and at {offset}");
                }
            }
        }
    }

    /// P9: what consumers are shown never goes back, also not from one leader to the next.
    pub fn exposed(&mut self, epoch: i32, high_watermark: i64) {
        if self.lossy {
            return;
        }
        let range = self.exposed.entry(epoch).or_insert((high_watermark, high_watermark));
        assert!(high_watermark >= range.1, "P9: the exposed high watermark went back in epoch {epoch}");
        range.1 = high_watermark;
        let before = self.exposed.range(..epoch).next_back();
        let after = self.exposed.range(epoch + 1..).next();
        if let Some((other, (_, greatest))) = before {
            assert!(*greatest <= high_watermark, "P9: {greatest} in epoch {other}, {high_watermark} in {epoch}");
        }
        if let Some((other, (smallest, _))) = after {
            assert!(high_watermark <= *smallest, "P9: {high_watermark} in epoch {epoch}, {smallest} in {other}");
        }
    }

    /// All in-sync replicas dropped what is below `to`.
    pub fn deleted(&mut self, to: i64) {
        self.deleted_to = self.deleted_to.max(to);
    }

    /// P7.
    pub fn consumed(&self, batch: &Stored) {
        for offset in (batch.base..batch.end).filter(|_| !self.lossy) {
            assert_eq!(self.committed.get(offset as usize), Some(&batch.record(offset)), "P7: read at {offset}");
        }
    }

    /// An acks=all produce was confirmed. `promised`: how many replicas must have it on disk at least.
    pub fn acknowledged(&mut self, nodes: &[Node], ack: &ParkedAck, promised: usize) {
        if self.lossy {
            return;
        }
        let ParkedAck { offset, value, base_offset, .. } = *ack;
        if let Some(key) = ack.key {
            let first = *self.first_acks.entry(key).or_insert(base_offset);
            let is_same = first == base_offset || first < self.greatest_start;
            assert!(is_same, "{key:?} was acknowledged at {first}, and again at {base_offset}");
        }
        let committed = self.committed.get(offset as usize).map(|record| record.value);
        assert_eq!(committed, Some(value), "acknowledged at {offset}, but not committed there");
        self.acked.push((offset, value));
        let holders = nodes.iter().filter(|node| {
            let held = || node.log.get(offset).is_some_and(|record| record.value == value);
            node.log.durable_end() > offset && (offset < node.log.start() || held())
        });
        assert!(holders.count() >= promised, "acknowledged at {offset} with less than {promised} replicas");
    }

    pub fn step(&mut self, controller: &Controller, nodes: &[Node], thorough: bool) {
        self.check_image(controller.image());
        for node in nodes {
            self.check_node(node, thorough);
            self.greatest_start = self.greatest_start.max(node.log.start());
        }
        if controller.recoveries > 0 {
            self.lossy = true;
        }
        if self.lossy {
            return;
        }
        let image = controller.image();
        for node in nodes {
            if image.isr.contains(&node.id) || image.elr.contains(&node.id) {
                self.check_holder(node, thorough);
            }
            if image.leader == node.id && !node.may_lack_records {
                assert!(node.log.end() >= self.true_high_watermark(), "P1: leader {} lacks records", node.id);
                let back = node.log.start() < self.deleted_to;
                assert!(
                    !back,
                    "leader {} brings deleted records back: {} < {}",
                    node.id,
                    node.log.start(),
                    self.deleted_to
                );
            }
            self.check_maximal_isr(image, node);
        }
    }

    /// P2, and P1 for acked records, which are committed ones.
    fn check_holder(&self, node: &Node, thorough: bool) {
        if node.may_lack_records {
            return;
        }
        let counted = node.log.durable_end();
        let needed = self.true_high_watermark();
        assert!(counted >= needed, "P2: node {} in ISR or ELR holds {counted} of {needed}", node.id);
        if thorough {
            for offset in node.log.start()..needed {
                let committed = self.committed[offset as usize];
                assert_eq!(node.log.get(offset), Some(committed), "P2: node {} at {offset}", node.id);
            }
        }
    }

    /// P3.
    fn check_maximal_isr(&self, image: &Image, node: &Node) {
        let Some(partition) = node.partition.as_ref().filter(|partition| partition.is_leader()) else { return };
        if partition.leader_epoch().get() != image.leader_epoch || image.isr.len() < image.min_isr {
            return;
        }
        for member in image.isr.iter().chain(&image.elr) {
            let waits = *member == node.id || partition.commit_waits_for(BrokerId(*member));
            assert!(waits, "P3: leader {} does not wait for {member}", node.id);
        }
    }

    /// P10 and P11.
    fn check_image(&mut self, image: &Image) {
        assert!(image.isr.iter().all(|id| !image.elr.contains(id)), "P10: ISR and ELR overlap");
        let active = |id: &i32| image.brokers.get(id).is_some_and(|broker| broker.active);
        assert!(image.isr.iter().all(active), "P10: a fenced broker in the ISR");
        assert!(image.leader == -1 || image.isr.contains(&image.leader), "P10: leader outside the ISR");
        let clean = |id: &i32| image.brokers.get(id).is_none_or(|broker| !broker.unclean);
        assert!(image.isr.iter().chain(&image.elr).all(clean), "P8: an unclean replica in ISR or ELR");
        assert!(image.leader_epoch >= self.seen.leader_epoch, "P11: leader epoch");
        assert!(image.partition_epoch >= self.seen.partition_epoch, "P11: partition epoch");
        let replicas = |id: &i32| image.replicas.contains(id);
        assert!(image.isr.iter().chain(&image.elr).all(replicas), "P10: ISR or ELR beyond the replicas");
        let has_moved = image.moving_to.is_empty() && image.replicas == self.seen.moving_to;
        if has_moved && image.partition_epoch > self.seen.partition_epoch {
            assert!(image.isr.len() >= image.min_isr, "a move ended below min ISR: {image:?}");
        }
        self.seen.moving_to.clone_from(&image.moving_to);
        self.seen.leader_epoch = image.leader_epoch;
        self.seen.partition_epoch = image.partition_epoch;
        for (&id, broker) in &image.brokers {
            let seen = self.seen.broker_epochs.insert(id, broker.epoch);
            assert!(seen.is_none_or(|seen| seen <= broker.epoch), "P11: broker epoch of {id}");
        }
    }

    /// P11 and P12.
    fn check_node(&self, node: &Node, thorough: bool) {
        let log = &node.log;
        log.check_epochs(thorough);
        let Some(partition) = &node.partition else { return };
        let high_watermark = partition.high_watermark().get();
        let within = log.start() <= high_watermark && high_watermark <= log.end();
        assert!(within, "P12: {} <= {high_watermark} <= {}", log.start(), log.end());
        let mut offsets = log.offsets();
        if log.is_write_caching() {
            // The protocol counts the log end then.
            offsets.durable_end = partition.log().durable_end;
        }
        assert_eq!(partition.log(), offsets, "the protocol's offsets of node {} are not the log's", node.id);
    }
}
