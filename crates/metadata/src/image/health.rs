//! Counts that say how the cluster is, for metrics and `cluster health`.

use tidelog_wire::types::BrokerId;

use super::Image;

/// Partitions and brokers that are not as they should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    pub partitions: usize,
    /// No leader.
    pub offline: usize,
    /// A replica is out of sync that no move is adding.
    pub under_replicated: usize,
    /// |ISR| < min ISR: acks=all is refused.
    pub under_min_isr: usize,
    /// |ISR| = min ISR < replicas: one more loss and acks=all is refused.
    pub at_min_isr: usize,
    /// The leader is not the preferred one.
    pub preferred_leader_imbalance: usize,
    /// A reassignment is under way.
    pub reassigning: usize,
    pub active_brokers: usize,
    pub fenced_brokers: usize,
}

impl Image {
    /// Counts over all partitions; O(partitions), meant for a scrape and not for a request.
    pub fn health(&self) -> Health {
        self.health_of(|_| true)
    }

    /// The same over partitions led by one broker.
    pub fn health_of_led_by(&self, broker_id: BrokerId) -> Health {
        self.health_of(|leader| leader == broker_id)
    }

    fn health_of(&self, counts: impl Fn(BrokerId) -> bool) -> Health {
        let mut health = Health {
            active_brokers: self.brokers().filter(|broker| broker.is_active()).count(),
            fenced_brokers: self.brokers().filter(|broker| broker.fenced).count(),
            ..Health::default()
        };
        for topic in self.topics.values() {
            let configured = self.configured_min_insync_replicas(&topic.name);
            for (_, partition) in topic.partitions().filter(|(_, partition)| counts(partition.leader)) {
                let replica_count = partition.min_isr_replica_count();
                let min_isr = super::min_insync_replicas(configured, replica_count);
                let isr = partition.isr.len();
                health.partitions += 1;
                health.offline += usize::from(!partition.has_leader());
                health.under_replicated += usize::from(partition.is_under_replicated());
                health.under_min_isr += usize::from(isr < min_isr);
                health.at_min_isr += usize::from(isr == min_isr && min_isr < replica_count);
                health.reassigning += usize::from(partition.is_reassigning());
                health.preferred_leader_imbalance += usize::from(partition.leader != partition.preferred_leader());
            }
        }
        health
    }
}
