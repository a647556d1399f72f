//! Replies that wait for the high watermark, in the order of the appends they wait for.
//!
//! ```text
//! appends   1 ........ 2 ........ 3 ........ (the next one)
//!           committed ─┘          └─ appended
//! replies             [after 2]  [after 3]   [decided, with records that are not appended yet]
//! ```
//! A reply waits for what its coordinator had appended when it was decided, its own records included, and not for more:
//! then nobody is told what a later coordinator may not know.

use std::collections::VecDeque;

/// `T` is an answer and whose it is. `P` is where an append ends: its number, or an offset.
#[derive(Debug)]
pub struct WaitingReplies<P, T> {
    /// The last append; at first what was in the log before the coordinator was.
    appended: P,
    /// `None` while not even the log as it was found is known to be committed.
    committed: Option<P>,
    replies: VecDeque<(P, Vec<T>)>,
}

impl<P: Copy + Ord, T> WaitingReplies<P, T> {
    /// The log was found to end at `appended`.
    pub fn new(appended: P) -> Self {
        Self { appended, committed: None, replies: VecDeque::new() }
    }

    pub fn appended(&self) -> P {
        self.appended
    }

    /// Takes the replies that wait for the next append.
    pub fn append(&mut self, append: P, replies: Vec<T>) {
        assert!(append > self.appended, "appends come in their order");
        self.appended = append;
        self.replies.push_back((append, replies));
    }

    /// A reply that came with no records. It comes back if it may leave at once.
    #[must_use]
    pub fn answer(&mut self, reply: T) -> Option<T> {
        if self.committed >= Some(self.appended) {
            return Some(reply);
        }
        match self.replies.back_mut() {
            Some((append, replies)) if *append == self.appended => replies.push(reply),
            _ => self.replies.push_back((self.appended, vec![reply])),
        }
        None
    }

    /// The high watermark has passed everything up to `through`: these may leave.
    #[must_use]
    pub fn commit(&mut self, through: P) -> Vec<T> {
        self.committed = self.committed.max(Some(through));
        let mut released = Vec::new();
        while let Some((_, replies)) = self.replies.pop_front_if(|(append, _)| *append <= through) {
            released.extend(replies);
        }
        released
    }

    /// Drops all replies: whether their records survive is not known.
    pub fn clear(&mut self) {
        self.replies.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_waits_for_its_own_append_and_not_for_later_ones() {
        let mut waiting = WaitingReplies::new(0);
        waiting.append(1, vec!["first"]);
        assert_eq!(waiting.answer("read"), None);
        waiting.append(2, vec!["second"]);
        assert!(waiting.commit(0).is_empty());
        assert_eq!(waiting.commit(1), ["first", "read"]);
        assert_eq!(waiting.commit(2), ["second"]);
    }

    #[test]
    fn a_read_is_answered_at_once_only_when_all_there_is_is_committed() {
        let mut waiting = WaitingReplies::new(0);
        assert_eq!(waiting.answer("early"), None, "the log as it was found is not known to be committed");
        assert_eq!(waiting.commit(0), ["early"]);
        assert_eq!(waiting.answer("late"), Some("late"));
        waiting.append(3, vec![]);
        assert_eq!(waiting.answer("read"), None);
        assert_eq!(waiting.commit(5), ["read"], "others may have appended after it");
        assert_eq!(waiting.answer("late"), Some("late"));
    }

    #[test]
    fn what_is_dropped_is_not_released() {
        let mut waiting = WaitingReplies::new(0);
        waiting.append(1, vec!["lost"]);
        waiting.clear();
        assert!(waiting.commit(1).is_empty());
    }
}
