//! Which value is in force, and where it comes from: topic or group -> dynamic broker -> dynamic default -> static -> default.

use std::borrow::Cow;
use std::collections::BTreeMap;

use tidelog_wire::Str;
use tidelog_wire::types::BrokerId;

use super::definition::{ConfigDefinition, Update};
use super::kafka_names::kafka_configs;
use super::{GROUP_CONFIGS, StaticConfigs, TOPIC_CONFIGS, broker_config, broker_configs, canonical};
use crate::image::{ConfigResource, Image, Topic};

const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

/// Kafka's ConfigSource, by the numbers of DescribeConfigs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum ConfigSource {
    Topic = 1,
    DynamicBroker = 2,
    DynamicDefaultBroker = 3,
    StaticBroker = 4,
    Default = 5,
    Group = 8,
}

impl ConfigSource {
    pub fn code(self) -> i8 {
        self as i8
    }
}

/// One value of the chain, under the name and in the unit it was set in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigSynonym {
    pub name: Str,
    /// `None` for a secret.
    pub value: Option<Str>,
    pub source: ConfigSource,
}

/// A config as DescribeConfigs shows it.
#[derive(Clone, Debug)]
pub struct ConfigEntry {
    /// `None` for a config that is set though no table knows it.
    pub definition: Option<&'static ConfigDefinition>,
    pub name: Str,
    /// In force. `None` for a secret, or where nothing is set and there is no default.
    pub value: Option<Str>,
    pub source: ConfigSource,
    pub read_only: bool,
    pub is_sensitive: bool,
    /// The whole chain, strongest first.
    pub synonyms: Vec<ConfigSynonym>,
}

/// Looks values up for one broker: its dynamic and static ones, and those of all.
#[derive(Clone, Copy, Debug)]
pub struct Resolver<'a> {
    pub image: &'a Image,
    /// Whose dynamic configs count.
    pub broker_id: BrokerId,
    pub static_configs: &'a StaticConfigs,
}

impl<'a> Resolver<'a> {
    /// The value in force of a topic config for `topic`, in the topic config's unit. `None` where only a
    /// computed default is left.
    pub fn topic_value(&self, topic: &str, definition: &'static ConfigDefinition) -> Option<Cow<'a, str>> {
        if let Some(value) = self.image.config(&ConfigResource::topic(topic), definition.name) {
            return Some(Cow::Borrowed(value.as_str()));
        }
        self.topic_default(definition)
    }

    /// The value of a topic's or group's config for those that do not set it.
    pub fn topic_default(&self, definition: &'static ConfigDefinition) -> Option<Cow<'a, str>> {
        let chain = self.broker_chain(definition.name, definition.synonyms.iter().map(|s| (s.name, s.factor)));
        match chain.into_iter().next() {
            Some(link) => Some(link.converted()),
            None => definition.default.map(Cow::Borrowed),
        }
    }

    /// The value of a group config for groups that do not set it.
    pub(crate) fn group_default(&self, name: &str) -> Option<String> {
        self.topic_default(super::group_config(name)?).map(Cow::into_owned)
    }

    /// The value in force of a broker config.
    pub fn broker_value(&self, name: &'static str) -> Option<Cow<'a, str>> {
        let definition = broker_config(name)?;
        match self.links_of(definition).into_iter().next() {
            Some(link) => Some(link.converted()),
            None => default_of(definition),
        }
    }

    /// [`Resolver::broker_value`] as a number; a value that is none counts as not set.
    pub fn broker_number(&self, name: &'static str) -> Option<i64> {
        self.broker_value(name)?.trim().parse().ok()
    }

    fn links_of(&self, definition: &'static ConfigDefinition) -> Vec<Link<'a>> {
        let synonyms = definition.synonyms.iter().map(|synonym| (synonym.name, synonym.factor));
        self.broker_chain(definition.name, std::iter::once((definition.name, 1)).chain(synonyms))
    }

    /// What brokers say about the names, strongest first: all names of a source before the next source.
    fn broker_chain(&self, asked: &str, names: impl Iterator<Item = (&'static str, i64)> + Clone) -> Vec<Link<'a>> {
        // Leader and controller must count the same min ISR, so what may differ between nodes plays no part in it.
        let cluster_wide_only = asked == MIN_INSYNC_REPLICAS;
        let dynamic = |resource: &ConfigResource, source| {
            let set = names.clone().filter_map(move |(name, factor)| {
                let value = self.image.config(resource, name)?.as_str();
                Some(Link { name, value, factor, source })
            });
            set.collect::<Vec<_>>()
        };
        let mut links = Vec::new();
        if !cluster_wide_only {
            links.extend(dynamic(&ConfigResource::broker(self.broker_id), ConfigSource::DynamicBroker));
        }
        links.extend(dynamic(&ConfigResource::DEFAULT_BROKER, ConfigSource::DynamicDefaultBroker));
        if !cluster_wide_only {
            links.extend(names.filter_map(|(name, factor)| {
                let value = self.static_configs.get(name)?;
                Some(Link { name, value, factor, source: ConfigSource::StaticBroker })
            }));
        }
        links
    }
}

/// A default may stand in another unit (`log.retention.hours`).
fn default_of(definition: &'static ConfigDefinition) -> Option<Cow<'static, str>> {
    let own = definition.default.map(Cow::Borrowed);
    own.or_else(|| {
        definition.synonyms.iter().find_map(|synonym| {
            let value = broker_config(synonym.name)?.default?;
            let (name, factor, source) = (synonym.name, synonym.factor, ConfigSource::Default);
            Some(Link { name, value, factor, source }.converted())
        })
    })
}

struct Link<'a> {
    name: &'static str,
    value: &'a str,
    factor: i64,
    source: ConfigSource,
}

impl<'a> Link<'a> {
    /// The value in the asked config's unit. Negative numbers stand for "no limit" in every unit.
    fn converted(&self) -> Cow<'a, str> {
        match self.value.trim().parse::<i64>() {
            Ok(number) if self.factor != 1 && number >= 0 => Cow::Owned(number.saturating_mul(self.factor).to_string()),
            Ok(_) if self.factor != 1 => Cow::Borrowed("-1"),
            _ => Cow::Borrowed(self.value),
        }
    }

    fn synonym(&self, is_sensitive: bool) -> ConfigSynonym {
        let value = (!is_sensitive).then(|| Str::from(self.value.to_owned()));
        ConfigSynonym { name: Str::from(self.name), value, source: self.source }
    }
}

/// All configs of a topic, by name.
pub fn describe_topic(resolver: &Resolver<'_>, topic: &Topic) -> Vec<ConfigEntry> {
    let resource = ConfigResource::topic(&topic.name);
    let entry = |definition| {
        let computed = || topic_computed_default(resolver.image, topic, definition);
        let default = definition.default.map(str::to_owned).or_else(computed);
        own_entry(resolver, &resource, ConfigSource::Topic, definition, default)
    };
    TOPIC_CONFIGS.iter().map(entry).collect()
}

/// All configs of a group, by name. Any name will do: a group's configs may be set before there is one.
pub fn describe_group(resolver: &Resolver<'_>, group: &str) -> Vec<ConfigEntry> {
    let resource = ConfigResource::group(group);
    let entry = |definition: &'static ConfigDefinition| {
        let default = definition.default.map(str::to_owned);
        own_entry(resolver, &resource, ConfigSource::Group, definition, default)
    };
    GROUP_CONFIGS.iter().map(entry).collect()
}

/// A config that a resource may set for itself, before what the brokers say.
fn own_entry(
    resolver: &Resolver<'_>,
    resource: &ConfigResource,
    source: ConfigSource,
    definition: &'static ConfigDefinition,
    default: Option<String>,
) -> ConfigEntry {
    let synonyms = definition.synonyms.iter().map(|synonym| (synonym.name, synonym.factor));
    let mut links = resolver.broker_chain(definition.name, synonyms);
    if let Some(value) = resolver.image.config(resource, definition.name) {
        links.insert(0, Link { name: definition.name, value, factor: 1, source });
    }
    let default_name = definition.synonyms.first().map_or(definition.name, |synonym| synonym.name);
    entry_of(definition, links, default_name, default, false)
}

fn topic_computed_default(image: &Image, topic: &Topic, definition: &ConfigDefinition) -> Option<String> {
    if definition.name != MIN_INSYNC_REPLICAS {
        return None;
    }
    let (_, partition) = topic.partitions().next()?;
    Some(image.min_insync_replicas(topic, partition).to_string())
}

/// All configs of a broker as it sees them itself, by name, and what else is set: Kafka's, and dynamic ones that nobody knows.
pub fn describe_broker(resolver: &Resolver<'_>) -> Vec<ConfigEntry> {
    let entry = |definition: &'static ConfigDefinition| {
        let read_only = definition.update == Update::ReadOnly;
        let default = definition.default.map(str::to_owned);
        entry_of(definition, resolver.links_of(definition), definition.name, default, read_only)
    };
    let unknown = unknown_dynamic_configs(resolver);
    let kafkas = kafka_configs().iter().filter(|definition| !resolver.links_of(definition).is_empty());
    broker_configs().chain(kafkas).map(entry).chain(unknown).collect()
}

/// As in Kafka, a config of unknown type may be a secret.
fn unknown_dynamic_configs(resolver: &Resolver<'_>) -> impl Iterator<Item = ConfigEntry> {
    let mut unknown = BTreeMap::new();
    let resources = [
        (ConfigResource::DEFAULT_BROKER, ConfigSource::DynamicDefaultBroker),
        (ConfigResource::broker(resolver.broker_id), ConfigSource::DynamicBroker),
    ];
    for (resource, source) in resources {
        let names = resolver.image.configs(&resource).map(|(name, _)| name);
        unknown.extend(names.filter(|name| broker_config(name).is_none()).map(|name| (name.clone(), source)));
    }
    unknown.into_iter().map(|(name, source)| ConfigEntry {
        definition: None,
        synonyms: vec![ConfigSynonym { name: name.clone(), value: None, source }],
        name,
        value: None,
        source,
        read_only: false,
        is_sensitive: true,
    })
}

fn entry_of(
    definition: &'static ConfigDefinition,
    links: Vec<Link<'_>>,
    default_name: &'static str,
    default: Option<String>,
    read_only: bool,
) -> ConfigEntry {
    let is_sensitive = definition.is_sensitive();
    let mut synonyms: Vec<ConfigSynonym> = links.iter().map(|link| link.synonym(is_sensitive)).collect();
    let default = default.map(Str::from);
    if let Some(default) = &default {
        let value = (!is_sensitive).then(|| default.clone());
        synonyms.push(ConfigSynonym { name: Str::from(default_name), value, source: ConfigSource::Default });
    }
    let (value, source) = match links.first() {
        Some(link) => (Some(Str::from(canonical(definition, &link.converted()).into_owned())), link.source),
        None => (default, ConfigSource::Default),
    };
    ConfigEntry {
        definition: Some(definition),
        name: Str::from(definition.name),
        value: value.filter(|_| !is_sensitive),
        source,
        read_only,
        is_sensitive,
        synonyms,
    }
}
