//! Storms of random faults, one after the other, each on a cluster of its own. Stops at the first that breaks a promise and
//! leaves its cluster's directory behind.

use clap::Parser;
use tidelog_cluster_tests::fat::fat_soak;
use tidelog_cluster_tests::soak::{Storms, soak};

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    storms: Storms,
    /// Forty partitions with large batches and small segments, an administrator at work, and a broker that is long away.
    #[arg(long)]
    fat: bool,
}

fn main() {
    let arguments = Arguments::parse();
    arguments.storms.run(if arguments.fat { fat_soak } else { soak });
}
