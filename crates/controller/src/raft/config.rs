//! openraft's settings, and why each is what it is.

use std::sync::Arc;

use openraft::{Config, SnapshotPolicy};

use crate::options::Timing;

const SNAPSHOT_DEADLINE_MS: u64 = 60_000;

pub(crate) fn raft_config(timing: &Timing) -> Result<Arc<Config>, openraft::ConfigError> {
    let (snapshot_every, kept) = (timing.snapshot_every_entries, timing.snapshot_every_entries / 4);
    let config = Config {
        cluster_name: "tidelog".into(),
        heartbeat_interval: timing.raft_heartbeat.as_millis() as u64,
        election_timeout_min: timing.election_timeout_min.as_millis() as u64,
        election_timeout_max: timing.election_timeout_max.as_millis() as u64,
        // A node that was cut off must not disturb the quorum when it comes back.
        enable_pre_vote: Some(true),
        // A restarted leader must not go on as if nothing had happened: what it had committed may not be
        // applied here yet.
        enable_leader_restore: Some(false),
        install_snapshot_timeout: SNAPSHOT_DEADLINE_MS,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(snapshot_every),
        max_in_snapshot_log_to_keep: kept,
        replication_lag_threshold: snapshot_every + kept,
        max_payload_entries: 64,
        // A killed node is back within a second; do not make it wait as long again for its log.
        backoff: "10ms 20ms 40ms ...200ms".into(),
        // One commit, one round trip: tell the followers as soon as the log is readable, not once it is flushed here.
        broadcast_submitted_on_append: Some(true),
        api_channel_size: Some(1024),
        notification_channel_size: Some(4096),
        ..Config::default()
    };
    config.validate().map(Arc::new)
}
