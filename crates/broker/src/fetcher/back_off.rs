//! 10 ms doubling to 200 (docs/REPLICATION.md R1).

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(200);

pub(super) struct BackOff {
    next: Duration,
}

impl BackOff {
    pub(super) fn new() -> Self {
        Self { next: FIRST }
    }

    pub(super) fn next(&mut self) -> Duration {
        let now = self.next;
        self.next = (now * 2).min(LONGEST);
        now
    }

    pub(super) fn reset(&mut self) {
        self.next = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_its_longest_and_starts_over() {
        let mut back_off = BackOff::new();
        let waits: Vec<_> = (0..7).map(|_| back_off.next().as_millis()).collect();
        assert_eq!(waits, [10, 20, 40, 80, 160, 200, 200]);
        back_off.reset();
        assert_eq!(back_off.next().as_millis(), 10);
    }
}
