//! Newtypes of the domain. Messages carry plain integers as Kafka's schemas do; everything past the
//! request handlers speaks these.

use std::fmt;
use std::ops::{Add, Sub};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl From<$inner> for $name {
            fn from(value: $inner) -> Self {
                Self(value)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A position in a partition's log. Records count from 0; an end offset names the next record to come.
    Offset(i64)
}
number! {
    /// Grows with every leader a partition gets.
    LeaderEpoch(i32)
}
number! {
    /// Grows with every change of a partition's leader, ISR or replicas.
    PartitionEpoch(i32)
}
number! {
    /// `node.id` of a node.
    BrokerId(i32)
}
number! {
    /// Names one incarnation (one registration) of a broker; -1 is unknown.
    BrokerEpoch(i64)
}
number! {
    /// Index of a partition in its topic.
    PartitionIndex(i32)
}
number! {
    /// An idempotent producer's identity; -1 is none.
    ProducerId(i64)
}
number! {
    /// Fences older instances of a producer id; -1 is none.
    ProducerEpoch(i16)
}

impl Offset {
    pub const ZERO: Self = Self(0);
}

impl Add<i64> for Offset {
    type Output = Self;
    fn add(self, records: i64) -> Self {
        Self(self.0 + records)
    }
}

impl Sub for Offset {
    type Output = i64;
    fn sub(self, other: Self) -> i64 {
        self.0 - other.0
    }
}

impl LeaderEpoch {
    /// Kafka's "no epoch known".
    pub const NONE: Self = Self(-1);
}

impl BrokerId {
    /// Kafka's "no broker": a partition without a leader, a fetch by a consumer.
    pub const NONE: Self = Self(-1);
}

impl BrokerEpoch {
    pub const NONE: Self = Self(-1);
}

impl ProducerId {
    pub const NONE: Self = Self(-1);
}
