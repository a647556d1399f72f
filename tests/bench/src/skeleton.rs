//! The data path with nothing on it: a frame arrives by TCP, its crc32c is taken, it is written to the
//! page cache, sent to two followers that write it too, and acknowledged when both have. No protocol,
//! no partitions, no durability: what is left is what the machine itself costs, and so the limit that
//! a broker's throughput on the same machine is held against.
//!
//! Frame: u32 length, payload. Ack: u64 bytes received so far on that connection, big-endian.

mod generator;
mod node;

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::processes::{Process, cpu_seconds};

#[derive(Args)]
pub struct Options {
    /// Replicas, the leader among them
    #[arg(long, default_value_t = 3)]
    replication_factor: usize,
    #[arg(long, default_value_t = 16)]
    connections: usize,
    #[arg(long, default_value_t = 65536)]
    frame_bytes: usize,
    /// Unacknowledged frames on a connection
    #[arg(long, default_value_t = 5)]
    in_flight: usize,
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

#[derive(Args)]
pub struct NodeOptions {
    /// Nodes that get a copy of every frame
    #[arg(long)]
    follower: Vec<SocketAddr>,
}

pub fn run_node(options: &NodeOptions) -> Result<()> {
    runtime()?.block_on(node::run(&options.follower))
}

pub fn run(options: &Options) -> Result<()> {
    let mut nodes = Vec::new();
    let mut followers: Vec<String> = Vec::new();
    for _ in 1..options.replication_factor {
        let (node, address) = start_node(&[])?;
        nodes.push(node);
        followers.push(address);
    }
    let (leader, address) = start_node(&followers)?;
    nodes.push(leader);
    let pids: Vec<u32> = nodes.iter().map(Process::id).collect();

    let load = generator::Load {
        address: address.parse()?,
        connections: options.connections,
        frame_bytes: options.frame_bytes,
        in_flight: options.in_flight,
        duration: Duration::from_secs(options.seconds),
    };
    let cpu_before = cpu_seconds(&pids);
    let bulk = runtime()?.block_on(generator::run(load))?;
    let cpu = cpu_seconds(&pids) - cpu_before;
    let single =
        generator::Load { connections: 1, in_flight: 1, frame_bytes: 1024, duration: Duration::from_secs(2), ..load };
    let latency = runtime()?.block_on(generator::run(single))?;

    let gigabytes = bulk.bytes as f64 / 1e9;
    let report = serde_json::json!({
        "bench": "skeleton",
        "replication_factor": options.replication_factor,
        "mib_per_s": (bulk.bytes as f64 / 1_048_576.0 / bulk.elapsed.as_secs_f64()).round(),
        "cpu_s_per_gb": (cpu / gigabytes * 100.0).round() / 100.0,
        "one_in_flight_us": (latency.elapsed.as_secs_f64() * 1e6 / latency.frames as f64).round(),
    });
    println!("{report}");
    Ok(())
}

fn start_node(followers: &[String]) -> Result<(Process, String)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("skeleton-node");
    for follower in followers {
        command.args(["--follower", follower]);
    }
    let mut node = Process::spawn(&mut command)?;
    let address = node.first_line()?;
    Ok((node, address))
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
