//! Where a group's offsets are to be put: pure decisions over what is known of each partition.

use super::lag::Position;

/// Where to; what needs the cluster's answer (a time) has been asked already and comes along as `at_time`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    Earliest,
    Latest,
    Current,
    Offset(i64),
    ShiftBy(i64),
    /// The first record of this time or later, milliseconds since 1970.
    Time(i64),
}

/// A new offset, and whether the log's bounds had a say in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOffset {
    pub offset: i64,
    pub was_clipped: bool,
}

/// Why there is no new offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoOffset {
    #[error("the group has no offset there to shift")]
    NothingCommitted,
    #[error("it has no leader, or does not exist")]
    UnknownBounds,
}

/// Within the log's bounds always: an offset outside would be reset by the consumer as it likes.
pub fn new_offset(goal: Goal, position: &Position, at_time: Option<i64>) -> Result<NewOffset, NoOffset> {
    let (Some(start), Some(end)) = (position.log_start, position.log_end) else { return Err(NoOffset::UnknownBounds) };
    let wanted = match goal {
        Goal::Earliest => start,
        Goal::Latest => end,
        Goal::Offset(offset) => offset,
        Goal::ShiftBy(records) => position.committed.ok_or(NoOffset::NothingCommitted)?.saturating_add(records),
        // As Kafka's tool has it: without an offset, the end is where a new consumer would be.
        Goal::Current => position.committed.unwrap_or(end),
        Goal::Time(_) => at_time.ok_or(NoOffset::UnknownBounds)?,
    };
    let offset = wanted.min(end).max(start);
    Ok(NewOffset { offset, was_clipped: offset != wanted })
}

#[cfg(test)]
mod tests {
    use super::*;

    const POSITION: Position = Position { committed: Some(50), log_start: Some(10), log_end: Some(100) };

    fn offset(goal: Goal) -> (i64, bool) {
        let new = new_offset(goal, &POSITION, Some(70)).unwrap();
        (new.offset, new.was_clipped)
    }

    #[test]
    fn each_goal_within_the_bounds_of_the_log() {
        let table = [
            (Goal::Earliest, 10, false),
            (Goal::Latest, 100, false),
            (Goal::Current, 50, false),
            (Goal::Offset(33), 33, false),
            (Goal::Offset(3), 10, true),
            (Goal::Offset(333), 100, true),
            (Goal::ShiftBy(-5), 45, false),
            (Goal::ShiftBy(5), 55, false),
            (Goal::ShiftBy(i64::MIN), 10, true),
            (Goal::ShiftBy(i64::MAX), 100, true),
            (Goal::Time(0), 70, false),
        ];
        for (goal, expected, was_clipped) in table {
            assert_eq!(offset(goal), (expected, was_clipped), "{goal:?}");
        }
    }

    #[test]
    fn a_partition_without_an_offset_cannot_be_shifted_and_begins_at_the_end() {
        let fresh = Position { committed: None, ..POSITION };
        assert_eq!(new_offset(Goal::ShiftBy(1), &fresh, None), Err(NoOffset::NothingCommitted));
        assert_eq!(new_offset(Goal::Current, &fresh, None).map(|new| new.offset), Ok(100));
        assert_eq!(new_offset(Goal::Earliest, &Position::default(), None), Err(NoOffset::UnknownBounds));
    }
}
