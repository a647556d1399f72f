//! A cluster's topics, made up.

use std::cell::Cell;
use std::collections::BTreeMap;

use tidelog_wire::{Str, Uuid};

use crate::{GroupSettings, Topics};

/// Topics by name, with id and racks of each partition's replicas.
#[derive(Clone, Debug, Default)]
pub(crate) struct FakeTopics {
    by_name: BTreeMap<Str, (Uuid, Vec<Vec<Str>>)>,
    /// Of every group.
    pub group_settings: GroupSettings,
    created: u128,
    /// How often a topic was asked for by name.
    pub looked_up: Cell<usize>,
}

impl FakeTopics {
    /// Topics of these names and numbers of partitions, without racks.
    pub fn of(topics: &[(&'static str, usize)]) -> Self {
        let mut made = Self::default();
        for (name, partitions) in topics {
            made.create(name, *partitions);
        }
        made
    }

    pub fn create(&mut self, name: &'static str, partitions: usize) -> Uuid {
        self.created += 1;
        let id = Uuid::from_u128(0x1000 + self.created);
        self.by_name.insert(name.into(), (id, vec![Vec::new(); partitions]));
        id
    }

    /// Creates the topic, or gives it this many partitions.
    pub fn resize(&mut self, name: &'static str, partitions: usize) -> Uuid {
        match self.by_name.get_mut(name) {
            Some((id, racks)) => {
                racks.resize(partitions, Vec::new());
                *id
            }
            None => self.create(name, partitions),
        }
    }

    pub fn names(&self) -> Vec<Str> {
        self.by_name.keys().cloned().collect()
    }

    /// 0 if there is no such topic.
    pub fn partitions_of(&self, name: &str) -> usize {
        self.by_name.get(name).map_or(0, |(_, racks)| racks.len())
    }

    pub fn delete(&mut self, name: &str) -> (Str, Uuid) {
        let (name, (id, _)) = self.by_name.remove_entry(name).expect("the topic exists");
        (name, id)
    }
}

impl Topics for FakeTopics {
    fn id(&self, name: &str) -> Option<Uuid> {
        self.looked_up.set(self.looked_up.get() + 1);
        self.by_name.get(name).map(|(id, _)| *id)
    }

    fn name(&self, id: Uuid) -> Option<Str> {
        self.by_name.iter().find(|(_, (known, _))| *known == id).map(|(name, _)| name.clone())
    }

    fn partition_count(&self, id: Uuid) -> Option<i32> {
        self.by_name.values().find(|(known, _)| *known == id).map(|(_, racks)| racks.len() as i32)
    }

    fn racks(&self, id: Uuid, partition: i32) -> Vec<Str> {
        let (_, racks) = self.by_name.values().find(|(known, _)| *known == id).expect("the topic exists");
        racks[partition as usize].clone()
    }

    fn group_settings(&self, _group: &str) -> GroupSettings {
        self.group_settings
    }

    fn for_each(&self, visit: &mut dyn FnMut(&Str, Uuid)) {
        self.by_name.iter().for_each(|(name, (id, _))| visit(name, *id));
    }
}
