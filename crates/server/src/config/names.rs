//! Which property names exist: what is served here, what is Kafka's but has no effect here, what nobody knows.

use tidelog_metadata::config::{Effect, broker_config, check_value, known_broker_configs, nearest_name};

use super::reader::InvalidSetting;
use super::source::RawConfig;

/// Prefixes under which Kafka takes any name (per-listener settings, plug-ins' own).
const KAFKA_PREFIXES: [&str; 5] = ["listener.name.", "sasl.", "ssl.", "remote.log.", "config.providers."];

/// Names of a configuration that will do nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ineffective {
    /// Kafka's or ours, without effect (yet).
    pub accepted: Vec<String>,
    /// Nobody's, with the nearest known name where one is near.
    pub unknown: Vec<(String, Option<&'static str>)>,
}

impl Ineffective {
    /// What to warn of, a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.accepted.is_empty() {
            warnings.push(format!("accepted without effect: {}", self.accepted.join(", ")));
        }
        for (name, nearest) in &self.unknown {
            warnings.push(match nearest {
                Some(nearest) => format!("unknown property {name}, did you mean {nearest}?"),
                None => format!("unknown property {name}"),
            });
        }
        warnings
    }
}

/// Checks every value whose definition is known.
pub fn check_values(raw: &RawConfig) -> Result<(), InvalidSetting> {
    for (key, setting) in raw.iter() {
        let Some(definition) = broker_config(key).filter(|_| !setting.value.trim().is_empty()) else {
            continue;
        };
        check_value(definition, &setting.value)
            .map_err(|sentence| InvalidSetting { origin: setting.origin.clone(), sentence })?;
    }
    Ok(())
}

/// Sorts out what of `raw` has no effect. `read` are the names that the node's own configuration read.
pub fn ineffective(raw: &RawConfig, read: &[&str]) -> Ineffective {
    let is_served =
        |key: &str| read.contains(&key) || broker_config(key).is_some_and(|d| d.effect == Effect::Implemented);
    let mut found = Ineffective::default();
    for (key, _) in raw.iter().filter(|(key, _)| !is_served(key)) {
        if is_known(key) {
            found.accepted.push(key.to_owned());
        } else {
            let names = known_broker_configs().map(|definition| definition.name);
            found.unknown.push((key.to_owned(), nearest_name(key, names)));
        }
    }
    found
}

/// Kafka's names too, so that a file taken from Kafka is not called full of typos.
fn is_known(key: &str) -> bool {
    broker_config(key).is_some() || KAFKA_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(settings: &[(&str, &str)]) -> RawConfig {
        let mut raw = RawConfig::default();
        for (key, value) in settings {
            raw.set(key, *value);
        }
        raw
    }

    #[test]
    fn a_typo_is_told_from_a_property_of_kafkas_without_effect() {
        let settings = raw(&[
            ("num.partitions", "1"),
            ("our.own", "1"),
            ("num.io.threads", "8"),
            ("num.shards", "4"),
            ("listener.name.x.ssl.key", "k"),
            ("num.partition", "1"),
            ("not.like.anything", "1"),
        ]);
        let found = ineffective(&settings, &["our.own"]);
        assert_eq!(found.accepted, ["listener.name.x.ssl.key", "num.io.threads", "num.shards"]);
        assert_eq!(
            found.warnings(),
            [
                "accepted without effect: listener.name.x.ssl.key, num.io.threads, num.shards",
                "unknown property not.like.anything",
                "unknown property num.partition, did you mean num.partitions?",
            ]
        );
    }

    #[test]
    fn a_bad_value_of_any_served_name_is_found() {
        assert_eq!(check_values(&raw(&[("num.partitions", "3"), ("log.retention.ms", "")])), Ok(()));
        let error = check_values(&raw(&[("auto.create.topics.enable", "maybe")])).unwrap_err().to_string();
        assert!(error.contains("auto.create.topics.enable") && error.contains("true or false"), "{error}");
        assert!(error.starts_with("--override: "), "{error}");
    }
}
