//! Short storms of random faults with fixed seeds; `cargo run --release -p tidelog-cluster-tests --bin soak` is for long ones.

use std::time::Duration;

use tidelog_cluster_tests::soak::soak;

const STORM: Duration = Duration::from_secs(15);

#[test]
fn what_was_acknowledged_survives_a_storm_of_faults() {
    soak(7, STORM);
}
