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
