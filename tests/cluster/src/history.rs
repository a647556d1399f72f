//! What writers were told and readers saw, and what must hold between the two.
//!
//! An acknowledged record is read exactly once, at its offset. A failed send is *unknown*: it may be there
//! once or not at all. No value is there twice, because the producers are idempotent.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Result, bail, ensure};

/// A record where the broker said it is. Offset -1 is "stored before": a retry was told no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    pub partition: i32,
    pub offset: i64,
    pub value: String,
}

/// An acknowledgement, with the writer's clock.
#[derive(Clone, Debug)]
pub struct Acked {
    pub record: Placed,
    pub at_ms: i64,
}

/// Everything one writer was told, in the order in which it was told.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub acked: Vec<Acked>,
    pub failed: Vec<(String, String)>,
}

impl History {
    /// Checks the promises of acks=all with idempotence against a complete reading of the topic.
    pub fn check(&self, read: &[Placed]) -> Result<()> {
        ensure!(!self.acked.is_empty(), "nothing was acknowledged, so nothing was tested");
        let mut places: HashMap<&str, Vec<&Placed>> = HashMap::new();
        for record in read {
            places.entry(&record.value).or_default().push(record);
        }
        let doubled: Vec<_> = places.iter().filter(|(_, at)| at.len() > 1).collect();
        ensure!(doubled.is_empty(), "{} values are there more than once: {}", doubled.len(), sample(&doubled));
        let lost: Vec<_> = self.acked.iter().filter(|a| !places.contains_key(a.record.value.as_str())).collect();
        ensure!(
            lost.is_empty(),
            "{} of {} acknowledged records are lost: {}",
            lost.len(),
            self.acked.len(),
            sample(&lost)
        );
        let moved: Vec<_> = self
            .acked
            .iter()
            .filter(|a| a.record.offset >= 0 && *places[a.record.value.as_str()][0] != a.record)
            .collect();
        ensure!(
            moved.is_empty(),
            "{} acknowledged records are not where they were said to be: {}",
            moved.len(),
            sample(&moved)
        );
        check_order(read)
    }

    /// Fails if any send failed.
    pub fn check_no_failure(&self) -> Result<()> {
        match self.failed.first() {
            None => Ok(()),
            Some((value, error)) => bail!("{} sends failed, the first ({value}) with: {error}", self.failed.len()),
        }
    }

    /// The longest time without an acknowledgement on any one partition, in milliseconds.
    pub fn longest_gap_ms(&self) -> i64 {
        let mut last: BTreeMap<i32, i64> = BTreeMap::new();
        let mut longest = 0;
        for acked in &self.acked {
            if let Some(before) = last.insert(acked.record.partition, acked.at_ms) {
                longest = longest.max(acked.at_ms - before);
            }
        }
        longest
    }
}

/// Offsets of each partition are contiguous: these writers use no transactions and nothing is deleted.
fn check_order(read: &[Placed]) -> Result<()> {
    let mut next: BTreeMap<i32, i64> = BTreeMap::new();
    for record in read {
        let expected = next.entry(record.partition).or_insert(record.offset);
        ensure!(record.offset == *expected, "expected offset {expected}, read {record:?}");
        *expected += 1;
    }
    Ok(())
}

fn sample<T: std::fmt::Debug>(items: &[T]) -> String {
    format!("{:?}", &items[..items.len().min(3)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(offset: i64, value: &str) -> Placed {
        Placed { partition: 0, offset, value: value.into() }
    }

    fn acked(records: &[(i64, &str, i64)]) -> History {
        let acked =
            records.iter().map(|(offset, value, at_ms)| Acked { record: placed(*offset, value), at_ms: *at_ms });
        History { acked: acked.collect(), failed: Vec::new() }
    }

    #[test]
    fn records_that_are_where_they_were_acknowledged_pass() {
        let history = acked(&[(0, "a", 0), (1, "b", 5)]);
        history.check(&[placed(0, "a"), placed(1, "b"), placed(2, "unknown outcome")]).unwrap();
    }

    #[test]
    fn a_lost_record_is_found() {
        let error = acked(&[(0, "a", 0), (1, "b", 5)]).check(&[placed(0, "a")]).unwrap_err();
        assert!(error.to_string().contains("1 of 2 acknowledged records are lost"), "{error}");
    }

    #[test]
    fn a_doubled_record_is_found() {
        let error = acked(&[(0, "a", 0)]).check(&[placed(0, "a"), placed(1, "a")]).unwrap_err();
        assert!(error.to_string().contains("more than once"), "{error}");
    }

    #[test]
    fn a_moved_record_is_found() {
        let error = acked(&[(0, "a", 0)]).check(&[placed(0, "b"), placed(1, "a")]).unwrap_err();
        assert!(error.to_string().contains("not where"), "{error}");
    }

    #[test]
    fn a_hole_in_the_offsets_is_found() {
        let error = acked(&[(0, "a", 0)]).check(&[placed(0, "a"), placed(2, "b")]).unwrap_err();
        assert!(error.to_string().contains("expected offset 1"), "{error}");
    }

    #[test]
    fn the_longest_gap_is_per_partition() {
        let mut history = acked(&[(0, "a", 0), (1, "b", 700), (2, "c", 900)]);
        history.acked[1].record.partition = 1;
        assert_eq!(history.longest_gap_ms(), 900);
    }
}
