//! Reads typed values out of a [`RawConfig`] and remembers which names were asked for, so that a test can hold the table of
//! configs against the code that reads them. Types, ranges and defaults are the table's.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use tidelog_metadata::config::{ConfigDefinition, broker_config, check_allowed};

use super::listeners::Allowed;
use super::source::{Origin, RawConfig};

/// A setting that makes no sense, as one sentence: where, which, what it says, what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {sentence}")]
pub struct InvalidSetting {
    pub origin: Origin,
    pub sentence: String,
}

pub struct Reader<'a> {
    raw: &'a RawConfig,
    asked: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Reader<'a> {
    pub fn new(raw: &'a RawConfig) -> Self {
        Self { raw, asked: RefCell::default() }
    }

    /// Every name asked for so far.
    pub fn served(&self) -> Vec<&'static str> {
        self.asked.borrow().iter().copied().collect()
    }

    pub fn text(&self, key: &'static str) -> Option<&'a str> {
        self.asked.borrow_mut().insert(key);
        self.raw.get(key).map(|setting| setting.value.trim()).filter(|value| !value.is_empty())
    }

    /// What was said if it is valid, else the default; empty where there is neither.
    fn value(&self, key: &'static str) -> Result<&'a str, InvalidSetting> {
        let definition = definition(key);
        match self.text(key) {
            Some(text) => check_allowed(definition, text).map(|()| text).map_err(|allowed| self.invalid(key, allowed)),
            None => Ok(definition.default.unwrap_or_default()),
        }
    }

    /// `parse` says on failure what is allowed.
    pub fn parsed<T>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Allowed>,
    ) -> Result<T, InvalidSetting> {
        parse(self.value(key)?).map_err(|allowed| self.invalid(key, allowed))
    }

    /// As [`Reader::parsed`], where there may be nothing to parse.
    pub fn parsed_if_set<T>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Allowed>,
    ) -> Result<Option<T>, InvalidSetting> {
        self.text(key).map(|_| self.parsed(key, parse)).transpose()
    }

    /// A whole number of the table's range that fits into `T`.
    pub fn number<T: TryFrom<i64>>(&self, key: &'static str) -> Result<T, InvalidSetting> {
        let fit = |value: &str| value.parse::<i64>().ok().and_then(|number| T::try_from(number).ok());
        self.parsed(key, |value| fit(value).ok_or_else(|| "a smaller number".to_owned()))
    }

    pub fn double(&self, key: &'static str) -> Result<f64, InvalidSetting> {
        self.parsed(key, |value| value.parse().map_err(|_| "a number".to_owned()))
    }

    pub fn flag(&self, key: &'static str) -> Result<bool, InvalidSetting> {
        Ok(self.value(key)?.eq_ignore_ascii_case("true"))
    }

    /// A time in milliseconds.
    pub fn ms(&self, key: &'static str) -> Result<Duration, InvalidSetting> {
        self.number(key).map(Duration::from_millis)
    }

    /// A complaint about the value that `key` has, or about its absence.
    pub fn invalid(&self, key: &str, allowed: impl Into<Allowed>) -> InvalidSetting {
        let setting = self.raw.get(key);
        let value = setting.map_or("", |s| s.value.as_str());
        InvalidSetting {
            origin: setting.map_or(Origin::Default, |s| s.origin.clone()),
            sentence: format!("{key}={value} is not valid: must be {}", allowed.into()),
        }
    }
}

/// A setting of one listener (`listener.name.{name}.max.connections`) is what the one of all listeners is.
fn definition(key: &'static str) -> &'static ConfigDefinition {
    let of_listener = key.strip_prefix("listener.name.").and_then(|rest| rest.split_once('.'));
    let name = of_listener.map_or(key, |(_, name)| name);
    broker_config(name).unwrap_or_else(|| unreachable!("{key} is read and must be in the table"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_name_place_key_value_and_what_is_allowed() {
        let mut raw = RawConfig::default();
        raw.set("num.partitions", "many");
        raw.set("delete.topic.enable", "yes");
        let reader = Reader::new(&raw);
        assert_eq!(
            reader.number::<i32>("num.partitions").unwrap_err().to_string(),
            "--override: num.partitions=many is not valid: must be a whole number of at least 1"
        );
        assert_eq!(
            reader.flag("delete.topic.enable").unwrap_err().to_string(),
            "--override: delete.topic.enable=yes is not valid: must be true or false"
        );
        assert_eq!(reader.served(), ["delete.topic.enable", "num.partitions"]);
    }

    #[test]
    fn an_empty_value_is_as_good_as_none() {
        let mut raw = RawConfig::default();
        raw.set("offsets.topic.num.partitions", " ");
        assert_eq!(Reader::new(&raw).number("offsets.topic.num.partitions"), Ok(50));
    }
}
