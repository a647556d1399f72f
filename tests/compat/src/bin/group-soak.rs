//! Storms of random faults over consumer groups, one after the other, each on a cluster of its own. Stops at the first that
//! breaks a promise and leaves its cluster's directory behind.

use clap::Parser;
use tidelog_cluster_tests::soak::Storms;
use tidelog_compat_tests::storm::storm;

fn main() {
    Storms::parse().run(storm);
}
