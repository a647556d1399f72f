//! openraft's settings, and why each is what it is.

use std::sync::Arc;

use openraft::{Config, SnapshotPolicy};

use crate::options::Timing;

const SNAPSHOT_DEADLINE_MS: u64 = 60_000;

pub(crate) fn raft_config(timing: &Timing) -> Result<Arc<Config>, openraft::ConfigError> {
    let (snapshot_every, kept) = (timing.snapshot_every_entries, timing.snapshot_every_entries / 4);
    let (lease, election_min) = election(timing);
    let config = Config {
        cluster_name: "tidelog".into(),
        heartbeat_interval: timing.raft_heartbeat.as_millis() as u64,
        election_timeout_min: election_min,
        election_timeout_max: lease,
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

/// openraft waits for the leader's lease, which is its longest election timeout, and only then for a random
/// election timeout. So that a leader's silence lasts from `election_timeout_min` to `election_timeout_max`
/// in all, half of the latter goes to the lease. Returns both in milliseconds: (lease, shortest timeout).
fn election(timing: &Timing) -> (u64, u64) {
    let heartbeat = timing.raft_heartbeat.as_millis() as u64;
    let lease = (timing.election_timeout_max.as_millis() as u64 / 2).max(3 * heartbeat);
    let wanted = (timing.election_timeout_min.as_millis() as u64).saturating_sub(lease);
    (lease, wanted.clamp(2 * heartbeat, lease - heartbeat))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn lease_and_timeout_together_are_what_was_configured() {
        assert_eq!(election(&Timing::default()), (500, 200));
        let long = Timing {
            election_timeout_min: Duration::from_secs(60),
            election_timeout_max: Duration::from_secs(90),
            ..Timing::default()
        };
        assert_eq!(election(&long), (45_000, 15_000));
    }

    #[test]
    fn any_timing_makes_a_valid_configuration() {
        for max_ms in [1, 100, 500, 1000, 30_000] {
            let timing = Timing {
                election_timeout_min: Duration::from_millis(max_ms / 3),
                election_timeout_max: Duration::from_millis(max_ms),
                ..Timing::default()
            };
            assert!(raft_config(&timing).is_ok(), "{max_ms}");
        }
    }
}
