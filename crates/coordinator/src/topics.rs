//! What the coordinator needs to know of the cluster's topics; the host answers from its metadata image.

use tidelog_wire::{Str, Uuid};

/// One state of the cluster's topics: it does not change during a call.
pub trait Topics {
    fn id(&self, name: &str) -> Option<Uuid>;

    fn name(&self, id: Uuid) -> Option<Str>;

    /// `None`: no such topic.
    fn partition_count(&self, id: Uuid) -> Option<i32>;

    /// Racks of a partition's replicas, without replicas that have none; in any order, repeats allowed.
    fn racks(&self, id: Uuid, partition: i32) -> Vec<Str>;

    /// All topics, in any order, for subscriptions by regular expression.
    fn for_each(&self, visit: &mut dyn FnMut(&Str, Uuid));
}
