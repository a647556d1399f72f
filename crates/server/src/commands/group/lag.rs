//! How far a group is behind, in records and in time. No clock: "now" is an argument.

use serde::Serialize;

/// Where a group stands in one partition. What could not be found out is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    pub committed: Option<i64>,
    pub log_start: Option<i64>,
    pub log_end: Option<i64>,
}

impl Position {
    /// Records that can still be read. Kafka's tools also count those that retention has deleted unread. A commit beyond the
    /// end (the log was truncated, or the topic recreated) is behind by nothing.
    pub fn lag(&self) -> Option<i64> {
        Some((self.log_end? - self.next()?).max(0))
    }

    /// The offset of the record that would be read next, if there is one.
    pub fn next_unread(&self) -> Option<i64> {
        let next = self.next()?;
        (next < self.log_end?).then_some(next)
    }

    /// Where reading continues: at the committed offset, or at the log's start if retention has overtaken the group.
    fn next(&self) -> Option<i64> {
        Some(self.committed?.max(self.log_start.unwrap_or(0)))
    }
}

/// How long the next unread record has been waiting: nothing where all is read; unknown where its time is.
pub fn lag_ms(position: &Position, next_timestamp_ms: Option<i64>, now_ms: i64) -> Option<i64> {
    match position.lag()? {
        0 => Some(0),
        _ => next_timestamp_ms.filter(|timestamp_ms| *timestamp_ms >= 0).map(|t| (now_ms - t).max(0)),
    }
}

/// Several partitions together: the sum in records, the longest in time. Unknown ones are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TotalLag {
    pub lag: Option<i64>,
    pub lag_ms: Option<i64>,
}

impl TotalLag {
    pub fn add(&mut self, lag: Option<i64>, lag_ms: Option<i64>) {
        self.lag = sum(self.lag, lag);
        self.lag_ms = self.lag_ms.max(lag_ms);
    }
}

fn sum(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    match (a, b) {
        (None, None) => None,
        (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(committed: i64, log_start: i64, log_end: i64) -> Position {
        Position { committed: Some(committed), log_start: Some(log_start), log_end: Some(log_end) }
    }

    #[test]
    fn lag_in_records_and_where_reading_goes_on() {
        let table = [
            (position(3, 0, 10), Some(7), Some(3)),
            (position(10, 0, 10), Some(0), None),
            (position(3, 5, 10), Some(5), Some(5)),
            (position(3, 10, 10), Some(0), None),
            (position(12, 0, 10), Some(0), None),
            (Position { committed: None, ..position(0, 0, 10) }, None, None),
            (Position { log_end: None, ..position(3, 0, 0) }, None, None),
            (Position { log_start: None, ..position(3, 0, 10) }, Some(7), Some(3)),
        ];
        for (position, lag, next) in table {
            assert_eq!((position.lag(), position.next_unread()), (lag, next), "{position:?}");
        }
    }

    #[test]
    fn lag_in_time_is_the_age_of_the_next_unread_record() {
        let behind = position(3, 0, 10);
        assert_eq!(lag_ms(&behind, Some(4_000), 10_000), Some(6_000));
        assert_eq!(lag_ms(&behind, Some(11_000), 10_000), Some(0), "a clock that runs ahead");
        assert_eq!(lag_ms(&behind, Some(-1), 10_000), None, "a record without a time");
        assert_eq!(lag_ms(&behind, None, 10_000), None);
        assert_eq!(lag_ms(&position(10, 0, 10), None, 10_000), Some(0));
        assert_eq!(lag_ms(&Position::default(), Some(4_000), 10_000), None);
    }

    #[test]
    fn totals_add_records_and_take_the_longest_time() {
        let mut total = TotalLag::default();
        total.add(None, None);
        assert_eq!(total, TotalLag { lag: None, lag_ms: None });
        total.add(Some(4), Some(100));
        total.add(Some(6), None);
        total.add(None, Some(70));
        assert_eq!(total, TotalLag { lag: Some(10), lag_ms: Some(100) });
    }
}
