//! Settings: raw text from several sources, read once into a validated [`NodeConfig`].

pub mod listeners;
pub mod names;
pub mod node;
pub mod properties;
pub mod quorum;
pub mod reader;
pub mod source;

pub use listeners::Listener;
pub use names::Ineffective;
pub use node::{NodeConfig, Surroundings};
pub use reader::InvalidSetting;
pub use source::{RawConfig, SourceError};
