//! A segment's offset index and time index, in Kafka's formats.
//!
//! ```text
//! .index      entries of  8 bytes: last offset of a batch less the base offset i32 | position of that batch i32
//! .timeindex  entries of 12 bytes: greatest timestamp so far i64 | last offset of its batch less the base offset i32
//! ```
//! Entries of the last segment are gathered in memory ([`IndexTail`]) and written in blocks: recovery rebuilds the
//! indexes of everything that is not known to be on disk, so an append need not touch them.

use std::collections::VecDeque;
use std::io;

use tidelog_wire::record_batch::BatchHeader;
use tidelog_wire::types::Offset;

use crate::disk::DiskFile;

pub(crate) const OFFSET_ENTRY_BYTES: usize = 8;
pub(crate) const TIME_ENTRY_BYTES: usize = 12;
/// Unwritten entries that make a block worth writing.
const BLOCK_ENTRIES: usize = 512;

/// A timestamp and the last offset of the batch that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IndexedTimestamp {
    pub(crate) timestamp_ms: i64,
    pub(crate) offset: Offset,
}

#[derive(Clone, Copy, Debug)]
struct OffsetEntry {
    offset: Offset,
    position: u64,
}

/// The indexes of the last segment, as far as they are in memory.
#[derive(Clone, Debug)]
pub(crate) struct IndexTail {
    base_offset: Offset,
    /// Entries in the file.
    written_offsets: u64,
    written_times: u64,
    /// The latest entries, written or not.
    recent: VecDeque<OffsetEntry>,
    unwritten: usize,
    unwritten_times: Vec<IndexedTimestamp>,
    last_time_entry_ms: i64,
    bytes_since_entry: u64,
    max_timestamp: Option<IndexedTimestamp>,
    first_timestamp_ms: Option<i64>,
}

/// Bytes to be written to an index file.
pub(crate) struct IndexBlock {
    pub(crate) position: u64,
    pub(crate) bytes: Vec<u8>,
}

impl IndexTail {
    pub(crate) fn new(base_offset: Offset) -> Self {
        Self {
            base_offset,
            written_offsets: 0,
            written_times: 0,
            recent: VecDeque::new(),
            unwritten: 0,
            unwritten_times: Vec::new(),
            last_time_entry_ms: -1,
            bytes_since_entry: 0,
            max_timestamp: None,
            first_timestamp_ms: None,
        }
    }

    /// Continues the indexes that are in files. The batches from the last entry's on are to be fed to
    /// [`Self::on_existing`].
    pub(crate) fn continuing(
        base_offset: Offset,
        offset_entries: u64,
        time_entries: u64,
        last_time: Option<IndexedTimestamp>,
        first_timestamp_ms: Option<i64>,
    ) -> Self {
        Self {
            written_offsets: offset_entries,
            written_times: time_entries,
            last_time_entry_ms: last_time.map_or(-1, |entry| entry.timestamp_ms),
            max_timestamp: last_time,
            first_timestamp_ms,
            ..Self::new(base_offset)
        }
    }

    /// Takes note of a batch at `position`.
    pub(crate) fn on_batch(&mut self, header: &BatchHeader, position: u64, interval_bytes: u32) {
        self.on_timestamp(header);
        if self.bytes_since_entry > u64::from(interval_bytes) {
            self.recent.push_back(OffsetEntry { offset: header.last_offset(), position });
            self.unwritten += 1;
            self.push_time();
            self.bytes_since_entry = 0;
        }
        self.bytes_since_entry += header.size_in_bytes() as u64;
    }

    /// Takes note of a batch that the files may or may not cover: timestamps and distance only.
    pub(crate) fn on_existing(&mut self, header: &BatchHeader) {
        self.on_timestamp(header);
        self.bytes_since_entry += header.size_in_bytes() as u64;
    }

    /// Of a batch that compaction emptied only the header knows a timestamp, and no record is to be found by it.
    fn on_timestamp(&mut self, header: &BatchHeader) {
        if header.record_count == 0 {
            return;
        }
        self.first_timestamp_ms.get_or_insert(header.max_timestamp);
        if header.max_timestamp > self.max_timestamp.map_or(-1, |max| max.timestamp_ms) {
            let offset = header.last_offset();
            self.max_timestamp = Some(IndexedTimestamp { timestamp_ms: header.max_timestamp, offset });
        }
    }

    fn push_time(&mut self) {
        if let Some(max) = self.max_timestamp
            && max.timestamp_ms > self.last_time_entry_ms
        {
            self.unwritten_times.push(max);
            self.last_time_entry_ms = max.timestamp_ms;
        }
    }

    /// The last entry of the time index is the segment's greatest timestamp.
    pub(crate) fn finish(&mut self) {
        self.push_time();
    }

    pub(crate) fn first_timestamp_ms(&self) -> Option<i64> {
        self.first_timestamp_ms
    }

    pub(crate) fn max_timestamp(&self) -> Option<IndexedTimestamp> {
        self.max_timestamp
    }

    pub(crate) fn is_full(&self, index_bytes_max: u32) -> bool {
        let offsets = self.written_offsets + self.unwritten as u64 + 1;
        offsets * OFFSET_ENTRY_BYTES as u64 > u64::from(index_bytes_max)
    }

    /// Where to start looking for `offset`; `None` if only the file knows.
    pub(crate) fn position_of(&self, offset: Offset) -> Option<u64> {
        let above = self.recent.partition_point(|entry| entry.offset <= offset);
        match above.checked_sub(1) {
            Some(index) => Some(self.recent[index].position),
            None if self.written_offsets + self.unwritten as u64 == self.recent.len() as u64 => Some(0),
            None => None,
        }
    }

    pub(crate) fn unwritten_times(&self) -> &[IndexedTimestamp] {
        &self.unwritten_times
    }

    pub(crate) fn has_block(&self) -> bool {
        self.unwritten >= BLOCK_ENTRIES || self.unwritten_times.len() >= BLOCK_ENTRIES
    }

    pub(crate) fn written_entries(&self) -> (u64, u64) {
        (self.written_offsets, self.written_times)
    }

    /// What the files lack, as bytes; see [`Self::on_written`].
    pub(crate) fn blocks(&self) -> (IndexBlock, IndexBlock) {
        let offset_position = self.written_offsets * OFFSET_ENTRY_BYTES as u64;
        let mut offsets = Vec::with_capacity(self.unwritten * OFFSET_ENTRY_BYTES);
        for entry in self.recent.range(self.recent.len() - self.unwritten..) {
            offsets.extend_from_slice(&self.relative(entry.offset).to_be_bytes());
            offsets.extend_from_slice(&(entry.position as u32).to_be_bytes());
        }
        let time_position = self.written_times * TIME_ENTRY_BYTES as u64;
        let mut times = Vec::with_capacity(self.unwritten_times.len() * TIME_ENTRY_BYTES);
        for entry in &self.unwritten_times {
            times.extend_from_slice(&entry.timestamp_ms.to_be_bytes());
            times.extend_from_slice(&self.relative(entry.offset).to_be_bytes());
        }
        let block = |position, bytes| IndexBlock { position, bytes };
        (block(offset_position, offsets), block(time_position, times))
    }

    /// The blocks are in the files.
    pub(crate) fn on_written(&mut self) {
        self.written_offsets += self.unwritten as u64;
        self.written_times += self.unwritten_times.len() as u64;
        self.unwritten = 0;
        self.unwritten_times.clear();
        let surplus = self.recent.len().saturating_sub(BLOCK_ENTRIES);
        self.recent.drain(..surplus);
    }

    fn relative(&self, offset: Offset) -> u32 {
        // A segment is rolled before an offset does not fit.
        u32::try_from(offset - self.base_offset).unwrap_or(u32::MAX)
    }
}

/// The position of the last entry at or below `offset`, 0 without one; `None` if the entry makes no sense.
pub(crate) fn lookup_position(
    file: &dyn DiskFile,
    base_offset: Offset,
    offset: Offset,
    segment_bytes: u64,
) -> io::Result<Option<u64>> {
    let relative = |bytes: &[u8]| i64::from(be_u32(bytes, 0));
    let position = match count_at_most(file, OFFSET_ENTRY_BYTES, offset - base_offset, relative)?.checked_sub(1) {
        Some(last) => u64::from(be_u32(&read_entry(file, OFFSET_ENTRY_BYTES, last)?, 4)),
        None => 0,
    };
    Ok((position == 0 || position < segment_bytes).then_some(position))
}

/// The last position in an offset index that is at most `limit`.
pub(crate) fn last_position_at_most(file: &dyn DiskFile, limit: u64) -> io::Result<Option<u64>> {
    let position = |bytes: &[u8]| i64::from(be_u32(bytes, 4));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    match count_at_most(file, OFFSET_ENTRY_BYTES, limit, position)?.checked_sub(1) {
        Some(last) => Ok(Some(u64::from(be_u32(&read_entry(file, OFFSET_ENTRY_BYTES, last)?, 4)))),
        None => Ok(None),
    }
}

/// How long the files of a segment's indexes are without the entries at and above `end`: offset index, time index.
pub(crate) fn lengths_below(
    offsets: &dyn DiskFile,
    times: &dyn DiskFile,
    base_offset: Offset,
    end: Offset,
) -> io::Result<(u64, u64)> {
    let last = end - base_offset - 1;
    let offset_count = count_at_most(offsets, OFFSET_ENTRY_BYTES, last, |bytes| i64::from(be_u32(bytes, 0)))?;
    let time_count = count_at_most(times, TIME_ENTRY_BYTES, last, |bytes| i64::from(be_u32(bytes, 8)))?;
    Ok((offset_count * OFFSET_ENTRY_BYTES as u64, time_count * TIME_ENTRY_BYTES as u64))
}

/// The offset of the first entry that is not below `timestamp_ms`.
pub(crate) fn first_time_at_least(
    file: &dyn DiskFile,
    base_offset: Offset,
    timestamp_ms: i64,
) -> io::Result<Option<Offset>> {
    let timestamp = |bytes: &[u8]| be_i64(bytes, 0);
    let below = count_at_most(file, TIME_ENTRY_BYTES, timestamp_ms.saturating_sub(1), timestamp)?;
    if below == file.byte_len()? / TIME_ENTRY_BYTES as u64 {
        return Ok(None);
    }
    let entry = read_entry(file, TIME_ENTRY_BYTES, below)?;
    Ok(Some(base_offset + i64::from(be_u32(&entry, 8))))
}

/// The last entry of a time index.
pub(crate) fn last_timestamp(file: &dyn DiskFile, base_offset: Offset) -> io::Result<Option<IndexedTimestamp>> {
    let count = file.byte_len()? / TIME_ENTRY_BYTES as u64;
    let Some(last) = count.checked_sub(1) else {
        return Ok(None);
    };
    let entry = read_entry(file, TIME_ENTRY_BYTES, last)?;
    let offset = base_offset + i64::from(be_u32(&entry, 8));
    Ok(Some(IndexedTimestamp { timestamp_ms: be_i64(&entry, 0), offset }))
}

/// The last entry of an offset index, as last offset and position.
pub(crate) fn last_position(file: &dyn DiskFile, base_offset: Offset) -> io::Result<Option<(Offset, u64)>> {
    let count = file.byte_len()? / OFFSET_ENTRY_BYTES as u64;
    let Some(last) = count.checked_sub(1) else {
        return Ok(None);
    };
    let entry = read_entry(file, OFFSET_ENTRY_BYTES, last)?;
    Ok(Some((base_offset + i64::from(be_u32(&entry, 0)), u64::from(be_u32(&entry, 4)))))
}

/// Binary search for the number of entries whose key is at most `limit`.
fn count_at_most(file: &dyn DiskFile, entry_bytes: usize, limit: i64, key: impl Fn(&[u8]) -> i64) -> io::Result<u64> {
    let (mut low, mut high) = (0, file.byte_len()? / entry_bytes as u64);
    while low < high {
        let middle = low + (high - low) / 2;
        match key(&read_entry(file, entry_bytes, middle)?) <= limit {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    Ok(low)
}

fn read_entry(file: &dyn DiskFile, entry_bytes: usize, index: u64) -> io::Result<bytes::Bytes> {
    let entry = file.read_at(index * entry_bytes as u64, entry_bytes)?;
    match entry.len() == entry_bytes {
        true => Ok(entry),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn be_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn be_i64(bytes: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
