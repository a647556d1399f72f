//! The bytes of the marks file.

use crc_fast::{CrcAlgorithm, checksum};
use tidelog_wire::Uuid;
use tidelog_wire::types::{Offset, PartitionIndex};

use super::MarkKey;

pub(super) const PAGE_BYTES: usize = 4096;
pub(super) const SLOT_BYTES: usize = 64;
pub(super) const SLOTS_PER_PAGE: usize = PAGE_BYTES / SLOT_BYTES;
const MAGIC: &[u8; 8] = b"TIDEMARK";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 36;
/// Flags of a slot.
const HAS_GAPS: u8 = 1;
const IS_CACHED: u8 = 2;
/// Flags of the file.
const MARKS_LOST: u8 = 1;
const IS_NEW: u8 = 2;

/// What the file says about one log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Everything below was synced.
    pub(crate) durable_end: Offset,
    pub(crate) log_start: Offset,
    /// Base offset and size of the last segment at a clean close; of use only together with the clean-shutdown marker.
    pub(crate) closed_base: Offset,
    pub(crate) closed_bytes: u64,
    /// CRC32C of the epoch checkpoint at a clean close; that file has none of its own.
    pub(crate) closed_epochs_crc: u32,
    /// The log, or the leader that it follows, was compacted: offsets may be missing between two batches. On disk before
    /// the first gap is.
    pub(crate) has_gaps: bool,
    /// Appended records counted as durable in the page cache (`write.caching`) and may be there only. On disk before the
    /// first of them is written, so that it outlives a crash whatever the config says by then.
    pub(crate) is_cached: bool,
}

impl Mark {
    /// Whether `last`, base offset and length of the last segment file, is what a clean close left.
    pub(crate) fn is_closed_at(&self, last: Option<&(Offset, u64)>) -> bool {
        match last {
            Some(last) => *last == (self.closed_base, self.closed_bytes),
            None => self.durable_end <= self.log_start,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SlotState {
    Free,
    Used,
    Damaged,
}

#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) state: SlotState,
    pub(super) key: MarkKey,
    pub(super) mark: Mark,
    /// What a damaged slot holds, so that writing its page does not hide the damage.
    pub(super) damaged: [u8; SLOT_BYTES],
}

impl Slot {
    pub(super) const FREE: Self = Self {
        state: SlotState::Free,
        key: (Uuid::ZERO, PartitionIndex(0)),
        mark: Mark {
            durable_end: Offset(0),
            log_start: Offset(0),
            closed_base: Offset(0),
            closed_bytes: 0,
            closed_epochs_crc: 0,
            has_gaps: false,
            is_cached: false,
        },
        damaged: [0; SLOT_BYTES],
    };

    /// `bytes` are one slot's.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        if bytes.iter().all(|byte| *byte == 0) {
            return Self::FREE;
        }
        let number = |at: usize| i64::from_be_bytes(array(bytes, at));
        let key = (Uuid(array(bytes, 8)), PartitionIndex(i32::from_be_bytes(array(bytes, 4))));
        let mark = Mark {
            durable_end: Offset(number(24)),
            log_start: Offset(number(32)),
            closed_base: Offset(number(40)),
            closed_bytes: number(48) as u64,
            closed_epochs_crc: u32::from_be_bytes(array(bytes, 56)),
            has_gaps: bytes[63] & HAS_GAPS != 0,
            is_cached: bytes[63] & IS_CACHED != 0,
        };
        if u32::from_be_bytes(array(bytes, 0)) != crc32c(&bytes[4..]) {
            return Self { state: SlotState::Damaged, damaged: array(bytes, 0), ..Self::FREE };
        }
        Self { state: SlotState::Used, key, mark, damaged: [0; SLOT_BYTES] }
    }

    pub(super) fn to_bytes(&self) -> [u8; SLOT_BYTES] {
        if self.state != SlotState::Used {
            return self.damaged;
        }
        let mut bytes = [0; SLOT_BYTES];
        bytes[4..8].copy_from_slice(&self.key.1.0.to_be_bytes());
        bytes[8..24].copy_from_slice(&self.key.0.0);
        bytes[24..32].copy_from_slice(&self.mark.durable_end.0.to_be_bytes());
        bytes[32..40].copy_from_slice(&self.mark.log_start.0.to_be_bytes());
        bytes[40..48].copy_from_slice(&self.mark.closed_base.0.to_be_bytes());
        bytes[48..56].copy_from_slice(&self.mark.closed_bytes.to_be_bytes());
        bytes[56..60].copy_from_slice(&self.mark.closed_epochs_crc.to_be_bytes());
        bytes[63] = (u8::from(self.mark.has_gaps) * HAS_GAPS) | (u8::from(self.mark.is_cached) * IS_CACHED);
        let crc = crc32c(&bytes[4..]);
        bytes[0..4].copy_from_slice(&crc.to_be_bytes());
        bytes
    }
}

/// Page 0.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) directory_id: Uuid,
    /// An earlier file was unreadable: a log without a mark may have had one.
    pub(super) marks_lost: bool,
    /// Nobody has told the controller yet that this file was made: there may have been another, with logs.
    pub(super) is_new: bool,
}

impl Header {
    pub(super) fn parse(file: &[u8]) -> Option<Self> {
        let header = file.get(..HEADER_BYTES)?;
        let intact = header[0..8] == *MAGIC
            && u32::from_be_bytes(array(header, 8)) == VERSION
            && u32::from_be_bytes(array(header, 32)) == crc32c(&header[..32]);
        let has = |flag| header[31] & flag != 0;
        intact.then(|| Self { directory_id: Uuid(array(header, 12)), marks_lost: has(MARKS_LOST), is_new: has(IS_NEW) })
    }

    pub(super) fn to_page(&self) -> [u8; PAGE_BYTES] {
        let mut page = [0; PAGE_BYTES];
        page[0..8].copy_from_slice(MAGIC);
        page[8..12].copy_from_slice(&VERSION.to_be_bytes());
        page[12..28].copy_from_slice(&self.directory_id.0);
        page[31] = (u8::from(self.marks_lost) * MARKS_LOST) | (u8::from(self.is_new) * IS_NEW);
        let crc = crc32c(&page[..32]);
        page[32..HEADER_BYTES].copy_from_slice(&crc.to_be_bytes());
        page
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
}
