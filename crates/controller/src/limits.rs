//! What a node takes in, decides at once, keeps and sends, at most.
//!
//! ```text
//! request  <= REQUEST_BYTES_MAX   -> waiting <= WAITING_MAX, WAITING_BYTES_MAX
//!   round  closes at ROUND_* ; one request may exceed it, no entry ENTRY_BYTES_MAX
//!   entry  -> append <= PAYLOAD_BYTES_MAX or one entry -> message <= MESSAGE_BYTES_MAX
//!   answer -> remembered <= REMEMBERED_MAX, REMEMBERED_BYTES_MAX
//! ```

use std::time::Duration;

/// What a client has the controller decide. Tens of thousands of topics or partitions fit.
pub(crate) const REQUEST_BYTES_MAX: usize = 2 << 20;
/// Requests that others wait for. So many gather only while no quorum accepts a round.
pub(crate) const WAITING_MAX: usize = 4096;
pub(crate) const WAITING_BYTES_MAX: usize = 64 << 20;

/// A round takes no more requests beyond any of these.
pub(crate) const ROUND_REQUESTS_MAX: usize = 256;
pub(crate) const ROUND_RECORDS_MAX: usize = 10_000;
pub(crate) const ROUND_BYTES_MAX: usize = 1 << 20;
/// Meanwhile no heartbeat is heard.
pub(crate) const ROUND_TIME_MAX: Duration = Duration::from_millis(30);
/// Requests of clients stay far below it; all partitions of a large broker that is fenced fit.
pub(crate) const ENTRY_BYTES_MAX: usize = 64 << 20;

/// Entries that are read, sent or applied together; a single one may be larger.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 8 << 20;
/// Between nodes. An entry and a snapshot's pieces fit.
pub(crate) const MESSAGE_BYTES_MAX: usize = 256 << 20;

/// Answers to recent operations, in memory and in every snapshot. A retry comes within seconds; this many batches of one
/// request each are minutes of work.
pub(crate) const REMEMBERED_MAX: usize = 1024;
pub(crate) const REMEMBERED_BYTES_MAX: usize = 4 << 20;

const _: () = assert!(ROUND_BYTES_MAX < ENTRY_BYTES_MAX && ENTRY_BYTES_MAX + PAYLOAD_BYTES_MAX < MESSAGE_BYTES_MAX);
