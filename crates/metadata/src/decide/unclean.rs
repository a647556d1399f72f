//! Replicas that lost records while their broker ran, and replicas that are whole again (docs/REPLICATION.md R5).

use std::collections::BTreeSet;

use super::{Context, Round};
use crate::image::TopicIdPartition;
use crate::record::Record;
use crate::request::{BrokerIdentity, ReplicaReport};
use crate::response::RequestError;

impl Round {
    /// The replicas leave ISR and ELR; what they led is led by others. A leader may have seen them fetch what they have
    /// lost since: in a new epoch they are taken back by what they fetch once they know of their loss.
    pub(super) fn report_unclean(
        &mut self,
        identity: BrokerIdentity,
        replicas: &[ReplicaReport],
        context: &Context<'_>,
    ) -> Result<(), RequestError> {
        let broker_id = self.registered(identity)?.id;
        let mut reported = BTreeSet::new();
        for report in replicas.iter().filter(|report| report.unclean) {
            let partition = report.partition;
            if self.image.partition(partition).is_some_and(|state| state.replicas.contains(&broker_id)) {
                self.push(Record::ReplicaUnclean { broker_id, partition, position: report.position });
                reported.insert(partition);
            }
        }
        self.update_partitions_on(broker_id, context, |update| {
            if reported.contains(&update.id()) { update.in_new_epoch().build() } else { update.build() }
        });
        Ok(())
    }

    /// Forgets reports. The leader decides by itself when such a replica is in sync again.
    pub(super) fn replica_recovered(
        &mut self,
        identity: BrokerIdentity,
        partitions: &[TopicIdPartition],
    ) -> Result<(), RequestError> {
        let broker_id = self.registered(identity)?.id;
        for partition in partitions {
            let is_reported = |identity| Ok(self.registered(identity)?.unclean.contains_key(partition));
            let awaited =
                self.image.partition(*partition).is_some_and(|state| state.last_known_elr.contains(&broker_id));
            if is_reported(identity)? && !awaited {
                self.push(Record::ReplicaClean { broker_id, partition: *partition });
            }
        }
        Ok(())
    }
}
