//! UnregisterBroker: a broker is gone for good. Its replicas are no candidates any more, for what comes back under
//! its id may be another disk.

use tidelog_wire::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};
use tidelog_wire::types::BrokerId;
use tidelog_wire::{ErrorCode, Str};

use super::election::settle;
use super::{Context, Round};
use crate::record::Record;

impl Round {
    pub(super) fn unregister_broker(
        &mut self,
        request: &UnregisterBrokerRequest,
        context: &Context<'_>,
    ) -> UnregisterBrokerResponse {
        let broker_id = BrokerId(request.broker_id);
        let Some(broker) = self.image.broker(broker_id) else {
            let message = format!("broker {broker_id} is not registered");
            return UnregisterBrokerResponse {
                error_code: ErrorCode::BROKER_ID_NOT_REGISTERED,
                error_message: Some(Str::from(message)),
                ..UnregisterBrokerResponse::default()
            };
        };
        let broker_epoch = broker.epoch;
        self.push(Record::UnregisterBroker { broker_id, broker_epoch });
        self.update_partitions_on(broker_id, context, settle);
        UnregisterBrokerResponse::default()
    }
}
