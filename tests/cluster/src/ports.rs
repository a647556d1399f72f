//! Loopback ports for servers that must keep theirs across restarts.
//!
//! They lie below the kernel's ephemeral range, so that no outgoing connection takes a port while its
//! owner is down.

use std::net::TcpListener;
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

const FIRST: u16 = 20_000;
const COUNT: u16 = 9_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port of 127.0.0.1 that nothing listens on and that this process has not handed out before.
pub fn free_port() -> u16 {
    // Test processes that run side by side start far apart from each other.
    let start = (process::id().wrapping_mul(397) % u32::from(COUNT)) as u16;
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(step < COUNT, "no free port is left");
        let port = FIRST + (start + step) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
