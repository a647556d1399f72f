//! Reads typed values out of a [`RawConfig`] and remembers which names were asked for, so that the list of served
//! properties is the code that serves them.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;

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

    pub fn text_or(&self, key: &'static str, default: &str) -> String {
        self.text(key).unwrap_or(default).to_owned()
    }

    /// `parse` says on failure what is allowed.
    pub fn parsed<T>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Allowed>,
    ) -> Result<Option<T>, InvalidSetting> {
        let Some(value) = self.text(key) else {
            return Ok(None);
        };
        parse(value).map(Some).map_err(|allowed| self.invalid(key, allowed))
    }

    pub fn number<T>(&self, key: &'static str, default: T, range: RangeInclusive<T>) -> Result<T, InvalidSetting>
    where
        T: std::str::FromStr + PartialOrd + Display,
    {
        let parse = |value: &str| match value.parse::<T>() {
            Ok(number) if range.contains(&number) => Ok(number),
            _ => Err(format!("a whole number from {} to {}", range.start(), range.end())),
        };
        Ok(self.parsed(key, parse)?.unwrap_or(default))
    }

    pub fn flag(&self, key: &'static str, default: bool) -> Result<bool, InvalidSetting> {
        let parse = |value: &str| match value.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("true or false".to_owned()),
        };
        Ok(self.parsed(key, parse)?.unwrap_or(default))
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
            reader.number("num.partitions", 1, 1..=100).unwrap_err().to_string(),
            "--override: num.partitions=many is not valid: must be a whole number from 1 to 100"
        );
        assert_eq!(
            reader.flag("delete.topic.enable", true).unwrap_err().to_string(),
            "--override: delete.topic.enable=yes is not valid: must be true or false"
        );
        assert_eq!(reader.served(), ["delete.topic.enable", "num.partitions"]);
    }

    #[test]
    fn an_empty_value_is_as_good_as_none() {
        let mut raw = RawConfig::default();
        raw.set("num.partitions", " ");
        assert_eq!(Reader::new(&raw).number("num.partitions", 7, 1..=100), Ok(7));
    }
}
