//! Fetch sessions that look at a partition: they learn of every change, parked or not.

use std::rc::{Rc, Weak};

use super::host::PartitionHost;
use crate::fetch::FetchSession;
use crate::shard::Shard;

/// One place in one fetch session that stands for this partition.
pub(crate) struct Watcher {
    pub session: Weak<FetchSession>,
    pub slot: usize,
    pub is_follower: bool,
}

impl PartitionHost {
    pub(crate) fn watch(&self, session: &Rc<FetchSession>, slot: usize, is_follower: bool) {
        let mut watchers = self.watchers.borrow_mut();
        watchers.retain(|watcher| watcher.session.strong_count() > 0);
        watchers.push(Watcher { session: Rc::downgrade(session), slot, is_follower });
    }

    pub(crate) fn unwatch(&self, session: &Rc<FetchSession>, slot: usize) {
        let watched = Rc::downgrade(session);
        self.watchers.borrow_mut().retain(|watcher| watcher.slot != slot || !Weak::ptr_eq(&watcher.session, &watched));
    }

    pub(super) fn wake_consumers(&self, shard: &Shard) {
        self.wake(shard, false);
    }

    pub(super) fn wake_followers(&self, shard: &Shard) {
        self.wake(shard, true);
    }

    fn wake(&self, shard: &Shard, followers: bool) {
        for watcher in self.watchers.borrow().iter().filter(|watcher| watcher.is_follower == followers) {
            if let Some(session) = watcher.session.upgrade() {
                FetchSession::touch(&session, shard, watcher.slot);
            }
        }
    }
}
