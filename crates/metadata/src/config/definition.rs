//! What one configuration key is.

use super::value::Valid;

/// Kafka's ConfigDef.Type, by the numbers DescribeConfigs uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum ConfigType {
    Boolean = 1,
    String = 2,
    Int = 3,
    Short = 4,
    Long = 5,
    Double = 6,
    List = 7,
    Class = 8,
    Password = 9,
}

impl ConfigType {
    pub fn code(self) -> i8 {
        self as i8
    }
}

/// Whether a broker config may change while the broker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// Only in `server.properties`, at the next start.
    ReadOnly,
    /// For one broker or for all.
    PerBroker,
    /// As `PerBroker`, but meant to be the same everywhere.
    ClusterWide,
}

/// Whether setting it does anything here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Implemented,
    /// Kafka knows it; it is kept and shown, and nothing follows from it.
    AcceptedWithoutEffect,
}

/// A broker config that stands in for a topic config, in another unit perhaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synonym {
    pub name: &'static str,
    /// How many of the topic config's units one of its units is (3,600,000 ms in an hour).
    pub factor: i64,
}

/// One row of a table.
#[derive(Clone, Copy, Debug)]
pub struct ConfigDefinition {
    pub name: &'static str,
    pub kind: ConfigType,
    /// `None` is Kafka's null: not set, or computed (as `min.insync.replicas` is).
    pub default: Option<&'static str>,
    pub valid: Valid,
    pub documentation: &'static str,
    /// Strongest first. Of topic configs: broker configs. Of broker configs: the same in other units.
    pub synonyms: &'static [Synonym],
    pub update: Update,
    pub effect: Effect,
}

impl ConfigDefinition {
    pub(super) const fn new(
        name: &'static str,
        kind: ConfigType,
        default: &'static str,
        documentation: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            default: Some(default),
            valid: Valid::Any,
            documentation,
            synonyms: &[],
            update: Update::ReadOnly,
            effect: Effect::Implemented,
        }
    }

    pub(super) const fn valid(mut self, valid: Valid) -> Self {
        self.valid = valid;
        self
    }

    pub(super) const fn synonyms(mut self, synonyms: &'static [Synonym]) -> Self {
        self.synonyms = synonyms;
        self
    }

    pub(super) const fn without_default(mut self) -> Self {
        self.default = None;
        self
    }

    pub(super) const fn cluster_wide(mut self) -> Self {
        self.update = Update::ClusterWide;
        self
    }

    pub(super) const fn per_broker(mut self) -> Self {
        self.update = Update::PerBroker;
        self
    }

    pub(super) const fn without_effect(mut self) -> Self {
        self.effect = Effect::AcceptedWithoutEffect;
        self
    }

    pub fn is_sensitive(&self) -> bool {
        self.kind == ConfigType::Password
    }
}
