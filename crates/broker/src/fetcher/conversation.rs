//! One connection to a leader, from its first full Fetch to its end.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tidelog_replication::{FetchPosition, FetchVerdict};
use tidelog_wire::messages::FetchRequest;
use tidelog_wire::types::PartitionIndex;
use tidelog_wire::{DecodeError, EncodeError, ErrorCode, Str, Uuid, frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use super::link::Link;
use super::request;
use crate::back_off::BackOff;
use crate::net::tcp::{ReadHalf, TcpStream, WriteHalf};
use crate::net::{BadFrameLength, FrameBuffer};
use crate::partition::PartitionHandle;
use crate::shard::Shard;

/// After an answer with records the next request waits this long for their flush: it then names them right away, and
/// the leader is spared a request that says nothing.
const FLUSH_GRACE: Duration = Duration::from_millis(3);
/// How long one answer's appends may keep the shard: the first to each partition make files.
const APPENDS_MAX: Duration = Duration::from_millis(20);
const FRAME_BYTES_MAX: usize = 512 << 20;
const CLIENT_ID: Str = Str::from_static("replica-fetcher");

#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("the leader closed the connection")]
    ByLeader,
    #[error("the leader did not answer in time")]
    Silence,
    #[error("the leader refused with {0}")]
    Refused(&'static str),
    #[error(transparent)]
    Socket(#[from] io::Error),
    #[error(transparent)]
    Frame(#[from] BadFrameLength),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// A partition in the session, with the question that is open about it.
struct Member {
    partition: PartitionHandle,
    position: FetchPosition,
    /// Number of the request that asked it: an earlier request's answer is to an earlier question.
    asked_in: u64,
}

struct InFlight {
    number: u64,
    sent: Instant,
}

pub(super) struct Conversation<'a> {
    shard: &'a Rc<Shard>,
    link: &'a Link,
    reader: ReadHalf<'a>,
    writer: WriteHalf<'a>,
    frames: FrameBuffer,
    session_id: i32,
    session_epoch: i32,
    /// Of requests on this connection. On the wire go its lower 32 bits, which nobody compares.
    next_number: u64,
    in_flight: VecDeque<InFlight>,
    members: HashMap<(Uuid, PartitionIndex), Member>,
    /// Partitions whose answer was a refusal, by when to ask again.
    delayed: BTreeMap<Instant, Vec<PartitionHandle>>,
    flush_grace: Option<Instant>,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(shard: &'a Rc<Shard>, link: &'a Link, stream: &'a mut TcpStream) -> Self {
        let (reader, writer) = stream.split();
        Self {
            shard,
            link,
            reader,
            writer,
            frames: FrameBuffer::new(FRAME_BYTES_MAX),
            session_id: 0,
            session_epoch: 0,
            next_number: 0,
            in_flight: VecDeque::new(),
            members: HashMap::new(),
            delayed: BTreeMap::new(),
            flush_grace: None,
        }
    }

    /// Fetches until the connection ends.
    pub(super) async fn run(&mut self, back_off: &mut BackOff) -> Ended {
        match self.converse(back_off).await {
            Ok(never) => match never {},
            Err(ended) => ended,
        }
    }

    /// Every partition is to be named anew by the next conversation. Returns whether the leader owed an answer.
    pub(super) fn give_back(&mut self) -> bool {
        let delayed = std::mem::take(&mut self.delayed).into_values().flatten();
        for partition in self.members.drain().map(|(_, member)| member.partition).chain(delayed) {
            self.link.queue(partition);
        }
        !self.in_flight.is_empty()
    }

    async fn converse(&mut self, back_off: &mut BackOff) -> Result<std::convert::Infallible, Ended> {
        loop {
            self.ask_if_due().await?;
            let wake_at = self.wake_at();
            // Every branch is cancel-safe: bytes are only taken from the socket into the buffer.
            tokio::select! {
                () = self.link.changed.notified() => {}
                received = self.reader.read_buf(self.frames.for_read()) => {
                    let bytes = received?;
                    if bytes == 0 {
                        return Err(Ended::ByLeader);
                    }
                    self.frames.note_read(bytes);
                    while let Some(answer) = self.frames.next_frame()? {
                        self.answered(answer, back_off).await?;
                    }
                }
                () = sleep_until(wake_at) => self.time_passed()?,
            }
            if self.link.is_image_new.replace(false) {
                back_off.reset();
                self.end_delays(Instant::now() + Duration::from_secs(3600));
            }
        }
    }

    fn silence_max(&self) -> Duration {
        let replica = &self.shard.options.replica;
        replica.fetch_wait_max + replica.session_timeout
    }

    fn wake_at(&self) -> Instant {
        let silence = self.in_flight.front().map(|request| request.sent + self.silence_max());
        let delayed = self.delayed.keys().next().copied();
        let far = Instant::now() + Duration::from_secs(60);
        [silence, delayed, self.flush_grace].into_iter().flatten().min().unwrap_or(far)
    }

    fn time_passed(&mut self) -> Result<(), Ended> {
        let now = Instant::now();
        if self.in_flight.front().is_some_and(|request| now >= request.sent + self.silence_max()) {
            return Err(Ended::Silence);
        }
        self.end_delays(now);
        Ok(())
    }

    fn end_delays(&mut self, until: Instant) {
        let later = self.delayed.split_off(&(until + Duration::from_nanos(1)));
        for partition in std::mem::replace(&mut self.delayed, later).into_values().flatten() {
            self.link.queue(partition);
        }
    }

    /// Whether to send a request now, and be it one that names nothing and waits at the leader.
    fn is_due(&self) -> bool {
        let has_news = !self.link.ready.borrow().is_empty() || !self.link.forgotten.borrow().is_empty();
        match self.in_flight.len() {
            0 if has_news => true,
            0 => !self.members.is_empty() && self.flush_grace.is_none_or(|until| Instant::now() >= until),
            // Only one that the leader may park is followed by another, and only once the session stands.
            1 => has_news && self.session_id != 0,
            _ => false,
        }
    }

    async fn ask_if_due(&mut self) -> Result<(), Ended> {
        if !self.is_due() {
            return Ok(());
        }
        let number = self.next_number;
        let forgotten = self.take_forgotten();
        let named = self.take_named(number);
        if named.is_empty() && forgotten.is_empty() && (self.members.is_empty() || !self.in_flight.is_empty()) {
            return Ok(());
        }
        let request = request::build(self.shard, (self.session_id, self.session_epoch), named, forgotten);
        let correlation_id = number as i32;
        let frame =
            frame::encode_request::<FetchRequest>(correlation_id, Some(&CLIENT_ID), request::VERSION, &request)?;
        for chunk in frame {
            self.writer.write_all(&chunk).await?;
        }
        self.flush_grace = None;
        self.next_number += 1;
        self.session_epoch = self.session_epoch.checked_add(1).unwrap_or(1);
        self.in_flight.push_back(InFlight { number, sent: Instant::now() });
        Ok(())
    }

    fn take_forgotten(&mut self) -> Vec<(Uuid, PartitionIndex)> {
        let mut forgotten = self.link.forgotten.take();
        forgotten.retain(|key| self.members.remove(key).is_some());
        forgotten
    }

    /// What the ready partitions have to ask, each noted under this request's number.
    fn take_named(&mut self, number: u64) -> Vec<(Uuid, PartitionIndex, FetchPosition)> {
        let mut named = Vec::new();
        for partition in self.link.ready.take() {
            partition.fetch_queued.set(false);
            let Some(position) = partition.fetch_position() else {
                continue;
            };
            if position.leader != self.link.leader {
                self.shard.fetchers.ready(self.shard, position.leader, &partition);
                continue;
            }
            if let Some(until) = self.held_back(&partition) {
                self.delayed.entry(until).or_default().push(partition);
                continue;
            }
            let key = (partition.id.topic_id, partition.id.index);
            named.push((key.0, key.1, position));
            self.members.insert(key, Member { partition, position, asked_in: number });
        }
        named
    }

    /// While the throttle has nothing left for replicas that catch up, this one is not asked for.
    fn held_back(&self, partition: &PartitionHandle) -> Option<Instant> {
        let until = self.shard.throttles.as_follower.exceeded_until(Instant::now());
        until.filter(|_| partition.throttled.get().as_follower && !self.is_in_sync(partition))
    }

    fn is_in_sync(&self, partition: &PartitionHandle) -> bool {
        let id = partition.id.id_partition();
        self.shard.image().partition(id).is_some_and(|state| state.isr.contains(&self.shard.node_id()))
    }

    async fn answered(&mut self, answer: Bytes, back_off: &mut BackOff) -> Result<(), Ended> {
        let response = frame::decode_response::<FetchRequest>(answer, request::VERSION)?;
        let Some(request) = self.in_flight.pop_front() else {
            return Err(Ended::Refused("an answer that nobody asked for"));
        };
        if response.error_code != ErrorCode::NONE {
            return Err(Ended::Refused(response.error_code.name()));
        }
        self.shard.peers.heard(self.link.leader);
        self.session_id = response.session_id;
        let mut has_records = false;
        let mut refused = Vec::new();
        let mut pause = Instant::now() + APPENDS_MAX;
        for topic in response.responses {
            for data in topic.partitions {
                if Instant::now() >= pause {
                    tokio::task::yield_now().await;
                    pause = Instant::now() + APPENDS_MAX;
                }
                let key = (topic.topic_id, PartitionIndex(data.partition_index));
                let code = data.error_code;
                let Some(member) = self.members.get(&key).filter(|member| member.asked_in <= request.number) else {
                    continue;
                };
                let (answer, records) = request::read(data);
                has_records |= !records.is_empty();
                if member.partition.throttled.get().as_follower {
                    self.shard.throttles.as_follower.spent(records.len(), Instant::now());
                }
                let verdict = member.partition.fetch_answered(self.shard, &member.position, &answer, records);
                match verdict {
                    FetchVerdict::BackOff => {
                        debug!(partition = %member.partition.id, error = code.name(), "asking again later");
                        refused.push(Rc::clone(&member.partition));
                    }
                    FetchVerdict::Append | FetchVerdict::Done => back_off.reset(),
                    FetchVerdict::Stale => {}
                }
            }
        }
        if !refused.is_empty() {
            self.delayed.entry(Instant::now() + back_off.next()).or_default().extend(refused);
        }
        if has_records {
            self.flush_grace = Some(Instant::now() + FLUSH_GRACE);
        }
        Ok(())
    }
}
