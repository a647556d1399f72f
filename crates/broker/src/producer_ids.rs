//! Producer ids, handed out from blocks that the controller allocates.

use std::cell::Cell;

use tidelog_metadata::{Request, Response};
use tidelog_wire::ErrorCode;
use tidelog_wire::types::ProducerId;
use tokio::sync::Mutex;

use crate::shard::Shard;

/// The rest of the current block.
#[derive(Default)]
pub(crate) struct ProducerIds {
    next: Cell<i64>,
    end: Cell<i64>,
    /// One allocation at a time; whoever waits finds the new block.
    allocating: Mutex<()>,
}

impl ProducerIds {
    fn take(&self) -> Option<ProducerId> {
        let next = self.next.get();
        (next < self.end.get()).then(|| {
            self.next.set(next + 1);
            ProducerId(next)
        })
    }

    /// An id that no other producer of the cluster has.
    pub(crate) async fn next(&self, shard: &Shard) -> Result<ProducerId, ErrorCode> {
        loop {
            if let Some(id) = self.take() {
                return Ok(id);
            }
            let _only = self.allocating.lock().await;
            if self.next.get() < self.end.get() {
                continue;
            }
            match shard.controller.submit(Request::AllocateProducerIds(shard.identity())).await {
                Ok(Response::AllocateProducerIds(Ok(block))) => {
                    self.next.set(block.first.get());
                    self.end.set(block.first.get() + i64::from(block.len));
                }
                // The client asks again; what went wrong is the controller's to log.
                _ => return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE),
            }
        }
    }
}
