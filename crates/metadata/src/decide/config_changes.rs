//! What IncrementalAlterConfigs and AlterConfigs have in common: which resources there are, which values are valid
//! together, and what follows from a change.

use std::collections::{BTreeMap, BTreeSet};

use tidelog_wire::types::BrokerId;
use tidelog_wire::{ErrorCode, Str, excerpt};

use super::election::settle;
use super::{Context, Round};
use crate::config::{
    CONSUMER_HEARTBEAT_INTERVAL_MS, CONSUMER_SESSION_TIMEOUT_MS, ConfigDefinition, GROUP_CONFIGS, Resolver,
    TOPIC_CONFIGS, Update, bounds_of, broker_config, check_value, group_config, nearest_name, topic_config,
};
use crate::image::{ConfigResource, ConfigResourceType};
use crate::record::Record;
use crate::response::RequestError;

/// Of one resource. There are some three hundred names.
const CONFIGS_MAX: usize = 1000;
/// The longest string of Kafka's format.
const VALUE_BYTES_MAX: usize = i16::MAX as usize;
pub(super) const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";
/// A change of these changes ISR, ELR or leader of partitions.
const ELECTION_CONFIGS: [&str; 2] = [MIN_INSYNC_REPLICAS, "unclean.leader.election.enable"];

pub(super) const NAMED_TWICE: &str = "each resource must appear at most once";
/// Kafka replaces key and trust stores only listener by listener.
const STORE_PREFIXES: [&str; 3] = ["ssl.keystore.", "ssl.truststore.", "ssl.key.password"];

/// New values by name; `None` removes.
pub(super) type ConfigChanges = BTreeMap<Str, Option<Str>>;

/// The resources that a request names more than once. As in Kafka, none of these mentions counts.
pub(super) fn repeated<'a>(named: impl Iterator<Item = (i8, &'a Str)>) -> BTreeSet<(i8, &'a Str)> {
    let mut seen = BTreeSet::new();
    named.filter(|resource| !seen.insert(*resource)).collect()
}

impl Round {
    /// The resource that a request means, if it exists.
    pub(super) fn resource(&self, kind: i8, name: &Str) -> Result<ConfigResource, RequestError> {
        let refuse = |code, message: String| Err(RequestError::new(code, message));
        match ConfigResourceType::from_code(kind) {
            Some(ConfigResourceType::Topic) => {
                if self.image.topic_id(name).is_none() {
                    return refuse(
                        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                        format!("there is no topic {:?}", excerpt(name)),
                    );
                }
            }
            Some(ConfigResourceType::Broker) => self.check_broker_name(name)?,
            Some(ConfigResourceType::Group) if name.is_empty() => {
                return refuse(ErrorCode::INVALID_REQUEST, "a group's configs need the group's name".to_owned());
            }
            Some(ConfigResourceType::Group) => {}
            Some(ConfigResourceType::BrokerLogger) => {
                return refuse(ErrorCode::INVALID_REQUEST, "loggers of brokers cannot be configured".to_owned());
            }
            Some(ConfigResourceType::ClientMetrics) => {
                return refuse(ErrorCode::INVALID_REQUEST, "metrics of clients are not collected".to_owned());
            }
            None => {
                return refuse(ErrorCode::INVALID_REQUEST, format!("there is no resource type {kind}"));
            }
        }
        let kind = ConfigResourceType::from_code(kind).unwrap_or(ConfigResourceType::Topic);
        Ok(ConfigResource { kind, name: name.detached() })
    }

    fn check_broker_name(&self, name: &str) -> Result<(), RequestError> {
        if name.is_empty() {
            return Ok(());
        }
        let Ok(broker_id) = name.parse::<i32>() else {
            let message = format!("a broker is named by its id, or \"\" for all; {:?} is neither", excerpt(name));
            return Err(RequestError::new(ErrorCode::INVALID_REQUEST, message));
        };
        if self.image.broker(BrokerId(broker_id)).is_none() {
            let message = format!("broker {broker_id} is not registered");
            return Err(RequestError::new(ErrorCode::BROKER_ID_NOT_REGISTERED, message));
        }
        Ok(())
    }

    /// Checks and writes the changes of one resource.
    pub(super) fn change_configs(
        &mut self,
        resource: &ConfigResource,
        changes: ConfigChanges,
        context: &Context<'_>,
    ) -> Result<(), RequestError> {
        self.check_changes(resource, &changes, context)?;
        // What one broker is set to counts only there.
        let counts_here = resource.kind == ConfigResourceType::Topic || *resource == ConfigResource::DEFAULT_BROKER;
        let needs_elections = counts_here && changes.keys().any(|name| ELECTION_CONFIGS.contains(&name.as_str()));
        for (name, value) in changes {
            if self.image.config(resource, &name) != value.as_ref() {
                self.push(Record::Config { resource: resource.clone(), name, value });
            }
        }
        if needs_elections {
            self.update_partitions_under(resource, context);
        }
        Ok(())
    }

    fn check_changes(
        &self,
        resource: &ConfigResource,
        changes: &ConfigChanges,
        context: &Context<'_>,
    ) -> Result<(), RequestError> {
        changes.iter().try_for_each(check_length)?;
        self.check_count(resource, changes)?;
        match resource.kind {
            ConfigResourceType::Topic => check_topic_configs(&self.resulting(resource, changes)),
            ConfigResourceType::Group => {
                check_group_configs(&self.resulting(resource, changes), &self.resolver(context))
            }
            _ => check_broker_configs(resource, changes),
        }
    }

    /// Brokers' configs may have names that nobody knows, and all of them are in memory on every node.
    fn check_count(&self, resource: &ConfigResource, changes: &ConfigChanges) -> Result<(), RequestError> {
        let is_new = |(name, value): &(&Str, &Option<Str>)| {
            value.is_some() && self.image.config(resource, name.as_str()).is_none()
        };
        if self.image.configs(resource).count() + changes.iter().filter(is_new).count() > CONFIGS_MAX {
            let message = format!("a resource has at most {CONFIGS_MAX} configs");
            return Err(RequestError::new(ErrorCode::POLICY_VIOLATION, message));
        }
        Ok(())
    }

    fn resulting(&self, resource: &ConfigResource, changes: &ConfigChanges) -> BTreeMap<Str, Str> {
        let mut resulting: BTreeMap<Str, Str> =
            self.image.configs(resource).map(|(name, value)| (name.clone(), value.clone())).collect();
        for (name, value) in changes {
            match value {
                Some(value) => resulting.insert(name.clone(), value.clone()),
                None => resulting.remove(name),
            };
        }
        resulting
    }

    /// A lowered min ISR ends the eligibility of ELR members, in the same batch in which the leader learns that it
    /// may commit without them. An allowed unclean election takes place at once.
    fn update_partitions_under(&mut self, resource: &ConfigResource, context: &Context<'_>) {
        let changes = match self.image.topic(&resource.name) {
            Some(topic) if resource.kind == ConfigResourceType::Topic => {
                self.changes_of(std::iter::once(topic), context, |_| true, settle)
            }
            _ => self.changes_of(self.image.topics(), context, |_| true, settle),
        };
        self.push_changes(changes);
    }
}

/// A list that is appended to grows beyond what a request can hold; no answer could show it.
fn check_length((name, value): (&Str, &Option<Str>)) -> Result<(), RequestError> {
    match value.as_ref().map(|value| value.as_bytes().len()) {
        Some(len) if len > VALUE_BYTES_MAX => {
            let message = format!("the value of {} would have {len} bytes of {VALUE_BYTES_MAX}", excerpt(name));
            Err(RequestError::new(ErrorCode::INVALID_CONFIG, message))
        }
        _ => Ok(()),
    }
}

/// Checks all configs of a topic, by themselves and together.
pub(super) fn check_topic_configs(configs: &BTreeMap<Str, Str>) -> Result<(), RequestError> {
    let refuse = |message: String| Err(RequestError::new(ErrorCode::INVALID_CONFIG, message));
    for (name, value) in configs {
        let Some(definition) = topic_config(name) else {
            return refuse(unknown_config("topic", name, TOPIC_CONFIGS));
        };
        check_value(definition, value).or_else(refuse)?;
    }
    let lag = |name: &str| -> Option<i64> {
        let set = configs.get(name).map(Str::as_str);
        set.or_else(|| topic_config(name)?.default)?.trim().parse().ok()
    };
    if lag("max.compaction.lag.ms") < lag("min.compaction.lag.ms") {
        return refuse("max.compaction.lag.ms must not be below min.compaction.lag.ms.".to_owned());
    }
    Ok(())
}

/// Checks all configs of a group, by themselves, against what the brokers allow, and together.
fn check_group_configs(configs: &BTreeMap<Str, Str>, resolver: &Resolver<'_>) -> Result<(), RequestError> {
    let refuse = |message: String| Err(RequestError::new(ErrorCode::INVALID_CONFIG, message));
    for (name, value) in configs {
        let Some(definition) = group_config(name) else {
            return refuse(unknown_config("group", name, GROUP_CONFIGS));
        };
        check_value(definition, value).or_else(refuse)?;
        let Some(bounds) = bounds_of(name) else { continue };
        let [Some(least), Some(most)] = bounds.map(|bound| resolver.broker_number(bound)) else { continue };
        if value.trim().parse().is_ok_and(|number: i64| !(least..=most).contains(&number)) {
            let [min, max] = bounds;
            let value = excerpt(value);
            return refuse(format!("{name}={value} must be at least {least} ({min}) and at most {most} ({max})."));
        }
    }
    let in_force = |name| configs.get(name).map(|value| value.to_string()).or_else(|| resolver.group_default(name));
    let number = |name| in_force(name)?.trim().parse::<i64>().ok();
    if number(CONSUMER_HEARTBEAT_INTERVAL_MS) >= number(CONSUMER_SESSION_TIMEOUT_MS) {
        return refuse(format!("{CONSUMER_HEARTBEAT_INTERVAL_MS} must be below {CONSUMER_SESSION_TIMEOUT_MS}."));
    }
    Ok(())
}

fn unknown_config(kind: &str, name: &str, table: &[ConfigDefinition]) -> String {
    let unknown = format!("Unknown {kind} config name: {}.", excerpt(name));
    match nearest_name(name, table.iter().map(|definition| definition.name)) {
        Some(nearest) => format!("{unknown} Did you mean {nearest}?"),
        None => unknown,
    }
}

/// In Kafka's order and words. Names that nobody knows are kept: they may be a plug-in's.
fn check_broker_configs(resource: &ConfigResource, changes: &ConfigChanges) -> Result<(), RequestError> {
    let set = changes.iter().filter_map(|(name, value)| Some((broker_config(name)?, value.as_ref()?)));
    let refuse_all = |why: &str, is_refused: &dyn Fn(&ConfigDefinition) -> bool| {
        let names: Vec<&str> = set.clone().map(|(it, _)| it).filter(|it| is_refused(it)).map(|it| it.name).collect();
        if names.is_empty() {
            return Ok(());
        }
        Err(RequestError::new(ErrorCode::INVALID_REQUEST, format!("{why}: [{}]", names.join(", "))))
    };
    refuse_all("Cannot update these configs dynamically", &|it| it.update == Update::ReadOnly)?;
    refuse_all(
        "These security configs can be dynamically updated only per-listener using the listener prefix",
        &|it| STORE_PREFIXES.iter().any(|prefix| it.name.starts_with(prefix)),
    )?;
    for (definition, value) in set.clone() {
        check_value(definition, value).map_err(|message| RequestError::new(ErrorCode::INVALID_REQUEST, message))?;
    }
    if *resource == ConfigResource::DEFAULT_BROKER {
        return refuse_all(
            "Cannot update these configs at default cluster level, broker id must be specified",
            &|it| it.update == Update::PerBroker,
        );
    }
    if changes.contains_key(MIN_INSYNC_REPLICAS) {
        let message = "min.insync.replicas is set for a topic or for all brokers, not for one: leader and controller must agree on it";
        return Err(RequestError::new(ErrorCode::INVALID_CONFIG, message));
    }
    Ok(())
}

/// The definition of a resource's config, if the name is known.
pub(super) fn definition_of(resource: &ConfigResource, name: &str) -> Option<&'static ConfigDefinition> {
    match resource.kind {
        ConfigResourceType::Topic => topic_config(name),
        ConfigResourceType::Group => group_config(name),
        _ => broker_config(name),
    }
}
