//! Benchmarks that need more than a running cluster: the skeleton without a protocol (row 0 of
//! `docs/BENCHMARKS.md`), and the ones that start, kill and restart clusters.

use anyhow::Result;
use clap::{Parser, Subcommand};

mod processes;
mod skeleton;

#[derive(Parser)]
#[command(
    name = "tidelog-bench",
    about = "Benchmarks of whole clusters, and the limit they are held against"
)]
struct Arguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Row 0: TCP in, crc32c, pwrite, two followers, ack; three processes, no protocol
    Skeleton(skeleton::Options),
    #[command(hide = true)]
    SkeletonNode(skeleton::NodeOptions),
}

fn main() -> Result<()> {
    match Arguments::parse().bench {
        Bench::Skeleton(options) => skeleton::run(&options),
        Bench::SkeletonNode(options) => skeleton::run_node(&options),
    }
}
