//! What must hold of a group whatever its client does, judged by what its members told.
//!
//! The events are each member's own and carry the clock of the machine. A partition is given up before
//! it is handed on, in every protocol, so spans of ownership of different members never overlap.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Result, ensure};
use tidelog_cluster_tests::history::History;

use crate::event::{Partition, What};
use crate::member::Story;

/// One member's ownership of one partition, and what it read meanwhile.
#[derive(Debug)]
struct Span {
    member: String,
    generation: Option<i64>,
    from_ms: i64,
    until_ms: i64,
    offsets: Vec<i64>,
}

/// Checks one group's whole life against everything that was produced to its topic.
pub fn check(stories: &[Story], produced: &History) -> Result<()> {
    let spans = spans(stories)?;
    for (partition, spans) in &spans {
        check_one_owner(partition, spans)?;
        check_positions(partition, spans, &commits(stories, partition))?;
    }
    check_everything_was_read(stories, produced)
}

/// The spans of each partition, by their beginnings.
fn spans(stories: &[Story]) -> Result<BTreeMap<Partition, Vec<Span>>> {
    let mut all: BTreeMap<Partition, Vec<Span>> = BTreeMap::new();
    for story in stories {
        let mut open: BTreeMap<Partition, Span> = BTreeMap::new();
        for event in &story.events {
            match &event.what {
                What::Assigned { partitions, generation } => {
                    for partition in partitions {
                        let span = Span {
                            member: story.name.clone(),
                            generation: *generation,
                            from_ms: event.at_ms,
                            until_ms: story.ended_at_ms,
                            offsets: Vec::new(),
                        };
                        // Named again, it stays what it was.
                        open.entry(partition.clone()).or_insert(span);
                    }
                }
                What::Revoked { partitions } => {
                    for partition in partitions {
                        if let Some(span) = open.remove(partition) {
                            let span = Span { until_ms: event.at_ms, ..span };
                            all.entry(partition.clone()).or_default().push(span);
                        }
                    }
                }
                What::Record { partition, offset, .. } => {
                    let span = open.get_mut(partition);
                    ensure!(span.is_some(), "{} read {partition} at {offset} without owning it", story.name);
                    span.into_iter().for_each(|span| span.offsets.push(*offset));
                }
                What::Closed => {
                    for (partition, span) in std::mem::take(&mut open) {
                        all.entry(partition).or_default().push(Span { until_ms: event.at_ms, ..span });
                    }
                }
                What::Generation { generation } => {
                    open.values_mut().for_each(|span| span.generation = span.generation.or(Some(*generation)));
                }
                What::Committed { .. } | What::Error { .. } => {}
            }
        }
        for (partition, span) in open {
            all.entry(partition).or_default().push(span);
        }
    }
    all.values_mut().for_each(|spans| spans.sort_by_key(|span| span.from_ms));
    Ok(all)
}

/// A later generation may take a partition from a member that does not hear of it; the same one may not.
fn check_one_owner(partition: &str, spans: &[Span]) -> Result<()> {
    for (index, earlier) in spans.iter().enumerate() {
        for later in &spans[index + 1..] {
            let apart = earlier.until_ms <= later.from_ms || earlier.member == later.member;
            let fenced = match (earlier.generation, later.generation) {
                (Some(earlier), Some(later)) => earlier < later,
                _ => false,
            };
            ensure!(
                apart || fenced,
                "{partition} has two owners: {} (generation {:?}) until {}, {} (generation {:?}) from {}",
                earlier.member,
                earlier.generation,
                earlier.until_ms,
                later.member,
                later.generation,
                later.from_ms
            );
        }
    }
    Ok(())
}

/// Acknowledged commits of one partition: when, and the next offset to read.
fn commits(stories: &[Story], partition: &str) -> Vec<(i64, i64)> {
    let mut commits = Vec::new();
    for event in stories.iter().flat_map(|story| &story.events) {
        if let What::Committed { offsets } = &event.what
            && let Some(next) = offsets.get(partition)
        {
            commits.push((event.at_ms, *next));
        }
    }
    commits.sort_unstable();
    commits
}

/// An owner begins at the committed offset or after it, never beyond what was read before, and skips nothing.
fn check_positions(partition: &str, spans: &[Span], commits: &[(i64, i64)]) -> Result<()> {
    let mut back = commits.windows(2).filter(|pair| pair[1].1 < pair[0].1);
    ensure!(back.next().is_none(), "the committed offset of {partition} went back: {commits:?}");
    let mut read_to = 0;
    for span in spans {
        let Some(first) = span.offsets.first() else {
            continue;
        };
        let committed = commits.iter().filter(|(at_ms, _)| *at_ms <= span.from_ms).map(|(_, next)| *next).max();
        ensure!(
            *first >= committed.unwrap_or(0),
            "{} read {partition} from {first} again, though {committed:?} was committed",
            span.member
        );
        ensure!(*first <= read_to, "{} began {partition} at {first}, but only {read_to} was reached", span.member);
        let skip = span.offsets.windows(2).find(|pair| pair[1] != pair[0] + 1);
        ensure!(skip.is_none(), "{} went from one offset of {partition} to another: {skip:?}", span.member);
        read_to = read_to.max(first + span.offsets.len() as i64);
    }
    Ok(())
}

fn check_everything_was_read(stories: &[Story], produced: &History) -> Result<()> {
    let mut values: HashMap<(&str, i64), &str> = HashMap::new();
    for event in stories.iter().flat_map(|story| &story.events) {
        if let What::Record { partition, offset, value } = &event.what {
            values.insert((partition, *offset), value.trim_end_matches('.'));
        }
    }
    ensure!(!produced.acked.is_empty(), "nothing was produced, so nothing was tested");
    let mut topics: Vec<&str> =
        values.keys().filter_map(|(partition, _)| partition.rsplit_once('-')).map(|(topic, _)| topic).collect();
    topics.sort_unstable();
    topics.dedup();
    ensure!(topics.len() == 1, "records of {topics:?} were read");
    for acked in &produced.acked {
        let record = &acked.record;
        let partition = format!("{}-{}", topics[0], record.partition);
        let read = values.get(&(partition.as_str(), record.offset)).copied();
        // A retry is not always told where the record went.
        ensure!(
            record.offset < 0 || read == Some(&record.value),
            "{} was acknowledged at {partition} {}, but there was read {read:?}",
            record.value,
            record.offset
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tidelog_cluster_tests::history::{Acked, Placed};

    use super::*;
    use crate::event::Event;

    fn story(name: &str, ended_at_ms: i64, lines: &[&str]) -> Story {
        let events = lines.iter().map(|line| Event::parse(line).unwrap()).collect();
        Story { name: name.into(), events, ended_at_ms }
    }

    fn assigned(at_ms: i64, generation: i64) -> String {
        format!(r#"{{"event":"assigned","at_ms":{at_ms},"partitions":["t-0"],"generation":{generation}}}"#)
    }

    fn revoked(at_ms: i64) -> String {
        format!(r#"{{"event":"revoked","at_ms":{at_ms},"partitions":["t-0"]}}"#)
    }

    fn record(offset: i64) -> String {
        format!(r#"{{"event":"record","at_ms":0,"partition":"t-0","offset":{offset},"value":"{offset}.."}}"#)
    }

    fn committed(at_ms: i64, next: i64) -> String {
        format!(r#"{{"event":"committed","at_ms":{at_ms},"offsets":{{"t-0":{next}}}}}"#)
    }

    fn verdict(first: &[String], second: &[String], count: i64) -> String {
        let told = [first, second].map(|lines| lines.iter().map(String::as_str).collect::<Vec<_>>());
        let stories = [story("a", 50, &told[0]), story("b", 100, &told[1])];
        let placed = |offset: i64| Placed { partition: 0, offset, value: offset.to_string() };
        let acked = (0..count).map(|offset| Acked { record: placed(offset), at_ms: 0 }).collect();
        let outcome = check(&stories, &History { acked, failed: Vec::new() });
        outcome.map_or_else(|error| error.to_string(), |()| "fine".to_owned())
    }

    #[test]
    fn a_partition_handed_on_at_its_committed_offset_is_fine() {
        let first = [assigned(1, 1), record(0), record(1), committed(5, 2), record(2), revoked(10)];
        assert_eq!(verdict(&first, &[assigned(10, 2), record(2), record(3)], 4), "fine");
    }

    #[test]
    fn two_owners_in_one_generation_are_found() {
        let first = [assigned(1, 1), record(0)];
        assert!(verdict(&first, &[assigned(10, 1), record(1)], 2).contains("two owners"));
        assert_eq!(verdict(&first, &[assigned(10, 2), record(1)], 2), "fine");
    }

    #[test]
    fn rereading_what_was_committed_is_found() {
        let first = [assigned(1, 1), record(0), record(1), committed(5, 2), revoked(10)];
        assert!(verdict(&first, &[assigned(11, 2), record(1)], 2).contains("again"));
    }

    #[test]
    fn skipped_and_missing_records_are_found() {
        let first = [assigned(1, 1), record(0), revoked(10)];
        assert!(verdict(&first, &[assigned(11, 2), record(2)], 3).contains("only 1 was reached"));
        assert!(verdict(&first, &[assigned(11, 2), record(1), record(3)], 3).contains("Some([1, 3])"));
        assert!(verdict(&first, &[assigned(11, 2), record(1)], 3).contains("acknowledged at t-0 2"));
    }

    #[test]
    fn a_committed_offset_that_goes_back_is_found() {
        let first = [assigned(1, 1), record(0), record(1), committed(5, 2), committed(6, 1)];
        assert!(verdict(&first, &[], 2).contains("went back"));
    }

    #[test]
    fn reading_what_one_does_not_own_is_found() {
        assert!(verdict(&[assigned(1, 1), revoked(2), record(0)], &[], 1).contains("without owning"));
    }
}
