//! The leader-epoch cache: which epoch starts at which offset (KIP-101), and its checkpoint file in Kafka's format.

use std::fmt::Write;

use tidelog_wire::types::{LeaderEpoch, Offset};

/// Epochs and start offsets, both strictly increasing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Epochs {
    entries: Vec<(LeaderEpoch, Offset)>,
}

impl Epochs {
    pub(crate) fn latest(&self) -> LeaderEpoch {
        self.entries.last().map_or(LeaderEpoch::NONE, |(epoch, _)| *epoch)
    }

    /// Notes that `epoch` starts at `start`; an entry without records (same start) gives way. Returns whether
    /// anything changed; an epoch that is not new changes nothing.
    pub(crate) fn assign(&mut self, epoch: LeaderEpoch, start: Offset) -> bool {
        if epoch <= self.latest() {
            return false;
        }
        self.truncate_from_end(start);
        self.entries.push((epoch, start));
        true
    }

    /// Kafka's `endOffsetFor`: the greatest epoch not above `epoch` and the offset at which the next one starts.
    pub(crate) fn end_offset_for(&self, epoch: LeaderEpoch, log_end: Offset) -> (LeaderEpoch, Offset) {
        let undefined = (LeaderEpoch::NONE, Offset(-1));
        if epoch == LeaderEpoch::NONE || epoch > self.latest() {
            return undefined;
        }
        let above = self.entries.partition_point(|(known, _)| *known <= epoch);
        let end = self.entries.get(above).map_or(log_end, |(_, start)| *start);
        match above.checked_sub(1) {
            Some(floor) => (self.entries[floor].0, end),
            // Older than anything left in the log: the records of that epoch, if any, all lie below.
            None => (epoch, end),
        }
    }

    pub(crate) fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let above = self.entries.partition_point(|(_, start)| *start <= offset);
        above.checked_sub(1).map(|index| self.entries[index].0)
    }

    /// Drops the entries that start at or above `end`. Returns whether there were any.
    pub(crate) fn truncate_from_end(&mut self, end: Offset) -> bool {
        let kept = self.entries.partition_point(|(_, start)| *start < end);
        let changed = kept < self.entries.len();
        self.entries.truncate(kept);
        changed
    }

    /// The log now starts at `log_start`: the epoch that is current there starts there too.
    pub(crate) fn truncate_from_start(&mut self, log_start: Offset) -> bool {
        let above = self.entries.partition_point(|(_, start)| *start <= log_start);
        let Some(current) = above.checked_sub(1) else {
            return false;
        };
        if current == 0 && self.entries[0].1 == log_start {
            return false;
        }
        self.entries.drain(..current);
        self.entries[0].1 = log_start;
        true
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    /// Version, count, then one line per entry.
    pub(crate) fn to_checkpoint(&self) -> String {
        let mut text = format!("0\n{}\n", self.entries.len());
        for (epoch, start) in &self.entries {
            writeln!(text, "{epoch} {start}").expect("a String takes any text");
        }
        text
    }

    /// `None` if the text is not a whole checkpoint.
    pub(crate) fn parse_checkpoint(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.lines();
        if lines.next()? != "0" {
            return None;
        }
        let count: usize = lines.next()?.parse().ok()?;
        let entries: Vec<_> = lines.map(parse_entry).collect::<Option<_>>()?;
        let increasing = entries.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1);
        (entries.len() == count && increasing).then_some(Self { entries })
    }
}

fn parse_entry(line: &str) -> Option<(LeaderEpoch, Offset)> {
    let (epoch, start) = line.split_once(' ')?;
    Some((LeaderEpoch(epoch.parse().ok()?), Offset(start.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(entries: &[(i32, i64)]) -> Epochs {
        let mut epochs = Epochs::default();
        for (epoch, start) in entries {
            assert!(epochs.assign(LeaderEpoch(*epoch), Offset(*start)));
        }
        epochs
    }

    #[test]
    fn end_offsets_are_those_of_kafka() {
        let epochs = epochs(&[(2, 10), (4, 20), (7, 35)]);
        let table = [
            (-1, (-1, -1)),
            (1, (1, 10)),
            (2, (2, 20)),
            (3, (2, 20)),
            (4, (4, 35)),
            (6, (4, 35)),
            (7, (7, 50)),
            (8, (-1, -1)),
        ];
        for (asked, (epoch, end)) in table {
            let answer = epochs.end_offset_for(LeaderEpoch(asked), Offset(50));
            assert_eq!(answer, (LeaderEpoch(epoch), Offset(end)), "epoch {asked}");
        }
    }

    #[test]
    fn an_epoch_without_records_gives_way_and_an_old_one_changes_nothing() {
        let mut epochs = epochs(&[(1, 0), (2, 5), (3, 5)]);
        assert_eq!(epochs.to_checkpoint(), "0\n2\n1 0\n3 5\n");
        assert!(!epochs.assign(LeaderEpoch(3), Offset(9)));
        assert!(!epochs.assign(LeaderEpoch(2), Offset(9)));
        assert_eq!(epochs.latest(), LeaderEpoch(3));
    }

    #[test]
    fn truncation_keeps_the_epoch_that_is_current() {
        let mut cut = epochs(&[(1, 0), (2, 5), (3, 9)]);
        assert!(cut.truncate_from_start(Offset(7)));
        assert_eq!(cut.to_checkpoint(), "0\n2\n2 7\n3 9\n");
        assert_eq!(cut.epoch_at(Offset(8)), Some(LeaderEpoch(2)));
        assert_eq!(cut.epoch_at(Offset(6)), None);
        assert!(cut.truncate_from_end(Offset(9)));
        assert_eq!(cut.latest(), LeaderEpoch(2));
    }

    #[test]
    fn a_damaged_checkpoint_is_told_from_a_whole_one() {
        let whole = epochs(&[(1, 0), (2, 500)]);
        let text = whole.to_checkpoint();
        assert_eq!(Epochs::parse_checkpoint(&text), Some(whole));
        for cut in 0..text.len() {
            assert_eq!(Epochs::parse_checkpoint(&text[..cut]), None, "{cut} bytes");
        }
        assert_eq!(Epochs::parse_checkpoint("0\n2\n2 5\n1 9\n"), None);
    }
}
