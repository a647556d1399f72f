//! Short storms of random faults with fixed seeds; `cargo run --release -p tidelog-cluster-tests --bin soak` is for long ones.

use std::time::Duration;

use tidelog_cluster_tests::fat::fat_soak;
use tidelog_cluster_tests::soak::soak;

const STORM: Duration = Duration::from_secs(15);
const FAT_STORM: Duration = Duration::from_secs(25);

#[test]
fn what_was_acknowledged_survives_a_storm_of_faults() {
    soak(7, STORM);
}

#[test]
fn many_fat_partitions_survive_a_storm_of_faults_and_administration() {
    fat_soak(7, FAT_STORM);
}
