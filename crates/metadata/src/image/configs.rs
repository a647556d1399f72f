//! What configs hang on.

use tidelog_wire::Str;

/// Kafka's ConfigResource.Type, by its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum ConfigResourceType {
    Topic = 2,
    Broker = 4,
    BrokerLogger = 8,
    ClientMetrics = 16,
    Group = 32,
}

impl ConfigResourceType {
    pub fn code(self) -> i8 {
        self as i8
    }

    pub fn from_code(code: i8) -> Option<Self> {
        [Self::Topic, Self::Broker, Self::BrokerLogger, Self::ClientMetrics, Self::Group]
            .into_iter()
            .find(|kind| kind.code() == code)
    }
}

/// A topic, a group, a broker, or with the empty broker name all brokers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigResource {
    pub kind: ConfigResourceType,
    pub name: Str,
}

impl ConfigResource {
    /// The cluster-wide dynamic default.
    pub const DEFAULT_BROKER: Self = Self { kind: ConfigResourceType::Broker, name: Str::from_static("") };

    pub fn topic(name: &str) -> Self {
        Self { kind: ConfigResourceType::Topic, name: Str::from(name.to_owned()) }
    }

    pub fn group(name: &str) -> Self {
        Self { kind: ConfigResourceType::Group, name: Str::from(name.to_owned()) }
    }

    pub fn broker(id: tidelog_wire::types::BrokerId) -> Self {
        Self { kind: ConfigResourceType::Broker, name: Str::from(id.to_string()) }
    }
}
