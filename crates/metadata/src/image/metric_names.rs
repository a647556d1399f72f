//! Topics by the names that their metrics have, in which '.' and '_' look the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidelog_wire::{Str, Uuid};

/// Holds the topics whose names have such a character; no other can look like one of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct MetricNames {
    topics: Arc<BTreeMap<Str, Uuid>>,
}

impl MetricNames {
    pub fn topic(&self, name: &str) -> Option<Uuid> {
        self.topics.get(&in_metrics(name)?).copied()
    }

    pub fn add(&mut self, name: &str, topic_id: Uuid) {
        if let Some(name) = in_metrics(name) {
            Arc::make_mut(&mut self.topics).insert(name, topic_id);
        }
    }

    pub fn remove(&mut self, name: &str) {
        if let Some(name) = in_metrics(name) {
            Arc::make_mut(&mut self.topics).remove(&name);
        }
    }
}

fn in_metrics(name: &str) -> Option<Str> {
    name.contains(['.', '_']).then(|| Str::from(name.replace('.', "_")))
}
