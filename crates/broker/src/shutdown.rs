//! The end of a broker in good order: leaderships away, logs closed, marker written.

use std::rc::Rc;
use std::time::Duration;

use tidelog_controller::BrokerSession;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use crate::checkpoint;
use crate::partition::PartitionHandle;
use crate::shard::Shard;

/// By then the broker stops, ready or not (docs/REPLICATION.md R7); the controller gives up waiting a little earlier.
const HAND_OVER_MAX: Duration = Duration::from_millis(8_500);
/// How often a stopping broker looks whether the controller still answers.
const CONTACT_CHECK: Duration = Duration::from_millis(100);
/// After the hand-over producers still wait for their answers, which come once the new leaders have committed their
/// records (docs/REPLICATION.md R7), and clients for what is on its way to them.
const DRAIN_MIN: Duration = Duration::from_millis(50);
const DRAIN_MAX: Duration = Duration::from_millis(500);
const DRAIN_STEP: Duration = Duration::from_millis(10);

/// Moves leaderships away and waits until the controller says that nothing depends on this broker.
pub(crate) async fn hand_over(shard: &Rc<Shard>, session: &BrokerSession) {
    let began = Instant::now();
    session.request_controlled_shutdown().await;
    let mut state = session.state();
    let ready = async { state.wait_for(|state| state.may_shut_down).await.is_ok() };
    let is_ready = tokio::select! {
        ready = timeout(HAND_OVER_MAX, ready) => ready.unwrap_or(false),
        () = controller_gone(shard, session, began) => false,
    };
    match is_ready {
        true => info!(took = ?began.elapsed(), "handed over, stopping"),
        false => warn!(took = ?began.elapsed(), "not everything could be handed over, stopping"),
    }
    tokio::time::sleep(DRAIN_MIN).await;
    let drained_by = Instant::now() + DRAIN_MAX;
    while Instant::now() < drained_by
        && shard.partitions.all().iter().any(|partition| partition.has_waiting_producers())
    {
        tokio::time::sleep(DRAIN_STEP).await;
    }
}

/// Returns when no controller has been heard for a session timeout since the stop began: a quorum that stopped too
/// decides nothing any more.
async fn controller_gone(shard: &Shard, session: &BrokerSession, began: Instant) {
    let state = session.state();
    let silence_max = shard.options.replica.session_timeout;
    loop {
        let heard = state.borrow().last_contact.unwrap_or(began).max(began);
        if heard.elapsed() >= silence_max {
            return;
        }
        tokio::time::sleep(CONTACT_CHECK).await;
    }
}

/// Closes all logs and, if every one of them closed well, leaves the clean-shutdown marker.
pub(crate) async fn close_logs(shard: &Rc<Shard>) {
    let began = Instant::now();
    checkpoint::write(shard).await;
    let partitions = shard.partitions.all();
    let mut closing = Vec::with_capacity(partitions.len());
    for partition in &partitions {
        partition.stop(shard);
        closing.push(close(shard, partition));
    }
    let mut is_clean = shard.is_ready.get() && !shard.heartbeats.has_failed();
    for closed in closing.into_iter().flatten() {
        match closed.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                warn!(%error, "a log did not close cleanly");
                is_clean = false;
            }
            Err(_) => is_clean = false,
        }
    }
    if is_clean {
        let (log_dir, epoch) = (shard.log_dir.clone(), shard.broker_epoch.get());
        match shard.disk.run(move || log_dir.close_clean(epoch)).await {
            Ok(Ok(())) => info!(took = ?began.elapsed(), logs = partitions.len(), "logs closed"),
            Ok(Err(error)) => warn!(%error, "no clean-shutdown marker"),
            Err(_) => warn!("no clean-shutdown marker: the disk thread gave up"),
        }
    }
}

type Closing = tokio::sync::oneshot::Receiver<Result<(), tidelog_commitlog::StorageError>>;

fn close(shard: &Shard, partition: &PartitionHandle) -> Option<Closing> {
    let log = partition.take_log()?;
    Some(shard.disk.run(move || log.close_clean()))
}
