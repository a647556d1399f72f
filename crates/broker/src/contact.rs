//! The broker's session with the controller, as its partitions and its clients hear of it (docs/REPLICATION.md R9).

use std::rc::Rc;
use std::time::Duration;

use tidelog_controller::SessionState;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use crate::shard::Shard;

/// Tells every partition when the controller falls silent and when it is back, until the shard ends.
pub(crate) async fn watch_controller(shard: Rc<Shard>, mut session: watch::Receiver<SessionState>) {
    let patience = shard.options.replica.session_timeout;
    let is_heard = |state: &SessionState| state.last_contact.is_some_and(|contact| contact.elapsed() < patience);
    if session.wait_for(is_heard).await.is_err() {
        return;
    }
    loop {
        let last_contact = silence(&mut session, patience).await;
        warn!(silent = ?last_contact.elapsed(), "the controller is silent");
        let since_ms = shard.clock.monotonic_ms_of(last_contact);
        shard.is_controller_silent.set(true);
        for partition in shard.partitions.all() {
            partition.controller_contact_lost(&shard, since_ms);
        }
        if session.wait_for(is_heard).await.is_err() {
            return;
        }
        info!("the controller is heard again");
        shard.is_controller_silent.set(false);
        for partition in shard.partitions.all() {
            partition.controller_contact_regained(&shard);
        }
    }
}

/// Waits until the last contact is `patience` ago, and says when it was. A session that has ended is not heard again.
async fn silence(session: &mut watch::Receiver<SessionState>, patience: Duration) -> Instant {
    loop {
        let last_contact = session.borrow_and_update().last_contact.unwrap_or_else(Instant::now);
        let silent_at = last_contact + patience;
        match timeout_at(silent_at, session.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => {
                tokio::time::sleep_until(silent_at).await;
                return last_contact;
            }
            Err(_) => return last_contact,
        }
    }
}
