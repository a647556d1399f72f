//! Kafka's broker configs that no table has. They are taken, checked, kept and shown as Kafka does, and have no effect.

use std::sync::LazyLock;

use super::definition::{ConfigDefinition, ConfigType, Effect, Update};
use super::value::Valid;

const ROWS: &str = include_str!("kafka_names.txt");

static CONFIGS: LazyLock<Vec<ConfigDefinition>> =
    LazyLock::new(|| ROWS.lines().filter(|line| !line.starts_with('#')).map(definition).collect());

pub(super) fn kafka_configs() -> &'static [ConfigDefinition] {
    &CONFIGS
}

/// A line is `name type mode [min..[max]]`.
fn definition(line: &'static str) -> ConfigDefinition {
    let mut words = line.split(' ');
    let mut word = || words.next().unwrap_or_default();
    ConfigDefinition {
        name: word(),
        kind: kind(word()),
        default: None,
        update: match word() {
            "per-broker" => Update::PerBroker,
            "cluster-wide" => Update::ClusterWide,
            _ => Update::ReadOnly,
        },
        valid: valid(word()),
        documentation: "Without effect: known to Kafka only.",
        synonyms: &[],
        effect: Effect::WithoutEffect,
    }
}

fn kind(word: &str) -> ConfigType {
    match word {
        "boolean" => ConfigType::Boolean,
        "int" => ConfigType::Int,
        "short" => ConfigType::Short,
        "long" => ConfigType::Long,
        "double" => ConfigType::Double,
        "list" => ConfigType::List,
        "class" => ConfigType::Class,
        "password" => ConfigType::Password,
        _ => ConfigType::String,
    }
}

fn valid(range: &str) -> Valid {
    let Some((min, max)) = range.split_once("..") else { return Valid::Any };
    match (min.parse(), max.parse()) {
        (Ok(min), Ok(max)) => Valid::Between(min, max),
        (Ok(min), Err(_)) => Valid::AtLeast(min),
        _ => Valid::Any,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{broker_config, broker_configs, check_value};
    use super::*;

    #[test]
    fn a_name_stands_in_one_table() {
        let twice = kafka_configs().iter().find(|kafkas| broker_configs().any(|ours| ours.name == kafkas.name));
        assert_eq!(twice.map(|definition| definition.name), None);
    }

    #[test]
    fn a_line_is_a_definition() {
        let threads = broker_config("num.io.threads").expect("Kafka's");
        assert_eq!((threads.kind, threads.update), (ConfigType::Int, Update::ClusterWide));
        assert!(check_value(threads, "0").is_err() && check_value(threads, "1").is_ok());
        let secret = broker_config("ssl.keystore.password").expect("Kafka's");
        assert!(secret.is_sensitive());
        assert_eq!(secret.update, Update::PerBroker);
    }
}
