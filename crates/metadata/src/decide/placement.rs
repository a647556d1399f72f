//! Where replicas go: striped over racks, then over the brokers of each rack, as KRaft does it.
//!
//! ```text
//! racks A(0 1) B(2 3) C(4 5), RF 3      partition 0: 0 2 4      partition 1: 3 5 1      partition 2: 4 0 2 ...
//! ```
//! Each partition begins one rack and one broker further, from a random start. Active brokers come before others,
//! and the first replica, which is to lead, is an active one. After as many partitions as there are active brokers
//! the order is shuffled, so that a lost broker's leaderships do not all fall on its neighbour.

use std::collections::BTreeMap;

use tidelog_wire::Str;
use tidelog_wire::types::BrokerId;

use crate::image::Image;

/// Places the replicas of one partition after the other.
pub(super) struct Placer<'r> {
    racks: Vec<Rack>,
    offset: usize,
    /// Partitions placed since the last shuffle.
    placed: usize,
    active_count: usize,
    total_count: usize,
    random: &'r mut dyn FnMut() -> u64,
}

#[derive(Default)]
struct Rack {
    active: Ring,
    inactive: Ring,
}

/// Brokers to be taken in turn; each partition begins one further.
#[derive(Default)]
struct Ring {
    brokers: Vec<BrokerId>,
    offset: usize,
    taken: usize,
}

impl<'r> Placer<'r> {
    /// Over all registered brokers.
    pub fn new(image: &Image, random: &'r mut dyn FnMut() -> u64) -> Self {
        let mut racks: BTreeMap<Option<Str>, Rack> = BTreeMap::new();
        for broker in image.brokers() {
            let rack = racks.entry(broker.rack.clone()).or_default();
            let ring = if broker.is_active() { &mut rack.active } else { &mut rack.inactive };
            ring.brokers.push(broker.id);
        }
        let mut racks: Vec<Rack> = racks.into_values().collect();
        for ring in racks.iter_mut().flat_map(Rack::rings) {
            ring.offset = below(random, ring.brokers.len());
        }
        let count = |ring: fn(&Rack) -> &Ring| racks.iter().map(|rack| ring(rack).brokers.len()).sum();
        let active_count: usize = count(|rack| &rack.active);
        let inactive_count: usize = count(|rack| &rack.inactive);
        let offset = below(random, racks.len());
        Self { racks, offset, placed: 0, active_count, total_count: active_count + inactive_count, random }
    }

    /// The replicas of the next partition. `Err` says why there can be none.
    pub fn place(&mut self, replication_factor: usize) -> Result<Vec<BrokerId>, String> {
        if replication_factor > self.total_count {
            return Err(format!(
                "replication factor {replication_factor} is larger than the number of registered brokers, which is {}",
                self.total_count
            ));
        }
        if self.active_count == 0 {
            return Err("no broker can lead: all are fenced or shutting down".to_owned());
        }
        self.begin_partition();
        let leader_rack = self.next_rack_with_active_broker();
        let mut replicas = Vec::with_capacity(replication_factor);
        replicas.extend(self.racks[leader_rack].active.next());
        // The other replicas go round all racks; the leader's rack has had its turn in the first round.
        let mut rack = self.offset;
        let mut leader_rack_had_its_turn = false;
        while replicas.len() < replication_factor {
            if rack == leader_rack && !leader_rack_had_its_turn {
                leader_rack_had_its_turn = true;
            } else {
                replicas.extend(self.racks[rack].next());
            }
            rack = (rack + 1) % self.racks.len();
        }
        self.offset = (self.offset + 1) % self.racks.len();
        Ok(replicas)
    }

    fn begin_partition(&mut self) {
        if self.placed == self.active_count {
            self.placed = 0;
            shuffle(&mut self.racks, self.random);
            for ring in self.racks.iter_mut().flat_map(Rack::rings) {
                shuffle(&mut ring.brokers, self.random);
            }
        }
        self.placed += 1;
        self.racks.iter_mut().flat_map(Rack::rings).for_each(Ring::begin_partition);
    }

    fn next_rack_with_active_broker(&self) -> usize {
        let count = self.racks.len();
        let mut in_turn = (0..count).map(|step| (self.offset + step) % count);
        in_turn.find(|rack| !self.racks[*rack].active.brokers.is_empty()).unwrap_or(self.offset)
    }
}

impl Rack {
    fn rings(&mut self) -> [&mut Ring; 2] {
        [&mut self.active, &mut self.inactive]
    }

    fn next(&mut self) -> Option<BrokerId> {
        self.active.next().or_else(|| self.inactive.next())
    }
}

impl Ring {
    fn begin_partition(&mut self) {
        self.taken = 0;
        self.offset = (self.offset + 1) % self.brokers.len().max(1);
    }

    /// A broker that this partition has no replica on yet.
    fn next(&mut self) -> Option<BrokerId> {
        if self.taken == self.brokers.len() {
            return None;
        }
        self.taken += 1;
        Some(self.brokers[(self.offset + self.taken - 1) % self.brokers.len()])
    }
}

fn below(random: &mut dyn FnMut() -> u64, bound: usize) -> usize {
    if bound == 0 { 0 } else { (random() % bound as u64) as usize }
}

fn shuffle<T>(items: &mut [T], random: &mut dyn FnMut() -> u64) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(random, last + 1));
    }
}
