//! How one log entry lies in sled: cut into pieces of at most 4 KiB, the first with length and CRC ahead.
//!
//! Keys are `index` and `piece`, both big-endian, so that sled's order is the log's order.

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, checksum};
use prost::Message;
use tidelog_internal_api::raft as proto;

use crate::raft::{Entry, entry_from_proto, entry_to_proto};

/// Larger values could leave sled's main file.
const PIECE_BYTES_MAX: usize = 4096;
/// Length and CRC32C of the whole entry, both little-endian `u32`.
const HEAD_BYTES: usize = 8;
const INDEX_BYTES: usize = 8;

/// Key of a piece: the entry's index, then the piece's number.
pub(super) fn key(index: u64, piece: u16) -> [u8; 10] {
    let mut key = [0; 10];
    key[..INDEX_BYTES].copy_from_slice(&index.to_be_bytes());
    key[INDEX_BYTES..].copy_from_slice(&piece.to_be_bytes());
    key
}

/// The entry index a key begins with.
pub(super) fn index_of(key: &[u8]) -> Option<u64> {
    key.get(..INDEX_BYTES).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes)
}

/// A piece with its key.
type Piece = ([u8; 10], Vec<u8>);

/// The pieces of an entry, in order, each with its key. An entry of 256 MiB has more than can be numbered.
pub(super) fn to_pieces(entry: &Entry) -> Result<Vec<Piece>, String> {
    let body = entry_to_proto(entry).encode_to_vec();
    let mut whole = Vec::with_capacity(HEAD_BYTES + body.len());
    whole.extend((body.len() as u32).to_le_bytes());
    whole.extend(crc32c(&body).to_le_bytes());
    whole.extend(body);
    let index = entry.log_id.index;
    let numbered = |(piece, bytes): (usize, &[u8])| match u16::try_from(piece) {
        Ok(piece) => Ok((key(index, piece), bytes.to_vec())),
        Err(_) => Err(format!("entry {index} of {} bytes is too large to be stored", whole.len())),
    };
    whole.chunks(PIECE_BYTES_MAX).enumerate().map(numbered).collect()
}

/// Puts an entry together again. The error says what is wrong with it.
pub(super) fn from_pieces(index: u64, whole: &[u8]) -> Result<Entry, String> {
    let (head, body) = whole.split_at_checked(HEAD_BYTES).ok_or_else(|| format!("entry {index} is too short"))?;
    let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    if number(0) as usize != body.len() {
        return Err(format!("entry {index} should have {} bytes and has {}", number(0), body.len()));
    }
    if number(4) != crc32c(body) {
        return Err(format!("entry {index} fails its checksum"));
    }
    let entry =
        proto::Entry::decode(Bytes::copy_from_slice(body)).map_err(|error| format!("entry {index}: {error}"))?;
    let entry = entry_from_proto(entry).map_err(|error| format!("entry {index}: {error}"))?;
    if entry.log_id.index != index {
        return Err(format!("entry {} lies in the place of {index}", entry.log_id.index));
    }
    Ok(entry)
}

pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
}
