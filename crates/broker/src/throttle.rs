//! Throttled replication: replicas that catch up share a rate, so that moving them leaves room for everybody else (KIP-73).
//!
//! Which replicas are throttled stands in their topic's config, at what rate in the broker's. What is read for or by them
//! is spent from the rate; while it is overspent, those that are not in sync wait, and no others.

use std::cell::Cell;

use tidelog_metadata::config::BrokerConfig;
use tidelog_metadata::{ConfigResource, Image, Topic};
use tidelog_wire::types::{BrokerId, PartitionIndex};
use tokio::time::{Duration, Instant};

/// A rate that was set by mistake holds nobody back for longer.
const DEBT_MAX: Duration = Duration::from_secs(600);

/// The broker's two rates.
#[derive(Default)]
pub(crate) struct Throttles {
    /// `leader.replication.throttled.rate`: what others read here.
    pub as_leader: ByteRate,
    /// `follower.replication.throttled.rate`: what this broker reads elsewhere.
    pub as_follower: ByteRate,
}

impl Throttles {
    pub(crate) fn configure(&self, config: &BrokerConfig) {
        self.as_leader.limit(config.leader_replication_throttled_rate);
        self.as_follower.limit(config.follower_replication_throttled_rate);
    }
}

/// Bytes a second, spent in advance: after an answer of n bytes the rate is overspent for n / rate.
pub(crate) struct ByteRate {
    bytes_per_s: Cell<u64>,
    overspent_until: Cell<Option<Instant>>,
}

impl Default for ByteRate {
    fn default() -> Self {
        Self { bytes_per_s: Cell::new(u64::MAX), overspent_until: Cell::new(None) }
    }
}

impl ByteRate {
    fn limit(&self, bytes_per_s: u64) {
        if self.bytes_per_s.replace(bytes_per_s) != bytes_per_s {
            self.overspent_until.set(None);
        }
    }

    pub(crate) fn spent(&self, bytes: usize, now: Instant) {
        let cost = bytes as f64 / self.bytes_per_s.get().max(1) as f64;
        let from = self.overspent_until.get().map_or(now, |until| until.max(now));
        let until = from + Duration::from_secs_f64(cost.min(DEBT_MAX.as_secs_f64()));
        self.overspent_until.set(Some(until.min(now + DEBT_MAX)));
    }

    /// Of one answer, so that it does not hold the others back for longer than a second.
    pub(crate) fn answer_bytes_max(&self) -> usize {
        usize::try_from(self.bytes_per_s.get()).unwrap_or(usize::MAX)
    }

    /// Until when nothing is left, if so.
    pub(crate) fn exceeded_until(&self, now: Instant) -> Option<Instant> {
        self.overspent_until.get().filter(|until| *until > now)
    }
}

/// Whether a replica is throttled, as the one that is read from and as the one that reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Throttled {
    pub as_leader: bool,
    pub as_follower: bool,
}

impl Throttled {
    /// By `leader.replication.throttled.replicas` and `follower.replication.throttled.replicas` of the topic.
    pub(crate) fn of(image: &Image, topic: &Topic, index: PartitionIndex, broker: BrokerId) -> Self {
        let resource = ConfigResource::topic(&topic.name);
        let is_listed = |name| image.config(&resource, name).is_some_and(|list| lists(list, index, broker));
        Self {
            as_leader: is_listed("leader.replication.throttled.replicas"),
            as_follower: is_listed("follower.replication.throttled.replicas"),
        }
    }
}

/// `partition:broker,...`, or `*` for all.
fn lists(list: &str, index: PartitionIndex, broker: BrokerId) -> bool {
    list.split(',').map(str::trim).any(|item| {
        let pair = item.split_once(':').and_then(|(index, broker)| Some((index.parse().ok()?, broker.parse().ok()?)));
        item == "*" || pair == Some((index.get(), broker.get()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spent_is_paid_for_with_time() {
        let (rate, now) = (ByteRate::default(), Instant::now());
        rate.spent(1 << 30, now);
        assert!(rate.exceeded_until(now + Duration::from_millis(1)).is_none(), "unlimited");
        rate.limit(1000);
        assert_eq!(rate.exceeded_until(now), None);
        rate.spent(500, now);
        rate.spent(1000, now);
        assert_eq!(rate.exceeded_until(now), Some(now + Duration::from_millis(1500)));
        assert_eq!(rate.exceeded_until(now + Duration::from_millis(1500)), None);
        rate.spent(1 << 40, now);
        assert_eq!(rate.exceeded_until(now), Some(now + DEBT_MAX), "nobody waits for ever");
        rate.limit(2000);
        assert_eq!(rate.exceeded_until(now), None, "another rate begins anew");
    }

    #[test]
    fn replicas_are_listed_by_partition_and_broker() {
        let table = [("*", true), ("0:1,2:3", true), (" 2:3", true), ("2:1,3:3", false), ("", false), ("2", false)];
        for (list, expected) in table {
            assert_eq!(lists(list, PartitionIndex(2), BrokerId(3)), expected, "{list}");
        }
    }
}
