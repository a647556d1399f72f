//! The broker's session with the controller, as its partitions hear of it (DESIGN 7.9).

use std::rc::Rc;
use std::time::Duration;

use tidelog_controller::SessionState;
use tokio::sync::watch;
use tokio::time::{Instant, interval};
use tracing::{info, warn};

use crate::shard::Shard;

const CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// Tells every partition when the controller falls silent and when it is back, until the shard ends.
pub(crate) async fn watch_controller(shard: Rc<Shard>, session: watch::Receiver<SessionState>) {
    let mut checks = interval(CHECK_INTERVAL);
    let mut is_lost = false;
    loop {
        checks.tick().await;
        let Some(last_contact) = session.borrow().last_contact else {
            continue;
        };
        let silent = Instant::now().saturating_duration_since(last_contact);
        let is_silent = silent > shard.options.replica.session_timeout;
        match (is_lost, is_silent) {
            (false, true) => {
                warn!(?silent, "the controller is silent");
                let since_ms = shard.clock.monotonic_ms_of(last_contact);
                for partition in shard.partitions.all() {
                    partition.controller_contact_lost(&shard, since_ms);
                }
            }
            (true, false) => {
                info!("the controller is heard again");
                for partition in shard.partitions.all() {
                    partition.controller_contact_regained(&shard);
                }
            }
            _ => {}
        }
        is_lost = is_silent;
    }
}
