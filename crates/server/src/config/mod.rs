//! Settings: raw text from several sources, read once into a validated [`NodeConfig`].

pub mod addresses;
pub mod groups;
pub mod limits;
pub mod listeners;
pub mod names;
pub mod node;
pub mod properties;
pub mod protocols;
pub mod quorum;
pub mod reader;
pub mod source;

pub use listeners::Listener;
pub use names::Ineffective;
pub use node::{NodeConfig, Roles, Surroundings};
pub use quorum::Voter;
pub use reader::{InvalidSetting, Reader};
pub use source::{RawConfig, SourceError};

/// A node's settings and what is to be said about them.
pub struct Loaded {
    pub node: NodeConfig,
    pub ineffective: Ineffective,
}

/// Validates everything that was said.
pub fn load(raw: &RawConfig, around: &Surroundings) -> Result<Loaded, InvalidSetting> {
    let reader = Reader::new(raw);
    let node = NodeConfig::read(&reader, raw, around)?;
    names::check_values(raw)?;
    Ok(Loaded { node, ineffective: names::ineffective(raw, &reader.served()) })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tidelog_metadata::config::{
        BrokerConfig, ControllerConfig, Effect, GROUP_CONFIGS, TOPIC_CONFIGS, broker_configs,
    };

    use super::*;

    /// Settings are read when the node starts, while it runs, or as the defaults of topics and groups.
    fn read_configs() -> BTreeSet<&'static str> {
        let raw = RawConfig::default();
        let reader = Reader::new(&raw);
        let around = Surroundings { host_name: "box".to_owned(), bind_address: "127.0.0.1".to_owned() };
        NodeConfig::read(&reader, &raw, &around).expect("the defaults are valid");
        let mut read: BTreeSet<_> = reader.served().into_iter().collect();
        read.extend(BrokerConfig::NAMES.iter().chain(ControllerConfig::NAMES));
        for definition in TOPIC_CONFIGS.iter().chain(GROUP_CONFIGS).filter(|it| it.effect == Effect::Implemented) {
            read.extend(definition.synonyms.iter().map(|synonym| synonym.name));
        }
        read
    }

    #[test]
    fn the_table_says_truly_which_settings_have_an_effect() {
        let read = read_configs();
        for definition in broker_configs() {
            let is_implemented = definition.effect == Effect::Implemented;
            assert_eq!(is_implemented, read.contains(definition.name), "{}", definition.name);
        }
    }
}
