//! What a request names is a set, as in Kafka: named twice, it is looked at and answered once. Otherwise an answer could be
//! a thousand times as long as its request.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

/// Each key once; the last that was said of it stays, at the first one's place.
pub(super) fn distinct<T, K: Hash + Eq>(items: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let mut kept: Vec<T> = Vec::with_capacity(items.len());
    let mut places = HashMap::with_capacity(items.len());
    for item in items {
        match places.entry(key(&item)) {
            Entry::Occupied(place) => kept[*place.get()] = item,
            Entry::Vacant(place) => {
                place.insert(kept.len());
                kept.push(item);
            }
        }
    }
    kept
}

/// Each topic once, with all its partitions that are named anywhere, each once.
pub(super) fn distinct_partitions<T, P, K: Hash + Eq>(
    topics: Vec<T>,
    topic: impl Fn(&T) -> K,
    partitions: impl Fn(&mut T) -> &mut Vec<P>,
    index: impl Fn(&P) -> i32,
) -> Vec<T> {
    let mut kept: Vec<T> = Vec::with_capacity(topics.len());
    let mut places = HashMap::with_capacity(topics.len());
    for mut each in topics {
        match places.entry(topic(&each)) {
            Entry::Occupied(place) => partitions(&mut kept[*place.get()]).append(partitions(&mut each)),
            Entry::Vacant(place) => {
                place.insert(kept.len());
                kept.push(each);
            }
        }
    }
    for each in &mut kept {
        let of_topic = partitions(each);
        *of_topic = distinct(std::mem::take(of_topic), &index);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_on_each_stays_at_the_place_of_the_first() {
        let said = vec![("a", 1), ("b", 2), ("a", 3)];
        assert_eq!(distinct(said, |item| item.0), [("a", 3), ("b", 2)]);
    }

    #[test]
    fn topics_that_are_named_twice_are_one() {
        let said = vec![("a", vec![1, 1, 2]), ("b", vec![]), ("a", vec![2, 3])];
        let kept = distinct_partitions(said, |topic| topic.0, |topic| &mut topic.1, |index| *index);
        assert_eq!(kept, [("a", vec![1, 2, 3]), ("b", vec![])]);
    }
}
