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
    /// For one broker.
    PerBroker,
    /// For one broker or as the default of all.
    ClusterWide,
}

/// Whether setting it does anything here. Every row of a table says so; tests hold what it says against the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Code reads the value.
    Implemented,
    /// The value is checked, kept and shown, and nothing follows from it. A node warns of it when it starts.
    WithoutEffect,
}

/// A broker config that stands in for a topic config, in another unit perhaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synonym {
    pub name: &'static str,
    /// How many of the topic config's units one of its units is (3,600,000 ms in an hour).
    pub factor: i64,
}

pub(super) const fn same_unit(name: &'static str) -> Synonym {
    Synonym { name, factor: 1 }
}

pub(super) const fn in_unit(name: &'static str, factor: i64) -> Synonym {
    Synonym { name, factor }
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

macro_rules! constructors {
    ($($name:ident = $kind:ident),+ $(,)?) => {$(
        pub(super) const fn $name(
            name: &'static str,
            default: &'static str,
            effect: Effect,
            documentation: &'static str,
        ) -> ConfigDefinition {
            ConfigDefinition {
                name,
                kind: ConfigType::$kind,
                default: Some(default),
                valid: Valid::Any,
                documentation,
                synonyms: &[],
                update: Update::ReadOnly,
                effect,
            }
        }
    )+};
}

constructors!(
    boolean = Boolean,
    string = String,
    int = Int,
    short = Short,
    long = Long,
    double = Double,
    list = List,
    password = Password,
);

impl ConfigDefinition {
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

    pub fn is_sensitive(&self) -> bool {
        self.kind == ConfigType::Password
    }
}
