//! Is a value valid, and if not, in which sentence is that said.

use std::borrow::Cow;

use tidelog_wire::excerpt;

use super::definition::{ConfigDefinition, ConfigType};

/// What a value must be beyond having its type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Valid {
    Any,
    AtLeast(i64),
    Between(i64, i64),
    /// One value, or a number in a range.
    OneOrBetween(i64, i64, i64),
    /// Of a floating-point number: from 0 to 1.
    Ratio,
    /// Of a floating-point number.
    AboveZero,
    OneOf(&'static [&'static str]),
    /// Each item of a list.
    ItemsOf(&'static [&'static str]),
    /// A list of `partition:broker`, or `*`.
    ThrottledReplicas,
    /// What this build cannot do: only `false`.
    OnlyFalse(&'static str),
}

/// The items of a list value: separated by commas, blanks around them dropped. Nothing is no item.
pub fn list_items(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// Checks a value against its definition. The error is a sentence for people.
pub fn check_value(definition: &ConfigDefinition, value: &str) -> Result<(), String> {
    let value = value.trim();
    match check_allowed(definition, value) {
        Ok(()) => Ok(()),
        Err(allowed) => {
            let (value, name) = (excerpt(value), definition.name);
            Err(format!("Invalid value {value:?} for configuration {name}: must be {allowed}."))
        }
    }
}

/// A valid value as Kafka shows it: without blanks around it or its items, numbers and booleans in their usual form.
pub fn canonical<'a>(definition: &ConfigDefinition, value: &'a str) -> Cow<'a, str> {
    let value = value.trim();
    match definition.kind {
        ConfigType::Boolean => Cow::Owned(value.to_ascii_lowercase()),
        ConfigType::Int | ConfigType::Short | ConfigType::Long => match value.parse::<i64>() {
            Ok(number) => Cow::Owned(number.to_string()),
            Err(_) => Cow::Borrowed(value),
        },
        ConfigType::List => Cow::Owned(list_items(value).collect::<Vec<_>>().join(",")),
        ConfigType::Double | ConfigType::String | ConfigType::Class | ConfigType::Password => Cow::Borrowed(value),
    }
}

/// Checks a trimmed value. The error is what is allowed: the end of the sentence "... must be".
pub fn check_allowed(definition: &ConfigDefinition, value: &str) -> Result<(), String> {
    match definition.kind {
        ConfigType::Boolean => check_boolean(definition, value),
        ConfigType::Int => check_number(definition, value, i64::from(i32::MIN), i64::from(i32::MAX)),
        ConfigType::Short => check_number(definition, value, i64::from(i16::MIN), i64::from(i16::MAX)),
        ConfigType::Long => check_number(definition, value, i64::MIN, i64::MAX),
        ConfigType::Double => check_double(definition, value),
        ConfigType::List => check_list(definition, value),
        ConfigType::String | ConfigType::Class | ConfigType::Password => check_string(definition, value),
    }
}

fn check_boolean(definition: &ConfigDefinition, value: &str) -> Result<(), String> {
    let is_true = value.eq_ignore_ascii_case("true");
    if !is_true && !value.eq_ignore_ascii_case("false") {
        return Err("true or false".to_owned());
    }
    match definition.valid {
        Valid::OnlyFalse(why) if is_true => Err(format!("false, because {why}")),
        _ => Ok(()),
    }
}

fn check_number(definition: &ConfigDefinition, value: &str, type_min: i64, type_max: i64) -> Result<(), String> {
    let (allowed, fits): (String, fn(i64, Valid) -> bool) = match definition.valid {
        Valid::AtLeast(min) => (format!("a whole number of at least {min}"), in_range),
        Valid::Between(min, max) => (format!("a whole number from {min} to {max}"), in_range),
        Valid::OneOrBetween(one, min, max) => (format!("{one}, or a whole number from {min} to {max}"), in_range),
        _ => (format!("a whole number from {type_min} to {type_max}"), |_, _| true),
    };
    match value.parse::<i64>() {
        Ok(number) if (type_min..=type_max).contains(&number) && fits(number, definition.valid) => Ok(()),
        Ok(number) if number > type_max => Err(format!("a whole number of at most {type_max}")),
        _ => Err(allowed),
    }
}

fn in_range(number: i64, valid: Valid) -> bool {
    match valid {
        Valid::AtLeast(min) => number >= min,
        Valid::Between(min, max) => (min..=max).contains(&number),
        Valid::OneOrBetween(one, min, max) => number == one || (min..=max).contains(&number),
        _ => true,
    }
}

fn check_double(definition: &ConfigDefinition, value: &str) -> Result<(), String> {
    let (allowed, fits): (_, fn(f64) -> bool) = match definition.valid {
        Valid::Ratio => ("a number from 0 to 1", |number| (0.0..=1.0).contains(&number)),
        Valid::AboveZero => ("a number above zero", |number| number > 0.0),
        _ => ("a number", |_| true),
    };
    match value.parse::<f64>() {
        Ok(number) if number.is_finite() && fits(number) => Ok(()),
        _ => Err(allowed.to_owned()),
    }
}

fn check_list(definition: &ConfigDefinition, value: &str) -> Result<(), String> {
    match definition.valid {
        Valid::ItemsOf(allowed) if !list_items(value).all(|item| allowed.contains(&item)) => {
            Err(format!("a list of any of {}", allowed.join(", ")))
        }
        Valid::ThrottledReplicas if value != "*" && !list_items(value).all(is_replica) => {
            Err("* or a list of partition:broker, for example 0:1,0:2".to_owned())
        }
        _ => Ok(()),
    }
}

fn is_replica(item: &str) -> bool {
    let number = |text: &str| text.parse::<u32>().is_ok();
    item.split_once(':').is_some_and(|(partition, broker)| number(partition) && number(broker))
}

fn check_string(definition: &ConfigDefinition, value: &str) -> Result<(), String> {
    match definition.valid {
        Valid::OneOf(allowed) if !allowed.contains(&value) => Err(format!("one of {}", allowed.join(", "))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{broker_config, topic_config};
    use super::*;

    #[test]
    fn values_are_checked_by_type_and_range() {
        let table = [
            ("retention.ms", "-1", true),
            ("retention.ms", "-2", false),
            ("retention.ms", "1h", false),
            ("retention.ms", " 1000 ", true),
            ("retention.ms", "9223372036854775808", false),
            ("segment.bytes", "1048576", true),
            ("segment.bytes", "1048575", false),
            ("segment.bytes", "2147483648", false),
            ("cleanup.policy", "delete, compact", true),
            ("cleanup.policy", "", true),
            ("cleanup.policy", "keep", false),
            ("write.caching", "TRUE", true),
            ("write.caching", "yes", false),
            ("min.cleanable.dirty.ratio", "0.25", true),
            ("min.cleanable.dirty.ratio", "1.5", false),
            ("compression.type", "zstd", true),
            ("compression.type", "brotli", false),
            ("compression.gzip.level", "-1", true),
            ("compression.gzip.level", "0", false),
            ("leader.replication.throttled.replicas", "*", true),
            ("leader.replication.throttled.replicas", "0:1,1:2", true),
            ("leader.replication.throttled.replicas", "0", false),
            ("remote.storage.enable", "false", true),
            ("remote.storage.enable", "true", false),
            ("min.insync.replicas", "0", false),
            ("min.insync.replicas", "1", true),
        ];
        for (name, value, valid) in table {
            let definition = topic_config(name).expect(name);
            assert_eq!(check_value(definition, value).is_ok(), valid, "{name}={value}");
        }
    }

    #[test]
    fn a_value_is_shown_in_its_usual_form() {
        let table = [
            ("auto.create.topics.enable", " True", "true"),
            ("num.partitions", " +03 ", "3"),
            ("log.cleanup.policy", "delete , compact,", "delete,compact"),
            ("broker.rack", " one two ", "one two"),
            ("log.cleaner.min.cleanable.ratio", " 0.5", "0.5"),
        ];
        for (name, value, shown) in table {
            assert_eq!(canonical(broker_config(name).expect(name), value), shown, "{name}={value:?}");
        }
    }

    #[test]
    fn a_refusal_names_key_value_and_what_is_allowed() {
        let definition = broker_config("num.partitions").expect("known");
        assert_eq!(
            check_value(definition, "none"),
            Err("Invalid value \"none\" for configuration num.partitions: must be a whole number of at least 1."
                .to_owned())
        );
        let too_many = check_value(definition, "3000000000").unwrap_err();
        assert!(too_many.ends_with("must be a whole number of at most 2147483647."), "{too_many}");
    }
}
