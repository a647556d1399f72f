//! One client connection: one task that reads frames, hands them to dispatch, and writes what is ready.
//!
//! Every wake-up reads once, dispatches all complete frames, and sends all responses whose turn has come with one
//! `writev`; record bytes are never copied. Reading stops while too many requests are unanswered or too many
//! response bytes unsent, so a peer that does not read cannot make the broker hold more than that; and one that takes
//! nothing for too long is disconnected.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use tidelog_wire::types::BrokerId;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::budget::ResponseBudget;
use super::frames::{BadFrameLength, FrameBuffer};
use super::held::HeldRequests;
use super::limits::Permit;
use super::listener::ListenerInfo;
use super::outbox::Outbox;
use super::request_budget::{HeldBytes, LARGE_FRAME};
use super::tcp::{ReadHalf, TcpStream, WriteHalf};
use crate::dispatch;
use crate::options::NetworkLimits;
use crate::shard::Shard;

/// Chunks given to one `writev`.
const CHUNKS_PER_WRITE_MAX: usize = 256;
/// After this long without a byte a connection gives its buffer back.
const BUFFER_IDLE: Duration = Duration::from_secs(2);

/// Who is on the other end, as far as it said.
#[derive(Default)]
pub(crate) struct Peer {
    /// Set by the first valid replica fetch: the death of this connection says something about that broker.
    pub replica: Cell<Option<BrokerId>>,
}

/// What request handlers may know of the connection.
pub(crate) struct ConnectionInfo {
    pub listener: Rc<ListenerInfo>,
    pub address: SocketAddr,
    pub peer: Peer,
    pub held: HeldRequests,
}

/// One open connection, shared by its task and the sweeper.
pub(crate) struct Connection {
    pub info: Rc<ConnectionInfo>,
    outbox: Rc<Outbox>,
    limits: Deadlines,
    last_byte: Cell<Instant>,
    /// When the frame that is half received began.
    partial_since: Cell<Option<Instant>>,
    /// Nothing was received for [`BUFFER_IDLE`]: the task keeps no buffer.
    resting: Cell<bool>,
    /// The socket is full and has taken nothing since.
    stuck_since: Cell<Option<Instant>>,
    _permit: Permit,
}

struct Deadlines {
    idle_max: Duration,
    partial_frame_max: Duration,
    send_stall_max: Duration,
}

#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("peer closed")]
    ByPeer,
    #[error("closed after a refused request")]
    ByUs,
    #[error("a request panicked")]
    Panicked,
    #[error(transparent)]
    BadFrame(#[from] BadFrameLength),
    #[error(transparent)]
    Socket(#[from] io::Error),
}

impl Connection {
    pub(super) fn new(
        limits: &NetworkLimits,
        budget: &Rc<ResponseBudget>,
        listener: &Rc<ListenerInfo>,
        address: SocketAddr,
        permit: Permit,
    ) -> Rc<Self> {
        Rc::new(Self {
            info: Rc::new(ConnectionInfo {
                listener: Rc::clone(listener),
                address,
                peer: Peer::default(),
                held: HeldRequests::default(),
            }),
            outbox: Outbox::new(limits.unsent_response_bytes_max, Rc::clone(budget)),
            limits: Deadlines {
                idle_max: limits.connection_idle_max,
                partial_frame_max: limits.partial_frame_max,
                send_stall_max: limits.send_stall_max,
            },
            last_byte: Cell::new(Instant::now()),
            partial_since: Cell::new(None),
            resting: Cell::new(false),
            stuck_since: Cell::new(None),
            _permit: permit,
        })
    }

    /// When it was last heard of, if it may be closed for the sake of another.
    pub(super) fn expendable_since(&self) -> Option<Instant> {
        (!self.info.listener.is_protected && !self.outbox.has_ended()).then(|| self.last_byte.get())
    }

    pub(super) fn end(&self) {
        self.outbox.end();
    }

    /// Called about once a second.
    pub(super) fn sweep(&self, now: Instant) {
        let silent = now - self.last_byte.get();
        let half_sent = self.partial_since.get().map(|since| now - since);
        let stuck = self.stuck_since.get().map(|since| now - since);
        if stuck.is_some_and(|age| age > self.limits.send_stall_max) {
            debug!(peer = %self.info.address, ?stuck, "closing a connection that takes no answers");
            return self.outbox.end();
        }
        let too_long = half_sent.is_some_and(|age| age > self.limits.partial_frame_max)
            || (silent > self.limits.idle_max && self.outbox.unanswered() == 0);
        if too_long {
            debug!(peer = %self.info.address, ?silent, ?half_sent, "closing a silent connection");
            self.outbox.close();
        } else if silent > BUFFER_IDLE && !self.resting.replace(true) {
            self.outbox.wake();
        }
    }
}

/// Serves one connection to its end.
pub(super) async fn serve(connection: Rc<Connection>, mut stream: TcpStream, shard: Rc<Shard>) {
    let _ = stream.set_nodelay(true);
    let ended = shard.panics.request(Session::new(&connection, &shard, &mut stream).run());
    let ended = ended.await.unwrap_or(Err(Ended::Panicked));
    if let Err(Ended::BadFrame(reason)) = &ended
        && let Some(suppressed) = shard.bad_input_log.permit()
    {
        warn!(peer = %connection.info.address, %reason, suppressed, "disconnecting");
    }
    debug!(peer = %connection.info.address, reason = ?ended.err(), "connection ended");
    connection.outbox.end();
    if let Some(replica) = connection.info.peer.replica.get() {
        shard.peers.connection_died(replica);
    }
}

struct Session<'a> {
    connection: &'a Connection,
    shard: &'a Rc<Shard>,
    reader: ReadHalf<'a>,
    writer: WriteHalf<'a>,
    frames: FrameBuffer,
    unsent: VecDeque<Bytes>,
    /// Pays for the large frame that is being received.
    incoming: Option<HeldBytes>,
}

impl<'a> Session<'a> {
    fn new(connection: &'a Connection, shard: &'a Rc<Shard>, stream: &'a mut TcpStream) -> Self {
        let (reader, writer) = stream.split();
        Self {
            connection,
            shard,
            reader,
            writer,
            frames: FrameBuffer::new(shard.options.network.request_bytes_max),
            unsent: VecDeque::new(),
            incoming: None,
        }
    }

    async fn run(mut self) -> Result<(), Ended> {
        loop {
            let may_read = has_room(self.connection, self.shard) && self.may_receive();
            // Every branch is cancel-safe: nothing is taken from the socket or the outbox before it is chosen.
            tokio::select! {
                biased;
                () = self.connection.outbox.changed() => {
                    if self.connection.resting.get() {
                        self.frames.release_if_empty();
                    }
                }
                writable = self.writer.writable(), if !self.unsent.is_empty() => writable?,
                received = fill(&mut self.reader, &mut self.frames, self.connection), if may_read => {
                    self.received(received?)?;
                }
            }
            if self.connection.outbox.has_ended() {
                return Err(Ended::ByUs);
            }
            self.serve_received()?;
            if self.connection.outbox.is_closing() && self.unsent.is_empty() {
                return Err(Ended::ByUs);
            }
        }
    }

    /// Whether the frame that is half received is small or paid for. Time that it waits for others is not its peer's fault.
    fn may_receive(&mut self) -> bool {
        let connection = self.connection;
        let Some(length) = self.frames.partial_length().filter(|length| *length > LARGE_FRAME) else {
            return true;
        };
        if self.incoming.is_none() && connection.info.peer.replica.get().is_none() {
            self.incoming = self.shard.request_budget.hold(length, &connection.outbox);
            match self.incoming {
                Some(_) => connection.partial_since.set(Some(Instant::now())),
                None => {
                    connection.partial_since.set(None);
                    return false;
                }
            }
        }
        true
    }

    fn received(&mut self, bytes: usize) -> Result<(), Ended> {
        if bytes == 0 {
            return Err(Ended::ByPeer);
        }
        self.frames.note_read(bytes);
        self.connection.last_byte.set(Instant::now());
        self.connection.resting.set(false);
        Ok(())
    }

    /// Dispatches and flushes until no complete frame is left or the peer has to take its answers first.
    fn serve_received(&mut self) -> Result<(), Ended> {
        loop {
            self.dispatch_frames()?;
            self.flush()?;
            let stopped_early = self.frames.has_frame() && !self.connection.outbox.is_closing();
            if !(stopped_early && has_room(self.connection, self.shard)) {
                return Ok(());
            }
        }
    }

    /// Hands over complete frames, as many as may be unanswered at once; the rest waits in the buffer.
    fn dispatch_frames(&mut self) -> Result<(), Ended> {
        let connection = self.connection;
        while !connection.outbox.is_closing()
            && has_room(connection, self.shard)
            && let Some(frame) = self.frames.next_frame()?
        {
            dispatch::request(self.shard, &connection.info, frame, connection.outbox.take_ticket(self.incoming.take()));
            connection.partial_since.set(None);
        }
        let since = match self.frames.is_partial() {
            true => connection.partial_since.get().or_else(|| Some(connection.last_byte.get())),
            false => None,
        };
        connection.partial_since.set(since);
        Ok(())
    }

    /// Sends what is ready until the socket is full.
    fn flush(&mut self) -> Result<(), Ended> {
        self.connection.outbox.drain_ready(&mut self.unsent);
        while !self.unsent.is_empty() {
            let mut slices = [IoSlice::new(&[]); CHUNKS_PER_WRITE_MAX];
            let count = self.unsent.len().min(CHUNKS_PER_WRITE_MAX);
            for (slice, chunk) in slices.iter_mut().zip(&self.unsent) {
                *slice = IoSlice::new(chunk);
            }
            match self.writer.try_write_vectored(&slices[..count]) {
                Ok(written) => self.sent(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let stuck_since = self.connection.stuck_since.get();
                    self.connection.stuck_since.set(stuck_since.or_else(|| Some(Instant::now())));
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn sent(&mut self, mut written: usize) {
        self.connection.outbox.sent(written);
        self.connection.stuck_since.set(None);
        while written > 0 {
            let Some(front) = self.unsent.front_mut() else {
                break;
            };
            if front.len() > written {
                front.advance(written);
                break;
            }
            written -= front.len();
            self.unsent.pop_front();
        }
    }
}

fn has_room(connection: &Connection, shard: &Shard) -> bool {
    connection.outbox.has_room() && connection.outbox.unanswered() < shard.options.network.pipelined_requests_max
}

/// Reads what has come. A resting connection waits without a buffer.
async fn fill(reader: &mut ReadHalf<'_>, frames: &mut FrameBuffer, connection: &Connection) -> io::Result<usize> {
    if connection.resting.get() {
        reader.readable().await?;
    }
    reader.read_buf(frames.for_read()).await
}
