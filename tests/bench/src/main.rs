//! Benchmarks that need more than a running cluster: the skeleton without a protocol (row 0 of
//! `docs/BENCHMARKS.md`), and the ones that start, kill and restart clusters.

use anyhow::Result;
use clap::{Parser, Subcommand};

mod beside;
mod cold_start;
mod groups;
mod kill_gap;
mod partitions;
mod processes;
mod recycle_pages;
mod restart;
mod skeleton;
mod spread;

#[derive(Parser)]
#[command(name = "tidelog-bench", about = "Benchmarks of whole clusters, and the limit they are held against")]
struct Arguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Row 0: TCP in, crc32c, pwrite, two followers, ack; three processes, no protocol
    Skeleton(skeleton::Options),
    /// Row 21: kill or freeze a node under load; the longest gap of any partition
    KillGap(kill_gap::Options),
    /// Rows 17 and 25: create many partitions, then idle with them
    Partitions(partitions::Options),
    /// Row 19: three nodes from nothing to the first acknowledgement of all replicas
    ColdStart(cold_start::Options),
    /// Row 20: kill -9 a node that holds much data; until it is back in every ISR
    Restart(restart::Options),
    /// kill -9 a group's coordinator; until its members read and commit again
    CoordinatorGap(groups::coordinator_gap::Options),
    /// Many members join one group at once
    JoinStorm(groups::join_storm::Options),
    /// Commits per second and the brokers' CPU time for each
    OffsetCommits(groups::offset_commits::Options),
    /// A new coordinator replays many commits
    Replay(groups::replay::Options),
    /// A steady load's latency alone, and beside compaction or a move
    Beside(beside::Options),
    /// Have the page cache filled with memory that was touched before; to be run right before a measurement
    RecyclePages(recycle_pages::Options),
    #[command(hide = true)]
    SkeletonNode(skeleton::NodeOptions),
}

fn main() -> Result<()> {
    match Arguments::parse().bench {
        Bench::Skeleton(options) => skeleton::run(&options),
        Bench::KillGap(options) => kill_gap::run(&options),
        Bench::Partitions(options) => partitions::run(&options),
        Bench::ColdStart(options) => cold_start::run(&options),
        Bench::Restart(options) => restart::run(&options),
        Bench::CoordinatorGap(options) => groups::coordinator_gap::run(&options),
        Bench::JoinStorm(options) => groups::join_storm::run(&options),
        Bench::OffsetCommits(options) => groups::offset_commits::run(&options),
        Bench::Replay(options) => groups::replay::run(&options),
        Bench::Beside(options) => beside::run(&options),
        Bench::RecyclePages(options) => recycle_pages::run(&options),
        Bench::SkeletonNode(options) => skeleton::run_node(&options),
    }
}
