//! Log lines on stderr: one line an event, coloured on a terminal. RUST_LOG narrows or widens as usual.

use std::backtrace::BacktraceStatus;
use std::io::{self, IsTerminal};
use std::panic::PanicHookInfo;

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
    std::panic::set_hook(Box::new(log_panic));
    // A second call (tests) keeps the first one's lines.
    drop(started);
}

/// What a panic costs is decided where it is caught; that it happened is said here, like all else, and where.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let reason = panic.payload_as_str().unwrap_or("no reason given");
    let backtrace = std::backtrace::Backtrace::capture();
    tracing::error!("thread '{thread}' panicked at {place}: {reason}");
    if backtrace.status() == BacktraceStatus::Captured {
        tracing::error!("{backtrace}");
    }
}

/// What a node says of itself by default: elections and membership, not every request. An append stream that ends is part
/// of every stop.
pub const NODE: &str = "info,openraft=error,openraft::raft::stream_append=off,sled=warn,h2=warn,tonic=warn,hyper=warn";

/// What a command says by default: nothing but its result.
pub const COMMAND: &str = "error";
