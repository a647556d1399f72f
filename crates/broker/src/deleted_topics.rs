//! Ids of topics that were deleted lately: who still asks for one is not ahead of this broker, but behind.

use std::cell::RefCell;
use std::collections::VecDeque;

use tidelog_wire::Uuid;

const KEPT_MAX: usize = 1024;

/// The newest of them, oldest first.
#[derive(Default)]
pub(crate) struct DeletedTopics(RefCell<VecDeque<Uuid>>);

impl DeletedTopics {
    pub(crate) fn add(&self, topic_id: Uuid) {
        let mut ids = self.0.borrow_mut();
        if ids.len() == KEPT_MAX {
            ids.pop_front();
        }
        ids.push_back(topic_id);
    }

    pub(crate) fn contains(&self, topic_id: Uuid) -> bool {
        self.0.borrow().contains(&topic_id)
    }
}
