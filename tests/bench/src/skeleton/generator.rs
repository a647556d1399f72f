//! The load: connections that each keep a fixed number of pre-built frames unacknowledged.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

#[derive(Clone, Copy)]
pub struct Load {
    pub address: SocketAddr,
    pub connections: usize,
    pub frame_bytes: usize,
    pub in_flight: usize,
    pub duration: Duration,
}

pub struct Outcome {
    pub bytes: u64,
    pub frames: u64,
    pub elapsed: Duration,
}

pub async fn run(load: Load) -> Result<Outcome> {
    let started = Instant::now();
    let mut connections = JoinSet::new();
    for _ in 0..load.connections {
        connections.spawn(drive(load, started));
    }
    let mut bytes = 0;
    while let Some(sent) = connections.join_next().await {
        bytes += sent??;
    }
    let frames = bytes / (load.frame_bytes as u64 + 4);
    Ok(Outcome { bytes, frames, elapsed: started.elapsed() })
}

/// Bytes acknowledged.
async fn drive(load: Load, started: Instant) -> Result<u64> {
    let mut stream = TcpStream::connect(load.address).await?;
    stream.set_nodelay(true)?;
    let mut frame = (load.frame_bytes as u32).to_be_bytes().to_vec();
    frame.resize(4 + load.frame_bytes, 0x5a);
    let window = (frame.len() * load.in_flight) as u64;
    let (mut sent, mut acked) = (0, 0);
    while started.elapsed() < load.duration || acked < sent {
        while sent < acked + window && started.elapsed() < load.duration {
            stream.write_all(&frame).await?;
            sent += frame.len() as u64;
        }
        if acked < sent {
            acked = stream.read_u64().await?;
        }
    }
    Ok(acked)
}
