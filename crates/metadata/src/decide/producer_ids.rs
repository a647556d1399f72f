//! AllocateProducerIds: blocks of ids, so that brokers hand them out without asking each time.

use tidelog_wire::ErrorCode;
use tidelog_wire::types::ProducerId;

use super::Round;
use crate::record::Record;
use crate::request::BrokerIdentity;
use crate::response::{ProducerIdBlock, RequestError};

/// As in Kafka (KIP-730).
const BLOCK_LEN: i32 = 1000;

impl Round {
    pub(super) fn allocate_producer_ids(&mut self, identity: BrokerIdentity) -> Result<ProducerIdBlock, RequestError> {
        self.registered(identity)?;
        let first = self.image.next_producer_id();
        let Some(next) = first.get().checked_add(i64::from(BLOCK_LEN)) else {
            return Err(RequestError::new(ErrorCode::UNKNOWN_SERVER_ERROR, "all producer ids are used up"));
        };
        self.push(Record::ProducerIds { next_producer_id: ProducerId(next) });
        Ok(ProducerIdBlock { first, len: BLOCK_LEN })
    }
}
