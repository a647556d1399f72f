//! Log lines on stderr: one line an event, coloured on a terminal. RUST_LOG narrows or widens as usual.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// `default` applies where RUST_LOG is not set. Thread names tell the nodes of one process apart.
pub fn start(default: &str, names_threads: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let started = tracing_subscriber::fmt()
        .compact()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_thread_names(names_threads)
        .with_writer(io::stderr)
        .try_init();
    // A second call (tests) keeps the first one's lines.
    drop(started);
}

/// What a node says of itself by default: elections and membership, not every request. An append stream that ends is part
/// of every stop.
pub const NODE: &str = "info,openraft=error,openraft::raft::stream_append=off,sled=warn,h2=warn,tonic=warn,hyper=warn";

/// What a command says by default: nothing but its result.
pub const COMMAND: &str = "error";
