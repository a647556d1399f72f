//! How much of the store was on disk, told beside it.
//!
//! sled drops everything that follows a damaged place of its file and opens as if nothing had been there. A node would forget
//! a vote or entries that others counted on, and not know it. So each flush writes the number of its round into the
//! database, as the last thing it makes durable, and then here: a database that has not come as far as the mark has
//! lost something.
//!
//! ```text
//! magic u32 | CRC-32C of what follows u32 | round u64      big-endian, within one sector
//! ```
//! The mark is synced in idle moments. One that is too low, or not there, notices less; it is never too high.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::entry::crc32c;

const NAME: &str = "durable-mark";
const MAGIC: u32 = 0x5449_4d4b;
const BYTES: usize = 16;

/// Rounds are counted from 1 over a store's life.
#[derive(Debug)]
pub(super) struct Mark {
    file: File,
    /// The last round known to be durable.
    round: u64,
    synced: bool,
}

impl Mark {
    /// Opens or creates the mark in sled's directory.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        let path = directory.join(NAME);
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut bytes = [0; BYTES];
        let round = match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => decode(&bytes).unwrap_or(0),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            Err(error) => return Err(error),
        };
        Ok(Self { file, round, synced: true })
    }

    pub(super) fn round(&self) -> u64 {
        self.round
    }

    /// `round` is on disk.
    pub(super) fn raise(&mut self, round: u64) -> io::Result<()> {
        debug_assert!(round > self.round, "rounds are counted up");
        self.file.write_all_at(&encode(round), 0)?;
        self.round = round;
        self.synced = false;
        Ok(())
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        if !self.synced {
            self.file.sync_data()?;
            self.synced = true;
        }
        Ok(())
    }
}

fn encode(round: u64) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    bytes[..4].copy_from_slice(&MAGIC.to_be_bytes());
    bytes[4..8].copy_from_slice(&crc32c(&round.to_be_bytes()).to_be_bytes());
    bytes[8..].copy_from_slice(&round.to_be_bytes());
    bytes
}

fn decode(bytes: &[u8; BYTES]) -> Option<u64> {
    let round = u64::from_be_bytes(bytes[8..].try_into().ok()?);
    (*bytes == encode(round)).then_some(round)
}
