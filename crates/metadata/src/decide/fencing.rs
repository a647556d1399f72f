//! Fencing, unfencing and demoting a broker: its partitions follow in the same batch.

use super::election::{Election, PartitionUpdate, settle};
use super::{Context, Round};
use crate::record::{BrokerChange, PartitionChange, Record};
use crate::request::BrokerIdentity;
use crate::response::RequestError;

impl Round {
    pub(super) fn fence_broker(&mut self, identity: BrokerIdentity, context: &Context<'_>) -> Result<(), RequestError> {
        if !self.registered(identity)?.fenced {
            self.push(fenced(identity, true));
            self.update_partitions_on(identity.broker_id, context, settle);
        }
        Ok(())
    }

    /// Gives partitions without a leader one, if the broker can be it. A broker that is shutting down stays as it is.
    pub(super) fn unfence_broker(
        &mut self,
        identity: BrokerIdentity,
        context: &Context<'_>,
    ) -> Result<(), RequestError> {
        let broker = self.registered(identity)?;
        if broker.fenced && !broker.in_controlled_shutdown {
            self.push(fenced(identity, false));
            self.update_partitions_on(identity.broker_id, context, if_leaderless);
        }
        Ok(())
    }

    /// Moves leaderships to others, and takes the broker out of the ISRs that keep their min ISR without it.
    pub(super) fn demote_broker(
        &mut self,
        identity: BrokerIdentity,
        context: &Context<'_>,
    ) -> Result<(), RequestError> {
        let broker_id = self.registered(identity)?.id;
        self.update_partitions_on(broker_id, context, |update| {
            let dispensable = update.isr().contains(&broker_id) && update.isr().len() > update.min_isr();
            let update = if dispensable { update.without(broker_id) } else { update };
            update.electing(Election::Avoiding(broker_id)).build()
        });
        Ok(())
    }
}

fn fenced(identity: BrokerIdentity, fenced: bool) -> Record {
    Record::BrokerChange(BrokerChange { fenced: Some(fenced), ..BrokerChange::nothing(identity) })
}

fn if_leaderless(update: PartitionUpdate<'_>) -> Option<PartitionChange> {
    if update.before().has_leader() { None } else { update.build() }
}
