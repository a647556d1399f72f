//! ControlledShutdown: a broker leaves without anyone noticing (DESIGN 7.7).
//!
//! First its leaderships move, while it stays in ISRs. Once no partition would fall below min ISR by its leaving
//! (or it insists), it leaves all ISRs and may stop.

use tidelog_wire::types::BrokerId;

use super::election::{Election, PartitionUpdate, TopicRules, settle};
use super::{Context, Round};
use crate::record::{BrokerChange, Record};
use crate::request::BrokerIdentity;
use crate::response::{ControlledShutdownProgress, RequestError};

impl Round {
    pub(super) fn controlled_shutdown(
        &mut self,
        identity: BrokerIdentity,
        force: bool,
        context: &Context<'_>,
    ) -> Result<ControlledShutdownProgress, RequestError> {
        let broker_id = self.registered(identity)?.id;
        let avoiding = |update: PartitionUpdate<'_>| update.electing(Election::Avoiding(broker_id)).build();
        self.update_partitions_on(broker_id, context, avoiding);
        let waiting_partitions = self.partitions_that_need(broker_id, context);
        if waiting_partitions > 0 && !force {
            return Ok(ControlledShutdownProgress { ready: false, waiting_partitions });
        }
        if !self.registered(identity)?.in_controlled_shutdown {
            self.push(Record::BrokerChange(BrokerChange {
                broker_id,
                broker_epoch: identity.broker_epoch,
                fenced: None,
                in_controlled_shutdown: Some(true),
            }));
            self.update_partitions_on(broker_id, context, settle);
        }
        Ok(ControlledShutdownProgress { ready: true, waiting_partitions })
    }

    /// Partitions that would have less than min ISR without the broker and could have more if they waited: some
    /// replica is not in the ISR yet.
    fn partitions_that_need(&self, broker_id: BrokerId, context: &Context<'_>) -> usize {
        let resolver = self.resolver(context);
        let needed_in = |topic: &std::sync::Arc<crate::image::Topic>| {
            let rules = TopicRules::of(&resolver, &topic.name);
            let needs = |partition: &crate::image::Partition| {
                partition.isr.contains(&broker_id)
                    && partition.isr.len() <= rules.min_isr(partition)
                    && partition.is_under_replicated()
            };
            topic.partitions().filter(|(_, partition)| needs(partition)).count()
        };
        self.image.topics_on(broker_id).map(needed_in).sum()
    }
}
