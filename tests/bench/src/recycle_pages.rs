//! Makes figures comparable on a virtual machine that gives free memory back to its host.
//!
//! There the first write to a page fetches it from the host, which costs 2 CPU seconds for each GB: ten times the copy
//! itself, and with three replicas on one machine more than everything a broker does. A file that was written and deleted
//! right before leaves its pages to the next writer.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use clap::Args;

const CHUNK_BYTES: usize = 1 << 20;

#[derive(Args)]
pub struct Options {
    /// As much as the measurement writes, over all replicas
    #[arg(long, default_value_t = 4096)]
    mib: u32,
    /// On the file system of the measurement
    #[arg(long, default_value = ".")]
    dir: PathBuf,
}

pub fn run(options: &Options) -> Result<()> {
    let started = Instant::now();
    let mut file: File = tempfile::tempfile_in(&options.dir)?;
    let chunk = vec![1; CHUNK_BYTES];
    for _ in 0..options.mib {
        file.write_all(&chunk)?;
    }
    println!("{} MiB written at {:.0} MiB/s", options.mib, f64::from(options.mib) / started.elapsed().as_secs_f64());
    Ok(())
}
