//! Defaults of broker configs as values. The table is the only place that has them.

use std::time::Duration;

use super::broker_config;

/// The default of a config that has one, as the table has it.
pub fn default_text(name: &str) -> &'static str {
    let default = broker_config(name).and_then(|definition| definition.default);
    default.unwrap_or_else(|| unreachable!("{name} is in the table, with a default"))
}

pub fn default_number<T: TryFrom<i64>>(name: &str) -> T {
    let number = default_text(name).parse::<i64>().ok().and_then(|number| T::try_from(number).ok());
    number.unwrap_or_else(|| unreachable!("{name} has a number that fits as its default"))
}

pub fn default_double(name: &str) -> f64 {
    default_text(name).parse().unwrap_or_else(|_| unreachable!("{name} has a number as its default"))
}

pub fn default_flag(name: &str) -> bool {
    default_text(name) == "true"
}

/// Of a config in milliseconds.
pub fn default_ms(name: &str) -> Duration {
    Duration::from_millis(default_number(name))
}
