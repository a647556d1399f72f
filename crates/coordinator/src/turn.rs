//! One operation's surroundings: the time, the cluster's topics, the settings, and what it has decided so far.

use crate::{GroupConfig, Outcome, Topics};

pub(crate) struct Turn<'a> {
    pub now_ms: i64,
    pub topics: &'a dyn Topics,
    pub config: &'a GroupConfig,
    pub outcome: Outcome,
}

impl<'a> Turn<'a> {
    pub fn new(now_ms: i64, topics: &'a dyn Topics, config: &'a GroupConfig) -> Self {
        Self { now_ms, topics, config, outcome: Outcome::default() }
    }
}
