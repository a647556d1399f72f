//! What a topic may be called.

use tidelog_wire::excerpt;

use crate::image::Image;

const LENGTH_MAX: usize = 249;
/// Kafka's own metadata log; no topic may take its name.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// `Err` says what is wrong with the name, be it by itself or next to an existing one.
pub(super) fn check_topic_name(image: &Image, name: &str) -> Result<(), String> {
    check_characters(name)?;
    if name == METADATA_TOPIC {
        return Err(format!("the topic name {METADATA_TOPIC} is reserved"));
    }
    match image.topic_with_metrics_of(name) {
        Some(other) => {
            let other = &other.name;
            Err(format!("topic {name:?} would collide with {other:?}: '.' and '_' look the same in metric names"))
        }
        None => Ok(()),
    }
}

fn check_characters(name: &str) -> Result<(), String> {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() {
        return Err("a topic name must not be empty".to_owned());
    }
    if name == "." || name == ".." {
        return Err("a topic must not be called \".\" or \"..\"".to_owned());
    }
    if name.len() > LENGTH_MAX {
        return Err(format!("a topic name has at most {LENGTH_MAX} characters, this one has {}", name.len()));
    }
    if !name.chars().all(is_legal) {
        return Err(format!(
            "topic name {:?} is not legal: use ASCII letters, digits, '.', '_' and '-'",
            excerpt(name)
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kafkas() {
        let image = Image::new();
        for name in ["a", "A.b-c_9", &"x".repeat(249), "...", "__consumer_offsets"] {
            assert_eq!(check_topic_name(&image, name), Ok(()), "{name}");
        }
        for name in ["", ".", "..", "a b", "ä", "a/b", &"x".repeat(250), METADATA_TOPIC] {
            assert!(check_topic_name(&image, name).is_err(), "{name}");
        }
    }
}
