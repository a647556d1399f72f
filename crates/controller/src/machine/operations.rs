//! Answers of recent operations, so that a retry is answered and not carried out again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tidelog_internal_api::metadata as proto;

/// A retry comes within seconds; this many batches of one request each are minutes of work.
const REMEMBERED_MAX: usize = 1024;

/// Made by whoever submits a request, kept over its retries.
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
    /// Shared: an image that is still read keeps those of its time, so that every batch copies the map.
    responses: BTreeMap<OperationId, Arc<proto::Response>>,
}

impl Operations {
    pub(crate) fn response(&self, id: &OperationId) -> Option<&proto::Response> {
        self.inner.responses.get(id).map(Arc::as_ref)
    }

    /// Ignores what has no proper id; nobody could ask for it.
    pub(crate) fn remember(&mut self, operation: proto::Operation) {
        let Ok(id) = OperationId::try_from(operation.operation_id.as_ref()) else { return };
        let inner = Arc::make_mut(&mut self.inner);
        if inner.responses.insert(id, Arc::new(operation.response.unwrap_or_default())).is_none() {
            inner.order.push_back(id);
        }
        while inner.order.len() > REMEMBERED_MAX {
            if let Some(oldest) = inner.order.pop_front() {
                inner.responses.remove(&oldest);
            }
        }
    }

    /// All of them, oldest first.
    pub(crate) fn to_proto(&self) -> Vec<proto::Operation> {
        let operation = |id: &OperationId| proto::Operation {
            operation_id: bytes::Bytes::copy_from_slice(id),
            response: self.response(id).cloned(),
        };
        self.inner.order.iter().map(operation).collect()
    }
}
