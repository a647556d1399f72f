//! Which property names exist: what is served here, what is Kafka's but has no effect here, what nobody knows.

use super::source::RawConfig;

/// Kafka's names, so that a file taken from Kafka is not called full of typos.
const KAFKA_NAMES: &str = include_str!("kafka_names.txt");

/// Prefixes under which Kafka takes any name (per-listener settings, plug-ins' own).
const KAFKA_PREFIXES: [&str; 5] = [
    "listener.name.",
    "sasl.",
    "ssl.",
    "remote.log.",
    "config.providers.",
];

/// Names of a configuration that will do nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ineffective {
    /// Kafka's own, not served (yet).
    pub accepted: Vec<String>,
    /// Nobody's, with the nearest known name where one is near.
    pub unknown: Vec<(String, Option<String>)>,
}

/// Sorts out what of `raw` is not in `served`.
pub fn ineffective(raw: &RawConfig, served: &[&str]) -> Ineffective {
    let mut found = Ineffective::default();
    for (key, _) in raw.iter().filter(|(key, _)| !served.contains(key)) {
        if is_kafkas(key) {
            found.accepted.push(key.to_owned());
        } else {
            found.unknown.push((key.to_owned(), nearest(key, served)));
        }
    }
    found
}

fn is_kafkas(key: &str) -> bool {
    kafka_names().any(|name| name == key)
        || KAFKA_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

fn kafka_names<'a>() -> impl Iterator<Item = &'a str> {
    KAFKA_NAMES.lines().filter(|line| !line.starts_with('#'))
}

/// The known name closest to `key`, if a few slips of the finger explain the difference.
pub fn nearest(key: &str, served: &[&str]) -> Option<String> {
    let slips_max = (key.len() / 4).clamp(1, 4);
    served
        .iter()
        .copied()
        .chain(kafka_names())
        .map(|name| (edit_distance(key, name), name))
        .filter(|&(distance, _)| distance <= slips_max)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, name)| name.to_owned())
}

/// Levenshtein's distance in bytes.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_is_told_from_a_property_of_kafkas_without_effect() {
        let mut raw = RawConfig::default();
        for key in [
            "node.id",
            "num.io.threads",
            "listener.name.x.ssl.key",
            "num.partition",
            "my.own",
        ] {
            raw.set(key, "1");
        }
        let found = ineffective(&raw, &["node.id", "num.partitions"]);
        assert_eq!(
            found.accepted,
            ["listener.name.x.ssl.key", "num.io.threads"]
        );
        let expected = [
            ("my.own".to_owned(), None),
            (
                "num.partition".to_owned(),
                Some("num.partitions".to_owned()),
            ),
        ];
        assert_eq!(found.unknown, expected);
    }

    #[test]
    fn distances() {
        for (a, b, distance) in [
            ("", "", 0),
            ("a", "", 1),
            ("kitten", "sitting", 3),
            ("ab", "ba", 2),
        ] {
            assert_eq!(edit_distance(a, b), distance, "{a} {b}");
        }
    }
}
