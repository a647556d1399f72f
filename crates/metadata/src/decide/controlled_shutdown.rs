//! ControlledShutdown: a broker leaves without anyone noticing (docs/REPLICATION.md R7).
//!
//! First its leaderships move, while it stays in ISRs. Once no partition would fall below min ISR by its leaving
//! (or it has waited long enough), it leaves all ISRs and may stop. Of several that stop at once none hands anything
//! to another or waits for it, and the last ones wait for nobody.

use std::sync::Arc;

use tidelog_wire::types::BrokerId;

use super::election::{Election, PartitionUpdate, TopicRules, settle};
use super::{Context, Round};
use crate::image::{Partition, Topic};
use crate::record::{BrokerChange, Record};
use crate::request::{BrokerIdentity, Patience};
use crate::response::{ControlledShutdownProgress, RequestError};

impl Round {
    pub(super) fn controlled_shutdown(
        &mut self,
        identity: BrokerIdentity,
        patience: Patience,
        context: &Context<'_>,
    ) -> Result<ControlledShutdownProgress, RequestError> {
        let broker = self.registered(identity)?;
        let broker_id = broker.id;
        if !broker.stopping {
            let change = BrokerChange { stopping: Some(true), ..BrokerChange::nothing(identity) };
            self.push(Record::BrokerChange(change));
        }
        let avoiding = |update: PartitionUpdate<'_>| update.electing(Election::Avoiding(broker_id)).build();
        self.update_partitions_on(broker_id, context, avoiding);
        let waiting_partitions = self.partitions_that_need(broker_id, patience, context);
        if waiting_partitions > 0 {
            return Ok(ControlledShutdownProgress { ready: false, waiting_partitions });
        }
        if !self.registered(identity)?.in_controlled_shutdown {
            let change = BrokerChange { in_controlled_shutdown: Some(true), ..BrokerChange::nothing(identity) };
            self.push(Record::BrokerChange(change));
            self.update_partitions_on(broker_id, context, settle);
        }
        Ok(ControlledShutdownProgress { ready: true, waiting_partitions })
    }

    /// Partitions that would have less than min ISR without the broker and may have more if it waits.
    fn partitions_that_need(&self, broker_id: BrokerId, patience: Patience, context: &Context<'_>) -> usize {
        let others_stay = self.image.brokers().any(|broker| broker.is_staying());
        if patience == Patience::None || !others_stay {
            return 0;
        }
        let resolver = self.resolver(context);
        let needed_in = |topic: &Arc<Topic>| {
            let rules = TopicRules::of(&resolver, &topic.name);
            let needs = |partition: &Partition| {
                partition.isr.contains(&broker_id)
                    && partition.isr.len() <= rules.min_isr(partition)
                    && partition.target_replicas().any(|replica| self.may_join(partition, replica, patience))
            };
            topic.partitions().filter(|(_, partition)| needs(partition)).count()
        };
        self.image.topics_on(broker_id).map(needed_in).sum()
    }

    /// Whether the replica is not in sync and may be soon.
    fn may_join(&self, partition: &Partition, replica: BrokerId, patience: Patience) -> bool {
        let Some(broker) = self.image.broker(replica).filter(|_| !partition.isr.contains(&replica)) else {
            return false;
        };
        // Who has stopped may be restarting; who is stopping is not.
        !broker.stopping || (broker.fenced && patience == Patience::Full)
    }
}
