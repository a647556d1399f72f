//! A coordinator's timers: what is due when, on the coordinator's own clock.
//!
//! Most timers are moved on before they fire (every heartbeat moves one). A timer that is moved to a later time leaves
//! its place in the heap, and is put back when that place comes up: moving costs a look-up and no reordering.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::{TimerChange, TimerKey};

/// Places in the heap that no timer has any more are swept when there are so many more than timers.
const STALE_MAX: usize = 1024;

#[derive(Debug)]
struct Booking {
    due_ms: i64,
    /// Where it stands in the heap; not after `due_ms`.
    place_ms: i64,
}

/// At most one timer for each key.
#[derive(Debug, Default)]
pub struct BookedTimers {
    booked: HashMap<TimerKey, Booking>,
    places: BinaryHeap<Reverse<(i64, TimerKey)>>,
}

impl BookedTimers {
    /// Books, moves or cancels.
    pub fn change(&mut self, change: TimerChange) {
        match change.due_ms {
            Some(due_ms) => self.book(change.key, due_ms),
            None => drop(self.booked.remove(&change.key)),
        }
        if self.places.len() > self.booked.len() + STALE_MAX {
            self.sweep();
        }
    }

    fn book(&mut self, key: TimerKey, due_ms: i64) {
        if let Some(booking) = self.booked.get_mut(&key) {
            booking.due_ms = due_ms;
            if due_ms >= booking.place_ms {
                return;
            }
            booking.place_ms = due_ms;
        } else {
            self.booked.insert(key.clone(), Booking { due_ms, place_ms: due_ms });
        }
        self.places.push(Reverse((due_ms, key)));
    }

    /// When to look next; nothing is due before.
    pub fn next_ms(&self) -> Option<i64> {
        self.places.peek().map(|Reverse((place_ms, _))| *place_ms)
    }

    /// Takes one timer that is due.
    pub fn take_due(&mut self, now_ms: i64) -> Option<TimerKey> {
        while self.next_ms().is_some_and(|place_ms| place_ms <= now_ms) {
            let Reverse((place_ms, key)) = self.places.pop()?;
            let Some(booking) = self.booked.get_mut(&key).filter(|booking| booking.place_ms == place_ms) else {
                continue;
            };
            if booking.due_ms <= now_ms {
                self.booked.remove(&key);
                return Some(key);
            }
            booking.place_ms = booking.due_ms;
            self.places.push(Reverse((booking.due_ms, key)));
        }
        None
    }

    fn sweep(&mut self) {
        let places = self.booked.iter_mut().map(|(key, booking)| {
            booking.place_ms = booking.due_ms;
            Reverse((booking.due_ms, key.clone()))
        });
        self.places = places.collect();
    }
}

#[cfg(test)]
mod tests {
    use tidelog_wire::Str;

    use super::*;

    fn key(member: &'static str) -> TimerKey {
        TimerKey::Session { group: Str::from_static("g"), member: Str::from_static(member) }
    }

    fn booked(changes: &[(&'static str, Option<i64>)]) -> BookedTimers {
        let mut timers = BookedTimers::default();
        for (member, due_ms) in changes {
            timers.change(TimerChange { key: key(member), due_ms: *due_ms });
        }
        timers
    }

    #[test]
    fn timers_come_in_the_order_of_their_times_and_not_before() {
        let mut timers = booked(&[("b", Some(20)), ("a", Some(10)), ("c", Some(30))]);
        assert_eq!(timers.take_due(9), None);
        assert_eq!(timers.take_due(25), Some(key("a")));
        assert_eq!(timers.take_due(25), Some(key("b")));
        assert_eq!(timers.take_due(25), None);
        assert_eq!(timers.next_ms(), Some(30));
    }

    #[test]
    fn a_timer_that_was_moved_fires_once_and_when_it_should() {
        for (moved_to, early, late) in [(50, 49, 50), (5, 4, 5)] {
            let mut timers = booked(&[("a", Some(10)), ("a", Some(moved_to))]);
            assert_eq!(timers.take_due(early), None);
            assert_eq!(timers.take_due(late), Some(key("a")));
            assert_eq!(timers.take_due(100), None);
        }
    }

    #[test]
    fn a_cancelled_timer_does_not_fire_even_if_it_is_booked_anew() {
        let mut timers = booked(&[("a", Some(10)), ("a", None), ("a", Some(20))]);
        assert_eq!(timers.take_due(15), None);
        assert_eq!(timers.take_due(20), Some(key("a")));
    }

    #[test]
    fn cancelled_timers_take_no_memory_for_long() {
        let mut timers = BookedTimers::default();
        for due_ms in 0..100_000 {
            timers.change(TimerChange { key: key("a"), due_ms: Some(100_000 - due_ms) });
        }
        assert!(timers.places.len() <= STALE_MAX + 1);
    }
}
