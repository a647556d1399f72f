//! The broker's session with the controller, as its partitions and its clients hear of it (docs/REPLICATION.md R9).

use std::rc::Rc;
use std::sync::Arc;
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
        // Before the image has caught up, another may have been elected that this leader does not know of.
        let is_back = |state: &SessionState| is_heard(state) && state.is_current;
        if session.wait_for(is_back).await.is_err() || !image_applied(&shard).await {
            return;
        }
        info!("the controller is heard again");
        shard.is_controller_silent.set(false);
        for partition in shard.partitions.all() {
            partition.controller_contact_regained(&shard);
        }
    }
}

/// Waits until the partitions are what this node's image says. False when the node ends.
async fn image_applied(shard: &Shard) -> bool {
    let newest = shard.controller.image();
    shard.image_changes().wait_for(|applied| Arc::ptr_eq(applied, &newest.borrow())).await.is_ok()
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

#[cfg(test)]
mod tests {
    use tidelog_metadata::Image;
    use tokio::task::{LocalSet, yield_now};
    use tokio::time::sleep;

    use super::*;
    use crate::testing::shard;

    const DEADLINE: Duration = Duration::from_secs(20);

    fn heard_now(is_current: bool) -> SessionState {
        SessionState {
            broker_epoch: None,
            fenced: false,
            is_current,
            last_contact: Some(Instant::now()),
            may_shut_down: false,
        }
    }

    async fn others_ran() {
        for _ in 0..20 {
            yield_now().await;
        }
    }

    /// A leader that was deposed meanwhile would take writes until it hears of it.
    #[tokio::test]
    async fn leaders_resume_once_the_image_has_caught_up_with_the_controller() {
        let directory = tempfile::tempdir().expect("a directory");
        let test = async {
            let shard = shard(directory.path()).await;
            let (session, state) = watch::channel(heard_now(true));
            shard.spawn("controller contact", watch_controller(Rc::clone(&shard), state));
            while !shard.is_controller_silent.get() {
                sleep(Duration::from_millis(10)).await;
            }
            shard.publish_image(Arc::new(Image::new()));
            for is_current in [false, true] {
                session.send_replace(heard_now(is_current));
                others_ran().await;
                assert!(shard.is_controller_silent.get(), "the image is old");
            }
            let resumed = async {
                while shard.is_controller_silent.get() {
                    let newest = Arc::clone(&shard.controller.image().borrow());
                    shard.publish_image(newest);
                    session.send_replace(heard_now(true));
                    sleep(Duration::from_millis(10)).await;
                }
            };
            tokio::time::timeout(DEADLINE, resumed).await.expect("it is heard, and the image applied");
        };
        LocalSet::new().run_until(test).await;
    }
}
