//! Waits that double.

use std::time::Duration;

pub(crate) struct BackOff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl BackOff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    pub(crate) fn next(&mut self) -> Duration {
        let now = self.next;
        self.next = (now * 2).min(self.longest);
        now
    }

    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_its_longest_and_starts_over() {
        let mut back_off = BackOff::new(Duration::from_millis(10), Duration::from_millis(200));
        let waits: Vec<_> = (0..7).map(|_| back_off.next().as_millis()).collect();
        assert_eq!(waits, [10, 20, 40, 80, 160, 200, 200]);
        back_off.reset();
        assert_eq!(back_off.next().as_millis(), 10);
    }
}
