//! The disk threads: everything that waits for the device runs here, so that the shard never does.
//!
//! Flushes come first and run in parallel over files. Their results gather in an inbox that wakes the shard once,
//! however many there are; the next round takes everything that was appended meanwhile (group commit). Other work
//! (cold reads, recovery, deletion) never takes the last threads.

mod pool;
mod stall;

pub(crate) use pool::DiskPool;
pub(crate) use stall::{Heartbeats, ShardBeat};
