//! Requests of one connection that may have to wait before they are handled, and are handled in the order they came.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Mutex;

use super::ConnectionInfo;
use crate::shard::Shard;

#[derive(Default)]
pub(crate) struct HeldRequests {
    count: Cell<usize>,
    turn: Mutex<()>,
}

impl HeldRequests {
    /// Whether a request may be handled at once without overtaking another.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.get() == 0
    }

    /// Runs `handle`, which waits for something first, when those held before it are done.
    pub(crate) fn hold(shard: &Shard, connection: &Rc<ConnectionInfo>, handle: impl Future<Output = ()> + 'static) {
        let connection = Rc::clone(connection);
        connection.held.count.set(connection.held.count.get() + 1);
        // Tasks of a shard run first in the order they were spawned, and the mutex is fair: so the order is kept.
        shard.spawn_request(async move {
            let held = &connection.held;
            let turn = held.turn.lock().await;
            handle.await;
            held.count.set(held.count.get() - 1);
            drop(turn);
        });
    }
}
