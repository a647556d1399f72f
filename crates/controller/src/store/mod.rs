//! Raft's log, vote and pointers on disk.
//!
//! ```text
//! <directory>/raft/               sled: trees "log" (index, piece -> bytes) and "state" (vote, purged, committed, round)
//! <directory>/raft/durable-mark   the last round of flushes that was on disk
//! ```
//!
//! sled's own `flush` writes but does not wait for the disk, so [`flusher`] follows each with an fdatasync of
//! sled's file, and nothing is reported as stored before that. Values are kept to 4 KiB: sled puts larger
//! ones into files of their own that nobody ever syncs. Every entry carries a CRC; a store that does not
//! add up when it is opened is reported as damaged and never read from.

mod entry;
mod flusher;
#[cfg(test)]
mod kill;
mod log;
mod mark;
#[cfg(test)]
mod memory;
mod open;
#[cfg(test)]
mod tests;

pub(crate) use entry::crc32c;
pub(crate) use log::LogStore;
#[cfg(test)]
pub(crate) use memory::MemoryLogStore;
pub(crate) use open::{OpenError, open};
