//! The partitions this shard owns.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use tidelog_wire::Uuid;
use tidelog_wire::types::PartitionIndex;

use super::host::PartitionHandle;

#[derive(Default)]
pub(crate) struct PartitionTable {
    topics: RefCell<HashMap<Uuid, Vec<Option<PartitionHandle>>>>,
    by_key: RefCell<HashMap<u64, PartitionHandle>>,
    next_key: Cell<u64>,
}

impl PartitionTable {
    pub(crate) fn next_key(&self) -> u64 {
        self.next_key.replace(self.next_key.get() + 1)
    }

    pub(crate) fn get(&self, topic_id: Uuid, index: PartitionIndex) -> Option<PartitionHandle> {
        let index = usize::try_from(index.get()).ok()?;
        self.topics.borrow().get(&topic_id)?.get(index)?.clone()
    }

    pub(crate) fn by_key(&self, key: u64) -> Option<PartitionHandle> {
        self.by_key.borrow().get(&key).cloned()
    }

    pub(crate) fn insert(&self, partition: PartitionHandle) {
        let index = partition.id.index.get() as usize;
        let mut topics = self.topics.borrow_mut();
        let partitions = topics.entry(partition.id.topic_id).or_default();
        if partitions.len() <= index {
            partitions.resize(index + 1, None);
        }
        partitions[index] = Some(Rc::clone(&partition));
        self.by_key.borrow_mut().insert(partition.key, partition);
    }

    pub(crate) fn remove(&self, partition: &PartitionHandle) {
        let index = partition.id.index.get() as usize;
        let mut topics = self.topics.borrow_mut();
        if let Some(partitions) = topics.get_mut(&partition.id.topic_id) {
            partitions[index] = None;
            if partitions.iter().all(Option::is_none) {
                topics.remove(&partition.id.topic_id);
            }
        }
        self.by_key.borrow_mut().remove(&partition.key);
    }

    pub(crate) fn all(&self) -> Vec<PartitionHandle> {
        self.by_key.borrow().values().cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_key.borrow().len()
    }
}
