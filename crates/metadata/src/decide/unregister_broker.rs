//! UnregisterBroker: a broker is gone for good, and counts no more when replicas are placed (docs/REPLICATION.md R13).
//!
//! Unlike Kafka's controller this one refuses while the broker runs, for it would register again at once, and while it
//! holds replicas, for they would stay missing for ever: they are to be moved first, off a dead broker too.

use tidelog_wire::ErrorCode;
use tidelog_wire::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};
use tidelog_wire::types::{BrokerEpoch, BrokerId};

use super::{Context, Round};
use crate::image::Node;
use crate::record::Record;
use crate::response::RequestError;

impl Round {
    pub(super) fn unregister_broker(
        &mut self,
        request: &UnregisterBrokerRequest,
        context: &Context<'_>,
    ) -> UnregisterBrokerResponse {
        let broker_id = BrokerId(request.broker_id);
        let broker_epoch = match self.check_gone(broker_id, context) {
            Ok(broker_epoch) => broker_epoch,
            Err(refusal) => {
                let (error_code, error_message) = refusal.into_fields();
                return UnregisterBrokerResponse { error_code, error_message, ..UnregisterBrokerResponse::default() };
            }
        };
        self.push(Record::UnregisterBroker { broker_id, broker_epoch });
        // A configured node of this id is no broker any more either, until it registers again.
        let configured = self.image.nodes().find(|node| node.id == broker_id && node.is_broker).cloned();
        self.push_all(configured.map(|node| Record::Node(Node { is_broker: false, ..node })));
        UnregisterBrokerResponse::default()
    }

    fn check_gone(&self, broker_id: BrokerId, context: &Context<'_>) -> Result<BrokerEpoch, RequestError> {
        let Some(broker) = self.image.broker(broker_id) else {
            let message = format!("broker {broker_id} is not registered");
            return Err(RequestError::new(ErrorCode::BROKER_ID_NOT_REGISTERED, message));
        };
        if !broker.fenced || (context.has_live_session)(broker_id) {
            let message = format!("broker {broker_id} is running; stop it first");
            return Err(RequestError::new(ErrorCode::INVALID_REQUEST, message));
        }
        match self.image.replica_count(broker_id) {
            0 => Ok(broker.epoch),
            count => {
                let message = format!("broker {broker_id} holds {count} replicas; move them to other brokers first");
                Err(RequestError::new(ErrorCode::INVALID_REQUEST, message))
            }
        }
    }
}
