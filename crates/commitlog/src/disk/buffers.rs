//! Buffers of large reads, used again: fresh pages cost the kernel three times what it takes to fill them.

use std::sync::Mutex;

use bytes::Bytes;

use crate::files::lock;

/// Smaller reads take what the allocator has at hand.
const POOLED_BYTES_MIN: usize = 32 << 10;
/// Kept while nobody reads, by the whole process.
const FREE_BYTES_MAX: usize = 8 << 20;

static FREE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// A buffer of `len` bytes, whatever they are.
pub(super) struct ReadBuffer {
    bytes: Vec<u8>,
    len: usize,
}

impl ReadBuffer {
    pub(super) fn new(len: usize) -> Self {
        if len < POOLED_BYTES_MIN {
            return Self { bytes: vec![0; len], len };
        }
        let mut free = lock(&FREE);
        // The last one that came back is the one that the processor's caches hold.
        let bytes = match free.iter().rposition(|bytes| bytes.len() >= len) {
            Some(index) => free.remove(index),
            None => vec![0; len.next_power_of_two()],
        };
        Self { bytes, len }
    }

    /// The first `len` bytes, to be shared; the buffer comes back when nobody needs them any more.
    pub(super) fn share(mut self, len: usize) -> Bytes {
        self.len = len.min(self.len);
        match self.is_pooled() {
            true => Bytes::from_owner(self),
            false => Bytes::from(std::mem::take(&mut self.bytes)).slice(..self.len),
        }
    }

    fn is_pooled(&self) -> bool {
        self.bytes.len() >= POOLED_BYTES_MIN
    }
}

impl AsRef<[u8]> for ReadBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl AsMut<[u8]> for ReadBuffer {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }
}

impl Drop for ReadBuffer {
    fn drop(&mut self) {
        if !self.is_pooled() {
            return;
        }
        let mut free = lock(&FREE);
        let free_bytes: usize = free.iter().map(Vec::len).sum();
        if free_bytes + self.bytes.len() <= FREE_BYTES_MAX {
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(len: usize, byte: u8) -> Bytes {
        let mut buffer = ReadBuffer::new(len);
        buffer.as_mut().fill(byte);
        buffer.share(len)
    }

    #[test]
    fn buffers_come_back_when_nobody_needs_them_and_only_so_many_are_kept() {
        let first = read(1 << 20, 1);
        let part = first.slice(10..20);
        drop(first);
        let (second, small) = (read(1 << 20, 2), read(100, 3));
        assert_eq!(part, [1; 10][..], "still needed");
        assert_eq!((second.len(), small), (1 << 20, Bytes::from(vec![3; 100])));
        drop((part, second));
        drop((0..20).map(|each| read(1 << 20, each)).collect::<Vec<_>>());
        let free_bytes: usize = lock(&FREE).iter().map(Vec::len).sum();
        assert!((FREE_BYTES_MAX / 2..=FREE_BYTES_MAX).contains(&free_bytes), "{free_bytes}");
    }

    #[test]
    fn what_was_not_filled_is_not_shared() {
        let mut buffer = ReadBuffer::new(100 << 10);
        buffer.as_mut()[..5].copy_from_slice(b"hello");
        assert_eq!(buffer.share(5), "hello");
        assert_eq!(ReadBuffer::new(10).share(3).len(), 3);
    }
}
