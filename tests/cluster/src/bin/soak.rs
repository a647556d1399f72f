//! Storms of random faults, one after the other, each on a cluster of its own. Stops at the first that breaks a promise and
//! leaves its cluster's directory behind.

use clap::Parser;
use tidelog_cluster_tests::soak::{Storms, soak};

fn main() {
    Storms::parse().run(soak);
}
