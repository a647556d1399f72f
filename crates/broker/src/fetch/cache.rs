//! The sessions that are kept between requests (KIP-227).

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use tidelog_wire::ErrorCode;
use tokio::time::Instant;

use super::session::{FetchSession, Reader};
use crate::shard::Shard;

/// A session unused for so long may have to make room for a new one, as in Kafka.
const EVICTABLE_AFTER: Duration = Duration::from_secs(120);

/// Why a request does not fit its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionError {
    NotFound,
    WrongEpoch,
    /// The session began with names and goes on with ids, or the reverse.
    MixedTopicKeys,
}

impl SessionError {
    pub(crate) fn code(self) -> ErrorCode {
        match self {
            Self::NotFound => ErrorCode::FETCH_SESSION_ID_NOT_FOUND,
            Self::WrongEpoch => ErrorCode::INVALID_FETCH_SESSION_EPOCH,
            Self::MixedTopicKeys => ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR,
        }
    }
}

pub(crate) struct FetchSessions {
    sessions: RefCell<HashMap<i32, Rc<FetchSession>>>,
    next_id: Cell<i32>,
    sessions_max: usize,
}

impl FetchSessions {
    pub(crate) fn new(sessions_max: usize, first_id: i32) -> Self {
        Self { sessions: RefCell::default(), next_id: Cell::new(first_id.max(1)), sessions_max }
    }

    /// A session for a full request. It is kept if there is room; a follower always finds some, and replaces its own.
    pub(crate) fn begin(&self, reader: Reader, uses_topic_ids: bool) -> Rc<FetchSession> {
        if let Reader::Follower(broker, _) = reader {
            let is_same =
                |session: &FetchSession| matches!(session.reader, Reader::Follower(other, _) if other == broker);
            self.sessions.borrow_mut().retain(|_, session| !is_same(session));
        } else if !self.make_room() {
            return FetchSession::new(0, reader, uses_topic_ids);
        }
        let id = self.next_id.get();
        self.next_id.set(id.checked_add(1).unwrap_or(1));
        let session = FetchSession::new(id, reader, uses_topic_ids);
        self.sessions.borrow_mut().insert(id, Rc::clone(&session));
        session
    }

    /// The session an incremental request continues.
    pub(crate) fn resume(
        &self,
        id: i32,
        epoch: i32,
        reader: Reader,
        uses_topic_ids: bool,
    ) -> Result<Rc<FetchSession>, SessionError> {
        let sessions = self.sessions.borrow();
        let session = sessions.get(&id).filter(|session| session.reader == reader).ok_or(SessionError::NotFound)?;
        if session.next_epoch.get() != epoch {
            return Err(SessionError::WrongEpoch);
        }
        if session.uses_topic_ids != uses_topic_ids {
            return Err(SessionError::MixedTopicKeys);
        }
        session.next_epoch.set(epoch.checked_add(1).unwrap_or(1));
        session.last_used.set(Instant::now());
        Ok(Rc::clone(session))
    }

    /// Whoever still waits in it waits for nothing any more.
    pub(crate) fn end(&self, shard: &Rc<Shard>, id: i32) {
        let ended = self.sessions.borrow_mut().remove(&id);
        if let Some(session) = ended {
            session.answer_parked_empty(shard);
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.sessions.borrow().len()
    }

    /// Followers may wait for what a new image shows.
    pub(crate) fn image_changed(&self, shard: &Shard) {
        for session in self.sessions.borrow().values() {
            FetchSession::image_changed(session, shard);
        }
    }

    fn make_room(&self) -> bool {
        let mut sessions = self.sessions.borrow_mut();
        if sessions.len() < self.sessions_max {
            return true;
        }
        let now = Instant::now();
        let oldest = sessions
            .iter()
            .filter(|(_, session)| session.reader == Reader::Consumer)
            .filter(|(_, session)| now - session.last_used.get() > EVICTABLE_AFTER)
            .min_by_key(|(_, session)| session.last_used.get())
            .map(|(id, _)| *id);
        oldest.is_some_and(|id| sessions.remove(&id).is_some())
    }
}

#[cfg(test)]
mod tests {
    use tidelog_wire::types::{BrokerEpoch, BrokerId};

    use super::*;

    #[test]
    fn a_request_must_continue_its_session_in_order() {
        let cache = FetchSessions::new(10, 1);
        let id = cache.begin(Reader::Consumer, true).id;
        let resume = |epoch, ids| cache.resume(id, epoch, Reader::Consumer, ids).map(|session| session.id);
        assert_eq!(resume(1, true), Ok(id));
        assert_eq!(resume(1, true), Err(SessionError::WrongEpoch));
        assert_eq!(resume(2, false), Err(SessionError::MixedTopicKeys));
        cache.sessions.borrow_mut().remove(&id);
        assert_eq!(resume(2, true), Err(SessionError::NotFound));
    }

    #[test]
    fn followers_find_room_when_consumers_do_not() {
        let cache = FetchSessions::new(1, 1);
        assert_ne!(cache.begin(Reader::Consumer, true).id, 0);
        assert_eq!(cache.begin(Reader::Consumer, true).id, 0);
        let follower = Reader::Follower(BrokerId(2), BrokerEpoch(7));
        let first = cache.begin(follower, true).id;
        let second = cache.begin(follower, true).id;
        assert!(first != 0 && second != 0);
        assert_eq!(cache.count(), 2, "a follower has one session");
    }
}
