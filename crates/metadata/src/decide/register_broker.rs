//! RegisterBroker: a new incarnation (KIP-631, KIP-966, docs/REPLICATION.md R5 and R6).
//!
//! It begins fenced. In the same batch the earlier incarnation loses its leaderships and leaves every ISR, as if
//! fenced: what it had on disk it still has, so it stays in ELRs. Replicas that may have lost records leave those too:
//! ones the broker reports, all of them if its log directory is another, and those with `write.caching` if it did
//! not stop cleanly.

use std::collections::{BTreeMap, BTreeSet};

use tidelog_wire::types::{BrokerEpoch, BrokerId};
use tidelog_wire::{ErrorCode, Uuid, excerpt};

use super::election::settle;
use super::{Context, Round};
use crate::config::topic_config;
use crate::image::{Broker, LogPosition, TopicIdPartition};
use crate::record::{Record, RegisterBrokerRecord};
use crate::request::{BrokerRegistration, ReplicaReport};
use crate::response::RequestError;

impl Round {
    pub(super) fn register_broker(
        &mut self,
        registration: &BrokerRegistration,
        context: &Context<'_>,
    ) -> Result<BrokerEpoch, RequestError> {
        let broker_id = registration.broker_id;
        self.check_registration(registration)?;
        if let Some(earlier) = self.image.broker(broker_id) {
            if earlier.incarnation_id == registration.incarnation_id {
                return Ok(earlier.epoch);
            }
            if (context.has_live_session)(broker_id) {
                let message = format!("another process is running as broker {broker_id}");
                return Err(RequestError::new(ErrorCode::DUPLICATE_BROKER_REGISTRATION, message));
            }
        }
        let unclean = self.unclean_replicas(registration, context);
        let broker_epoch = self.image.next_broker_epoch();
        self.push(registered(registration, broker_epoch));
        for (partition, position) in unclean {
            self.push(Record::ReplicaUnclean { broker_id, partition, position });
        }
        self.update_partitions_on(broker_id, context, settle);
        Ok(broker_epoch)
    }

    fn check_registration(&self, registration: &BrokerRegistration) -> Result<(), RequestError> {
        let refuse = |code, message: &str| Err(RequestError::new(code, message));
        let Some(cluster_id) = self.image.cluster_id() else {
            return refuse(ErrorCode::NOT_CONTROLLER, "the cluster is not founded yet");
        };
        if let Some(claimed) = &registration.cluster_id
            && claimed != cluster_id
        {
            let message = format!("the broker belongs to cluster {}, this is {cluster_id}", excerpt(claimed));
            return refuse(ErrorCode::INCONSISTENT_CLUSTER_ID, &message);
        }
        if registration.broker_id < BrokerId(0) {
            return refuse(ErrorCode::INVALID_REGISTRATION, "a broker id must not be negative");
        }
        if registration.incarnation_id.is_zero() || registration.directory_id.is_zero() {
            return refuse(ErrorCode::INVALID_REGISTRATION, "incarnation id and directory id must be set");
        }
        if registration.endpoints.is_empty() {
            return refuse(ErrorCode::INVALID_REGISTRATION, "a broker needs a listener that others can reach");
        }
        Ok(())
    }

    /// The replicas of the broker that may lack records they acknowledged, and where each of them ends. So are those
    /// of which a partition without any clean replica has waited to hear.
    fn unclean_replicas(
        &self,
        registration: &BrokerRegistration,
        context: &Context<'_>,
    ) -> BTreeMap<TopicIdPartition, LogPosition> {
        let broker_id = registration.broker_id;
        let reports: BTreeMap<TopicIdPartition, &ReplicaReport> =
            registration.replicas.iter().map(|report| (report.partition, report)).collect();
        let earlier = self.image.broker(broker_id);
        let other_disk = earlier.is_none_or(|earlier| earlier.directory_id != registration.directory_id);
        let stopped_cleanly = earlier.is_some_and(|earlier| earlier.epoch == registration.previous_broker_epoch);
        let cached = if stopped_cleanly { BTreeSet::new() } else { self.write_cached_topics(broker_id, context) };
        let mut unclean = BTreeMap::new();
        for (id, partition) in self.image.partitions_on(broker_id) {
            let report = reports.get(&id);
            let may_lack = other_disk
                || cached.contains(&id.topic_id)
                || report.map_or(registration.may_lack_logs, |report| report.unclean)
                || partition.last_known_elr.contains(&broker_id);
            if may_lack {
                let known = report.map(|report| report.position);
                let position = known.or_else(|| known_position(earlier, id).filter(|_| !other_disk));
                unclean.insert(id, position.unwrap_or(LogPosition::EMPTY));
            }
        }
        unclean
    }

    fn write_cached_topics(&self, broker_id: BrokerId, context: &Context<'_>) -> BTreeSet<Uuid> {
        let Some(definition) = topic_config("write.caching") else { return BTreeSet::new() };
        let resolver = self.resolver(context);
        let is_cached = |topic: &str| {
            resolver.topic_value(topic, definition).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
        };
        self.image.topics_on(broker_id).filter(|topic| is_cached(&topic.name)).map(|topic| topic.id).collect()
    }
}

fn known_position(earlier: Option<&Broker>, partition: TopicIdPartition) -> Option<LogPosition> {
    earlier?.unclean.get(&partition).copied()
}

fn registered(registration: &BrokerRegistration, broker_epoch: BrokerEpoch) -> Record {
    Record::RegisterBroker(Box::new(RegisterBrokerRecord {
        broker_id: registration.broker_id,
        broker_epoch,
        incarnation_id: registration.incarnation_id,
        directory_id: registration.directory_id,
        endpoints: registration.endpoints.clone(),
        rack: registration.rack.clone(),
        fenced: true,
        stopping: false,
        in_controlled_shutdown: false,
    }))
}
