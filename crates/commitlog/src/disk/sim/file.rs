//! One file of the simulated disk: what it holds, and what of that is on the platter.

use std::collections::BTreeSet;

use super::Random;

const PAGE_BYTES: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct FileState {
    cached: Vec<u8>,
    durable: Vec<u8>,
    dirty_pages: BTreeSet<usize>,
}

impl FileState {
    pub(super) fn contents(&self) -> &[u8] {
        &self.cached
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        let start = offset as usize;
        let end = start + bytes.len();
        if end > self.cached.len() {
            self.set_len(end as u64);
        }
        self.cached[start..end].copy_from_slice(bytes);
        self.touch(start, end);
    }

    pub(super) fn set_len(&mut self, len: u64) {
        let (old, new) = (self.cached.len(), len as usize);
        self.cached.resize(new, 0);
        self.touch(old.min(new), new);
    }

    fn touch(&mut self, start: usize, end: usize) {
        if start < end {
            self.dirty_pages.extend(start / PAGE_BYTES..=(end - 1) / PAGE_BYTES);
        }
    }

    pub(super) fn sync(&mut self) {
        self.durable.clone_from(&self.cached);
        self.dirty_pages.clear();
    }

    pub(super) fn crash(&mut self, random: &mut Random) {
        if self.cached.len() != self.durable.len() && random.coin() {
            self.durable.resize(self.cached.len(), 0);
        }
        for page in std::mem::take(&mut self.dirty_pages) {
            let start = page * PAGE_BYTES;
            let end = (start + PAGE_BYTES).min(self.cached.len()).min(self.durable.len());
            if random.coin() && start < end {
                self.durable[start..end].copy_from_slice(&self.cached[start..end]);
            }
        }
        self.cached.clone_from(&self.durable);
    }

    pub(super) fn flip_bit(&mut self, bit: u64) {
        let (byte, mask) = ((bit / 8) as usize, 1 << (bit % 8));
        for contents in [&mut self.cached, &mut self.durable] {
            if let Some(byte) = contents.get_mut(byte) {
                *byte ^= mask;
            }
        }
    }
}
