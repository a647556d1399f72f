//! Which topics have replicas on a broker. Counts per topic rather than a set of partitions: an index of
//! 10,000 partitions costs one entry, and the topic is scanned when asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidelog_wire::Uuid;
use tidelog_wire::types::BrokerId;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Placements {
    brokers: Arc<BTreeMap<BrokerId, Arc<BTreeMap<Uuid, usize>>>>,
}

impl Placements {
    pub fn topics_on(&self, broker_id: BrokerId) -> impl Iterator<Item = Uuid> {
        self.brokers.get(&broker_id).into_iter().flat_map(|topics| topics.keys().copied())
    }

    pub fn replica_count(&self, broker_id: BrokerId) -> usize {
        self.brokers.get(&broker_id).map_or(0, |topics| topics.values().sum())
    }

    pub fn add(&mut self, topic_id: Uuid, replicas: &[BrokerId]) {
        let brokers = Arc::make_mut(&mut self.brokers);
        for replica in replicas {
            let topics = Arc::make_mut(brokers.entry(*replica).or_default());
            *topics.entry(topic_id).or_default() += 1;
        }
    }

    pub fn remove(&mut self, topic_id: Uuid, replicas: &[BrokerId]) {
        let brokers = Arc::make_mut(&mut self.brokers);
        for replica in replicas {
            let Some(shared) = brokers.get_mut(replica) else {
                continue;
            };
            let topics = Arc::make_mut(shared);
            if let Some(count) = topics.get_mut(&topic_id) {
                *count -= 1;
                if *count == 0 {
                    topics.remove(&topic_id);
                }
            }
            if topics.is_empty() {
                brokers.remove(replica);
            }
        }
    }
}
