//! Storms of random faults, one after the other, each on a cluster of its own. Stops at the first that breaks a promise and
//! leaves its cluster's directory behind.

use std::time::Duration;

use clap::Parser;
use tidelog_cluster_tests::soak::soak;

#[derive(Parser)]
struct Args {
    /// Of the first storm; the next ones count on from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, default_value_t = 10)]
    storms: u64,
    /// How long each lasts.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

fn main() {
    let args = Args::parse();
    for seed in args.seed..args.seed + args.storms {
        soak(seed, Duration::from_secs(args.seconds));
    }
}
