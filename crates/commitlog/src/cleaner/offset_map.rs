//! The latest offset of each key in the dirty part of a log: a hash table of bounded size, without the keys.
//!
//! A key counts as its hash of 128 bits, keyed anew for every cleaning: two keys that agree would lose one of them a
//! record, so nobody may be able to find such a pair.

use std::hash::{BuildHasher, Hasher, RandomState};

use tidelog_wire::types::Offset;

/// Two words of hash, then the offset plus one; 0 is a free slot.
type Slot = [u64; 3];

/// Memory of one entry.
pub(crate) const ENTRY_BYTES: u64 = 24;
/// Share of the slots that may be used: beyond, searches become long.
const LOAD_MAX: f64 = 0.9;

pub(crate) struct OffsetMap {
    slots: Vec<Slot>,
    len: usize,
    len_max: usize,
    hashers: [RandomState; 2],
    /// The last offset that was looked at: nothing is known of what follows.
    latest: Offset,
}

impl OffsetMap {
    /// Takes no more than `bytes_max`, and no more than `keys_expected` need.
    pub(crate) fn new(bytes_max: u64, keys_expected: u64, before: Offset) -> Self {
        let needed = (keys_expected as f64 / LOAD_MAX) as u64 + 2;
        let slots = needed.min(bytes_max / ENTRY_BYTES).max(2) as usize;
        let len_max = ((slots as f64 * LOAD_MAX) as usize).clamp(1, slots - 1);
        Self { slots: vec![[0; 3]; slots], len: 0, len_max, hashers: Default::default(), latest: before + -1 }
    }

    pub(crate) fn latest(&self) -> Offset {
        self.latest
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Everything up to `offset` was looked at.
    pub(crate) fn looked_at(&mut self, offset: Offset) {
        self.latest = offset;
    }

    /// Notes a key's latest offset; `false` if there is no room for another key.
    pub(crate) fn put(&mut self, key: &[u8], offset: Offset) -> bool {
        let (slot, hash) = self.find(key);
        if self.slots[slot][2] == 0 {
            if self.len == self.len_max {
                return false;
            }
            self.len += 1;
        }
        self.slots[slot] = [hash[0], hash[1], offset.0 as u64 + 1];
        self.latest = offset;
        true
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<Offset> {
        let (slot, _) = self.find(key);
        self.slots[slot][2].checked_sub(1).map(|offset| Offset(offset as i64))
    }

    /// The key's slot, or the free one where it belongs.
    fn find(&self, key: &[u8]) -> (usize, [u64; 2]) {
        let hash = [0, 1].map(|index: usize| {
            let mut hasher = self.hashers[index].build_hasher();
            hasher.write(key);
            hasher.finish()
        });
        let count = self.slots.len();
        let mut slot = ((u128::from(hash[0]) * count as u128) >> 64) as usize;
        loop {
            let [first, second, offset] = self.slots[slot];
            if offset == 0 || [first, second] == hash {
                return (slot, hash);
            }
            slot = if slot + 1 == count { 0 } else { slot + 1 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_offset_of_each_key_counts_until_there_is_no_room() {
        let mut map = OffsetMap::new(100 * ENTRY_BYTES, 1 << 40, Offset(0));
        let keys: Vec<_> = (0..90u32).map(u32::to_be_bytes).collect();
        for round in 0..3 {
            for (index, key) in keys.iter().enumerate() {
                assert!(map.put(key, Offset(round * 90 + index as i64)));
            }
        }
        assert_eq!((map.len(), map.latest()), (90, Offset(269)));
        assert!(!map.put(b"one more", Offset(270)));
        assert_eq!(map.latest(), Offset(269));
        for (index, key) in keys.iter().enumerate() {
            assert_eq!(map.get(key), Some(Offset(180 + index as i64)));
        }
        assert_eq!(map.get(b"one more"), None);
    }

    #[test]
    fn memory_is_what_the_keys_need() {
        assert!(OffsetMap::new(128 << 20, 10, Offset(0)).slots.len() < 20);
        let smallest = OffsetMap::new(0, 10, Offset(5));
        assert_eq!((smallest.slots.len(), smallest.latest()), (2, Offset(4)));
    }
}
