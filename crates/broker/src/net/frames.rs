//! Cuts the byte stream of a connection into frames: a 4-byte big-endian length, then that many bytes.
//!
//! The buffer is small while a connection is idle and never grows to what a peer merely claims: above
//! [`TRUSTED_LENGTH_MAX`] it at most doubles what has really arrived.

use bytes::{Buf, Bytes, BytesMut};

/// Smallest room offered to a read.
const READ_BYTES_MIN: usize = 4 << 10;
/// Largest room offered to a read when no long frame is being received.
const READ_BYTES_MAX: usize = 256 << 10;
/// Up to this claimed length a frame's buffer is reserved at once.
const TRUSTED_LENGTH_MAX: usize = 1 << 20;

/// The peer claims a frame that is negative or above the limit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("frame of {claimed} bytes, at most {limit} are accepted")]
pub(crate) struct BadFrameLength {
    pub claimed: i32,
    pub limit: usize,
}

pub(crate) struct FrameBuffer {
    buffer: BytesMut,
    read_size: usize,
    frame_bytes_max: usize,
}

impl FrameBuffer {
    pub(crate) fn new(frame_bytes_max: usize) -> Self {
        Self { buffer: BytesMut::new(), read_size: READ_BYTES_MIN, frame_bytes_max }
    }

    /// The buffer to read into, with room for what is expected next.
    pub(crate) fn for_read(&mut self) -> &mut BytesMut {
        let wanted = match self.claimed_length() {
            Some(length) => {
                let missing = (length + 4).saturating_sub(self.buffer.len());
                let step = TRUSTED_LENGTH_MAX.max(self.buffer.len());
                missing.min(step).max(self.read_size)
            }
            None => self.read_size,
        };
        // Room left over from the last reservation is used up first unless it is too small to be worth a system call.
        if self.buffer.capacity() - self.buffer.len() < wanted.min(READ_BYTES_MIN.max(wanted / 2)) {
            self.buffer.reserve(wanted);
        }
        &mut self.buffer
    }

    /// Adapts the size of the next read to how full the last one came back.
    pub(crate) fn note_read(&mut self, bytes: usize) {
        if self.buffer.len() == self.buffer.capacity() || bytes >= self.read_size {
            self.read_size = (self.read_size * 4).min(READ_BYTES_MAX);
        } else if bytes < self.read_size / 8 {
            self.read_size = (self.read_size / 2).max(READ_BYTES_MIN);
        }
    }

    /// The next complete frame without its length, or `None` until more bytes have come.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Bytes>, BadFrameLength> {
        let Some(claimed) = self.claimed() else {
            return Ok(None);
        };
        let length = usize::try_from(claimed)
            .ok()
            .filter(|length| *length <= self.frame_bytes_max)
            .ok_or(BadFrameLength { claimed, limit: self.frame_bytes_max })?;
        if self.buffer.len() < length + 4 {
            return Ok(None);
        }
        self.buffer.advance(4);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    /// A complete frame waits in the buffer.
    pub(crate) fn has_frame(&self) -> bool {
        self.claimed_length().is_some_and(|length| self.buffer.len() >= length + 4)
    }

    /// Some bytes of a frame have come, but not all.
    pub(crate) fn is_partial(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Gives the memory of an idle connection back.
    pub(crate) fn release_if_empty(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
            self.read_size = READ_BYTES_MIN;
        }
    }

    /// The length of the frame that is half received, if it is one that would be accepted.
    pub(crate) fn partial_length(&self) -> Option<usize> {
        self.claimed_length().filter(|length| self.buffer.len() < length + 4 && *length <= self.frame_bytes_max)
    }

    fn claimed(&self) -> Option<i32> {
        let prefix = self.buffer.first_chunk::<4>()?;
        Some(i32::from_be_bytes(*prefix))
    }

    fn claimed_length(&self) -> Option<usize> {
        usize::try_from(self.claimed()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(bytes: &[u8]) -> FrameBuffer {
        let mut frames = FrameBuffer::new(1 << 24);
        frames.for_read().extend_from_slice(bytes);
        frames
    }

    #[test]
    fn several_frames_come_out_of_one_read() {
        let mut frames = filled(b"\0\0\0\x02ab\0\0\0\0\0\0\0\x01c\0\0");
        assert_eq!(frames.next_frame(), Ok(Some(Bytes::from_static(b"ab"))));
        assert_eq!(frames.next_frame(), Ok(Some(Bytes::new())));
        assert_eq!(frames.next_frame(), Ok(Some(Bytes::from_static(b"c"))));
        assert_eq!(frames.next_frame(), Ok(None));
        assert!(frames.is_partial());
    }

    #[test]
    fn a_length_beyond_the_limit_or_below_zero_is_refused() {
        assert!(filled(b"\x7f\xff\xff\xff").next_frame().is_err());
        assert!(filled(b"\xff\xff\xff\xff").next_frame().is_err());
        assert!(filled(b"GET / HTTP/1.1").next_frame().is_err());
    }

    #[test]
    fn memory_follows_what_arrived_not_what_is_claimed() {
        let mut frames = filled(b"\x00\xff\xff\xff rest");
        assert!(frames.for_read().capacity() <= 2 * TRUSTED_LENGTH_MAX);
    }

    #[test]
    fn an_idle_connection_keeps_no_buffer() {
        let mut frames = filled(b"\0\0\0\x01a");
        frames.next_frame().unwrap();
        frames.release_if_empty();
        assert_eq!(frames.buffer.capacity(), 0);
    }
}
