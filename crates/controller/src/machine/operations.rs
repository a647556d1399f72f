//! Answers of recent operations, so that a retry is answered and not carried out again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use tidelog_internal_api::metadata as proto;

use crate::limits::{REMEMBERED_BYTES_MAX, REMEMBERED_MAX};

/// Made by the one who submits a request, kept over its retries.
pub(crate) type OperationId = [u8; 16];

/// The last operations that changed the image, oldest first out. Part of the replicated state: every node
/// forgets the same one at the same entry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Operations {
    inner: Arc<Inner>,
}

#[derive(Clone, Debug, Default)]
struct Inner {
    order: VecDeque<OperationId>,
    /// Encoded, each with memory of its own: a decoded one would keep the entry it came in. Shared, for an image that is
    /// still read keeps those of its time, so that every batch copies the map.
    responses: BTreeMap<OperationId, Bytes>,
    bytes: usize,
}

impl Operations {
    pub(crate) fn response(&self, id: &OperationId) -> Option<proto::Response> {
        self.inner.responses.get(id).map(decoded)
    }

    /// Ignores what has no proper id; nobody could ask for it. The last one is kept, whatever its size.
    pub(crate) fn remember(&mut self, operation: proto::Operation) {
        let Ok(id) = OperationId::try_from(operation.operation_id.as_ref()) else { return };
        let response = Bytes::from(operation.response.unwrap_or_default().encode_to_vec());
        let inner = Arc::make_mut(&mut self.inner);
        inner.bytes += response.len();
        match inner.responses.insert(id, response) {
            None => inner.order.push_back(id),
            Some(earlier) => inner.bytes -= earlier.len(),
        }
        while inner.order.len() > 1 && (inner.order.len() > REMEMBERED_MAX || inner.bytes > REMEMBERED_BYTES_MAX) {
            let oldest = inner.order.pop_front().and_then(|oldest| inner.responses.remove(&oldest));
            inner.bytes -= oldest.map_or(0, |oldest| oldest.len());
        }
    }

    /// All of them, oldest first.
    pub(crate) fn to_proto(&self) -> Vec<proto::Operation> {
        let operation = |id: &OperationId| proto::Operation {
            operation_id: Bytes::copy_from_slice(id),
            response: self.response(id),
        };
        self.inner.order.iter().map(operation).collect()
    }
}

fn decoded(response: &Bytes) -> proto::Response {
    // It was encoded here.
    proto::Response::decode(response.as_ref()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use tidelog_internal_api::metadata::response::Kind;

    use super::*;

    fn operation(number: usize, bytes: usize) -> proto::Operation {
        let mut id = OperationId::default();
        id[..8].copy_from_slice(&number.to_be_bytes());
        let message = proto::KafkaMessage { version: 0, body: vec![7; bytes].into() };
        let response = proto::Response { error: None, kind: Some(Kind::DeleteTopics(message)) };
        proto::Operation { operation_id: id.to_vec().into(), response: Some(response) }
    }

    #[test]
    fn answers_are_kept_by_number_and_by_size_and_the_last_one_in_any_case() {
        let mut operations = Operations::default();
        (0..2 * REMEMBERED_MAX).for_each(|number| operations.remember(operation(number, 1)));
        assert_eq!(operations.to_proto().len(), REMEMBERED_MAX);
        (0..100).for_each(|number| operations.remember(operation(number, REMEMBERED_BYTES_MAX / 10)));
        let kept = operations.to_proto();
        assert_eq!(kept.len(), 9, "a tenth each, and a few bytes around it");
        assert_eq!(kept.last(), Some(&operation(99, REMEMBERED_BYTES_MAX / 10)));
        operations.remember(operation(100, 2 * REMEMBERED_BYTES_MAX));
        assert_eq!(operations.to_proto(), [operation(100, 2 * REMEMBERED_BYTES_MAX)]);
        let mut restored = Operations::default();
        kept.into_iter().for_each(|operation| restored.remember(operation));
        assert_eq!(restored.to_proto().len(), 9, "a snapshot brings back the same ones");
        restored.remember(operation(99, 1));
        assert_eq!(restored.to_proto().len(), 9, "an answer that is told again has one place");
    }
}
