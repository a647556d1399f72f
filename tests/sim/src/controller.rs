//! The controller, as KRaft's rules with eligible leader replicas make it (KIP-631, 841, 903, 966), for one partition.
//! It is always there and never forgets: what a quorum is for is tested elsewhere.

use std::collections::BTreeMap;
use std::rc::Rc;

use tidelog_replication::{IsrOutcome, IsrProposal};
use tidelog_wire::types::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch};

/// What every node gets to see, in order of `version`.
#[derive(Clone, Debug)]
pub struct Image {
    pub version: u64,
    pub leader: i32,
    pub leader_epoch: i32,
    pub partition_epoch: i32,
    pub isr: Vec<i32>,
    pub elr: Vec<i32>,
    pub min_isr: usize,
    pub brokers: BTreeMap<i32, Registration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    pub epoch: i64,
    pub fenced: bool,
    pub shutting_down: bool,
    /// Its replica may lack what it once had.
    pub unclean: bool,
    /// Last record's epoch and log end, as reported when registering.
    pub position: (i32, i64),
    /// The image in which this incarnation registered or was fenced: it is unfenced once it has applied it.
    fenced_in: u64,
}

impl Registration {
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.shutting_down
    }
}

#[derive(Debug)]
pub struct Controller {
    image: Rc<Image>,
    replicas: Vec<i32>,
    last_known: Vec<i32>,
    last_heartbeat_ms: BTreeMap<i32, i64>,
    next_broker_epoch: i64,
    /// How often a leader was chosen among replicas that may have lost records.
    pub recoveries: usize,
}

pub const SESSION_TIMEOUT_MS: i64 = 1500;

impl Controller {
    pub fn new(replicas: &[i32], min_isr: usize) -> Self {
        let image = Image {
            version: 0,
            leader: -1,
            leader_epoch: 0,
            partition_epoch: 0,
            isr: Vec::new(),
            elr: replicas.to_vec(),
            min_isr,
            brokers: BTreeMap::new(),
        };
        Self {
            image: Rc::new(image),
            replicas: replicas.to_vec(),
            last_known: Vec::new(),
            last_heartbeat_ms: BTreeMap::new(),
            next_broker_epoch: 1,
            recoveries: 0,
        }
    }

    pub fn image(&self) -> &Rc<Image> {
        &self.image
    }

    /// Ends all that an earlier incarnation had, in one batch.
    pub fn register(&mut self, id: i32, unclean: bool, position: (i32, i64), now_ms: i64) -> i64 {
        let epoch = self.next_broker_epoch;
        self.next_broker_epoch += 1;
        self.last_heartbeat_ms.insert(id, now_ms);
        self.change(|image| {
            let was_unclean = image.brokers.get(&id).is_some_and(|broker| broker.unclean);
            let registration = Registration {
                epoch,
                fenced: true,
                shutting_down: false,
                unclean: unclean || was_unclean,
                position,
                fenced_in: image.version,
            };
            image.brokers.insert(id, registration);
            if image.leader == id {
                image.leader = -1;
                image.leader_epoch += 1;
            }
        });
        epoch
    }

    /// Returns whether the session is this incarnation's.
    pub fn heartbeat(&mut self, id: i32, epoch: i64, applied_version: u64, now_ms: i64) -> bool {
        let Some(broker) = self.image.brokers.get(&id).copied().filter(|broker| broker.epoch == epoch) else {
            return false;
        };
        self.last_heartbeat_ms.insert(id, now_ms);
        if broker.fenced && applied_version >= broker.fenced_in {
            self.change(|image| image.brokers.get_mut(&id).expect("registered").fenced = false);
        }
        true
    }

    pub fn expire_sessions(&mut self, now_ms: i64) {
        let expired = |id: &i32| self.last_heartbeat_ms.get(id).is_none_or(|at| now_ms - at > SESSION_TIMEOUT_MS);
        let expired: Vec<(i32, i64)> = (self.image.brokers.iter())
            .filter(|(id, broker)| !broker.fenced && expired(id))
            .map(|(&id, broker)| (id, broker.epoch))
            .collect();
        for (id, epoch) in expired {
            self.fence(id, epoch);
        }
    }

    pub fn fence(&mut self, id: i32, epoch: i64) {
        if self.image.brokers.get(&id).is_some_and(|broker| broker.epoch == epoch && !broker.fenced) {
            self.change(|image| {
                let broker = image.brokers.get_mut(&id).expect("registered");
                broker.fenced = true;
                broker.fenced_in = image.version;
            });
        }
    }

    /// Answers whether the broker may stop now: it leads nothing, and the ISR does without it.
    pub fn shut_down(&mut self, id: i32, epoch: i64) -> bool {
        if self.image.brokers.get(&id).is_none_or(|broker| broker.epoch != epoch) {
            return true;
        }
        let others = self.image.isr.iter().filter(|&&member| member != id).count();
        if self.image.isr.contains(&id) && others < self.image.min_isr {
            return false;
        }
        self.change(|image| image.brokers.get_mut(&id).expect("registered").shutting_down = true);
        true
    }

    pub fn set_min_isr(&mut self, min_isr: usize) {
        self.change(|image| image.min_isr = min_isr);
    }

    pub fn alter_isr(&mut self, from: i32, epoch: i64, proposal: &IsrProposal) -> IsrOutcome {
        let image = &self.image;
        let stands = image.leader == from
            && image.brokers.get(&from).is_some_and(|broker| broker.epoch == epoch)
            && proposal.leader_epoch == LeaderEpoch(image.leader_epoch)
            && proposal.partition_epoch == PartitionEpoch(image.partition_epoch);
        if !stands {
            return IsrOutcome::Outdated;
        }
        let new_isr: Vec<i32> = proposal.new_isr.iter().map(|(id, _)| id.get()).collect();
        if !new_isr.contains(&from) || !new_isr.iter().all(|id| self.replicas.contains(id)) {
            return IsrOutcome::Outdated;
        }
        let eligible = |(id, epoch): &(BrokerId, BrokerEpoch)| {
            let broker = image.brokers.get(&id.get());
            broker.is_some_and(|broker| broker.is_active() && broker.epoch == epoch.get())
        };
        if !proposal.new_isr.iter().all(eligible) {
            return IsrOutcome::Ineligible;
        }
        self.change(|image| {
            image.isr = new_isr;
            // Also when nothing else changed: an earlier attempt of the same leader is outdated by it.
            image.partition_epoch += 1;
        });
        let image = &self.image;
        IsrOutcome::Accepted {
            leader_epoch: LeaderEpoch(image.leader_epoch),
            partition_epoch: PartitionEpoch(image.partition_epoch),
            isr: image.isr.iter().map(|&id| BrokerId(id)).collect(),
        }
    }

    /// One batch: what `change` does, and what follows from it.
    fn change(&mut self, change: impl FnOnce(&mut Image)) {
        let before = Rc::clone(&self.image);
        let mut image = Image::clone(&before);
        image.version += 1;
        change(&mut image);
        for &member in &image.isr {
            if let Some(broker) = image.brokers.get_mut(&member).filter(|broker| broker.is_active()) {
                // Only who caught up with the leader gets into the ISR.
                broker.unclean &= before.isr.contains(&member) || before.elr.contains(&member);
            }
        }
        image.isr.retain(|id| image.brokers.get(id).is_some_and(|broker| broker.is_active() && !broker.unclean));
        self.settle_eligible(&before, &mut image);
        self.elect(&mut image);
        let partition_changed = image.isr != before.isr
            || image.elr != before.elr
            || image.leader != before.leader
            || image.leader_epoch != before.leader_epoch;
        if partition_changed && image.partition_epoch == before.partition_epoch {
            image.partition_epoch += 1;
        }
        self.image = Rc::new(image);
    }

    /// Whoever leaves an ISR that becomes too small stays eligible, until it is large enough again (KIP-966).
    fn settle_eligible(&mut self, before: &Image, image: &mut Image) {
        if image.isr.len() >= image.min_isr {
            image.elr.clear();
            self.last_known.clear();
            return;
        }
        let had_it_all: Vec<i32> = before.isr.iter().chain(&before.elr).copied().collect();
        let is_clean = |id: &i32| image.brokers.get(id).is_none_or(|broker| !broker.unclean);
        self.last_known.extend(had_it_all.iter().filter(|id| !is_clean(id)));
        self.last_known.sort_unstable();
        self.last_known.dedup();
        let eligible = had_it_all.iter().filter(|id| !image.isr.contains(id) && is_clean(id)).copied();
        image.elr = eligible.collect();
    }

    fn elect(&mut self, image: &mut Image) {
        if image.isr.contains(&image.leader) {
            return;
        }
        let active = |id: &&i32| image.brokers.get(id).is_some_and(Registration::is_active);
        let in_sync = image.isr.iter().find(active).copied();
        let eligible = || image.elr.iter().find(active).copied();
        let elected = in_sync.or_else(eligible).or_else(|| self.recovery_candidate(image));
        if let Some(leader) = elected {
            if !image.isr.contains(&leader) {
                image.isr = vec![leader];
                image.elr.retain(|&id| id != leader);
            }
            if image.isr.len() >= image.min_isr {
                image.elr.clear();
                self.last_known.clear();
            }
            if image.brokers[&leader].unclean {
                image.brokers.get_mut(&leader).expect("registered").unclean = false;
                self.recoveries += 1;
            }
        }
        let leader = elected.unwrap_or(-1);
        if leader != image.leader || elected.is_some() {
            image.leader = leader;
            image.leader_epoch += 1;
        }
    }

    /// Nobody clean is left: once all who may have had everything are back, the one with the most records.
    fn recovery_candidate(&self, image: &Image) -> Option<i32> {
        if !image.isr.is_empty() || !image.elr.is_empty() {
            return None;
        }
        let back = |id: &i32| image.brokers.get(id).is_some_and(Registration::is_active);
        if !self.last_known.iter().all(back) {
            return None;
        }
        self.last_known.iter().copied().max_by_key(|id| image.brokers[id].position)
    }
}
