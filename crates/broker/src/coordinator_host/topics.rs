//! The image, as coordinators ask it.

use tidelog_coordinator::{GroupSettings, Topics};
use tidelog_metadata::config::{CONSUMER_HEARTBEAT_INTERVAL_MS, CONSUMER_SESSION_TIMEOUT_MS};
use tidelog_metadata::{ConfigResource, Image};
use tidelog_wire::types::PartitionIndex;
use tidelog_wire::{Str, Uuid};

pub(super) struct ImageTopics<'a>(pub &'a Image);

impl Topics for ImageTopics<'_> {
    fn id(&self, name: &str) -> Option<Uuid> {
        self.0.topic_id(name)
    }

    fn name(&self, id: Uuid) -> Option<Str> {
        self.0.topic_by_id(id).map(|topic| topic.name.clone())
    }

    fn partition_count(&self, id: Uuid) -> Option<i32> {
        self.0.topic_by_id(id).map(|topic| topic.partition_count() as i32)
    }

    fn racks(&self, id: Uuid, partition: i32) -> Vec<Str> {
        let partition = self.0.topic_by_id(id).and_then(|topic| topic.partition(PartitionIndex(partition)));
        let replicas = partition.into_iter().flat_map(|partition| &partition.replicas);
        replicas.filter_map(|replica| self.0.broker(*replica)?.rack.clone()).collect()
    }

    fn group_settings(&self, group: &str) -> GroupSettings {
        let resource = ConfigResource::group(group);
        let set = |name| self.0.config(&resource, name)?.trim().parse().ok();
        GroupSettings {
            session_timeout_ms: set(CONSUMER_SESSION_TIMEOUT_MS),
            heartbeat_interval_ms: set(CONSUMER_HEARTBEAT_INTERVAL_MS),
        }
    }

    fn for_each(&self, visit: &mut dyn FnMut(&Str, Uuid)) {
        for topic in self.0.topics() {
            visit(&topic.name, topic.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use tidelog_metadata::Record;

    use super::*;

    #[test]
    fn each_group_has_the_settings_that_are_set_for_it() {
        let mut image = Image::default();
        for (group, name, value) in [
            ("a", CONSUMER_SESSION_TIMEOUT_MS, "50000"),
            ("a", CONSUMER_HEARTBEAT_INTERVAL_MS, " 7000 "),
            ("b", CONSUMER_SESSION_TIMEOUT_MS, "51000"),
        ] {
            let resource = ConfigResource::group(group);
            let record = Record::Config { resource, name: Str::from(name), value: Some(Str::from(value)) };
            image.apply(&record).expect("valid");
        }
        let settings = |group| {
            let settings = ImageTopics(&image).group_settings(group);
            (settings.session_timeout_ms, settings.heartbeat_interval_ms)
        };
        assert_eq!(settings("a"), (Some(50_000), Some(7_000)));
        assert_eq!(settings("b"), (Some(51_000), None));
        assert_eq!(settings("c"), (None, None));
    }
}
