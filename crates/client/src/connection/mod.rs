//! One connection to one broker. Requests are pipelined: start as many as you like (up to a limit), await the answers in any
//! order; they arrive in the order of the requests.
//!
//! A connection is usable from the moment `connect` returns until [`Connection::closed`] completes, and never reconnects: what
//! to do about a dead peer is its owner's decision. Works on current_thread runtimes; its two tasks run where it was made.

mod io;
mod negotiation;

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tidelog_wire::codec::Request;
use tidelog_wire::{Str, frame};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use self::io::{Awaited, Outgoing};
pub use self::negotiation::ServedVersions;
use crate::error::{ConnectError, SendError};
use crate::net::TcpStream;
use crate::resolve::resolve;

/// Requests of one connection that may wait for their answers.
const IN_FLIGHT_MAX: usize = 256;

#[derive(Clone, Debug)]
pub struct ConnectOptions {
    pub client_id: Str,
    /// For name look-up, TCP and the first question (ApiVersions) together.
    pub connect_timeout: Duration,
    /// For requests that name no deadline of their own.
    pub request_timeout: Duration,
    /// Longer frames close the connection.
    pub frame_bytes_max: usize,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            client_id: Str::from_static("tidelog"),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            frame_bytes_max: 256 << 20,
        }
    }
}

/// A handle; clones share the connection, which is closed with the last of them.
#[derive(Clone, Debug)]
pub struct Connection {
    requests: mpsc::Sender<Outgoing>,
    shared: Arc<Shared>,
    versions: Arc<ServedVersions>,
}

#[derive(Debug)]
struct Shared {
    address: Arc<str>,
    client_id: Str,
    request_timeout: Duration,
    next_correlation_id: AtomicI32,
    /// The reason, once the connection is of no use any more.
    closed: watch::Sender<Option<Arc<str>>>,
}

impl Shared {
    /// The first reason stays.
    fn close(&self, reason: impl Into<Arc<str>>) {
        self.closed.send_if_modified(|closed| {
            let is_first = closed.is_none();
            closed.get_or_insert_with(|| reason.into());
            is_first
        });
    }

    fn disconnected(&self) -> SendError {
        let reason = self.closed.borrow().clone();
        SendError::Disconnected { address: self.address.clone(), reason: reason.unwrap_or_else(|| "closed".into()) }
    }
}

impl Connection {
    /// Connects and asks which versions the peer serves.
    pub async fn connect(host: &str, port: u16, options: &ConnectOptions) -> Result<Self, ConnectError> {
        let address = address_text(host, port);
        let connecting = Self::connect_unbounded(host, port, &address, options);
        let connected = match tokio::time::timeout(options.connect_timeout, connecting).await {
            Ok(connected) => connected,
            Err(_) => Err(format!("no answer within {} ms", options.connect_timeout.as_millis())),
        };
        connected.map_err(|reason| ConnectError { address, reason })
    }

    async fn connect_unbounded(host: &str, port: u16, address: &str, options: &ConnectOptions) -> Result<Self, String> {
        let resolved = resolve(host, port, options.connect_timeout).await;
        let mut failure = String::new();
        for candidate in resolved.map_err(|error| error.to_string())? {
            match TcpStream::connect(candidate).await {
                Ok(stream) => {
                    let connection = Self::over(stream, address, options).map_err(|e| e.to_string())?;
                    return connection.negotiated().await.map_err(|error| error.to_string());
                }
                Err(error) => failure = error.to_string(),
            }
        }
        Err(failure)
    }

    fn over(stream: TcpStream, address: &str, options: &ConnectOptions) -> std::io::Result<Self> {
        stream.set_nodelay(true)?;
        let (read, write) = stream.into_split();
        let (requests, outgoing) = mpsc::channel(IN_FLIGHT_MAX);
        let (waiting, awaited) = mpsc::channel(IN_FLIGHT_MAX);
        let shared = Arc::new(Shared {
            address: address.into(),
            client_id: options.client_id.clone(),
            request_timeout: options.request_timeout,
            next_correlation_id: AtomicI32::new(0),
            closed: watch::Sender::new(None),
        });
        tokio::spawn(io::write_requests(write, outgoing, waiting, shared.clone()));
        tokio::spawn(io::read_answers(read, awaited, options.frame_bytes_max, shared.clone()));
        Ok(Self { requests, shared, versions: Arc::default() })
    }

    /// `host:port` as it was asked for.
    pub fn address(&self) -> &str {
        &self.shared.address
    }

    pub fn versions(&self) -> &ServedVersions {
        &self.versions
    }

    pub fn is_closed(&self) -> bool {
        self.shared.closed.borrow().is_some()
    }

    /// Completes as soon as the connection is dead, with the reason.
    pub async fn closed(&self) -> Arc<str> {
        let mut closed = self.shared.closed.subscribe();
        // The sender lives in `shared`, which this borrow keeps alive.
        match closed.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_else(|| "closed".into()),
            Err(_) => "closed".into(),
        }
    }

    /// Closes for all handles; requests in flight fail.
    pub fn close(&self) {
        self.shared.close("closed by this side");
    }

    /// Sends in the newest version both sides know and awaits the answer, for `request_timeout`.
    pub async fn send<R: Request>(&self, request: &R) -> Result<R::Response, SendError> {
        self.start(request)?.await
    }

    /// Sends in the newest version both sides know that is not newer than `version_max`: for callers that live with an older
    /// form of a message.
    pub async fn send_at_most<R: Request>(&self, request: &R, version_max: i16) -> Result<R::Response, SendError> {
        let version = self.version::<R>()?.min(version_max);
        self.start_at_version(request, version, self.shared.request_timeout)?.await
    }

    /// Sends with a deadline of the request's own, for long polls.
    pub async fn send_within<R: Request>(&self, request: &R, within: Duration) -> Result<R::Response, SendError> {
        self.start_at_version(request, self.version::<R>()?, within)?.await
    }

    /// Queues a request now: requests leave in the order of these calls, whenever their answers are awaited.
    pub fn start<R: Request>(&self, request: &R) -> Result<InFlight<R>, SendError> {
        self.start_at_version(request, self.version::<R>()?, self.shared.request_timeout)
    }

    pub fn start_at_version<R: Request>(
        &self,
        request: &R,
        version: i16,
        within: Duration,
    ) -> Result<InFlight<R>, SendError> {
        let correlation_id = self.next_correlation_id();
        let chunks = self.framed(correlation_id, version, request)?;
        let (answer, frame) = oneshot::channel();
        let awaited = Some(Awaited { correlation_id, answer });
        self.queue(Outgoing { chunks, awaited })?;
        Ok(InFlight {
            frame,
            deadline: Box::pin(tokio::time::sleep_until(Instant::now() + within)),
            within,
            version,
            shared: self.shared.clone(),
            _kept_open: self.requests.clone(),
            request: PhantomData,
        })
    }

    /// Queues a request that the peer does not answer: Produce with acks=0.
    pub fn send_unanswered<R: Request>(&self, request: &R) -> Result<(), SendError> {
        let chunks = self.framed(self.next_correlation_id(), self.version::<R>()?, request)?;
        self.queue(Outgoing { chunks, awaited: None })
    }

    /// The newest version of `R` that both sides know.
    pub fn version<R: Request>(&self) -> Result<i16, SendError> {
        self.versions
            .newest::<R>()
            .ok_or_else(|| SendError::Unsupported { address: self.shared.address.clone(), api: R::KEY })
    }

    fn next_correlation_id(&self) -> i32 {
        self.shared.next_correlation_id.fetch_add(1, Ordering::Relaxed) & i32::MAX
    }

    fn framed<R: Request>(&self, correlation_id: i32, version: i16, request: &R) -> Result<Vec<Bytes>, SendError> {
        Ok(frame::encode_request(correlation_id, Some(&self.shared.client_id), version, request)?)
    }

    fn queue(&self, outgoing: Outgoing) -> Result<(), SendError> {
        if self.is_closed() {
            return Err(self.shared.disconnected());
        }
        self.requests.try_send(outgoing).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SendError::TooManyInFlight { address: self.shared.address.clone() },
            mpsc::error::TrySendError::Closed(_) => self.shared.disconnected(),
        })
    }
}

/// A request that has been queued. Awaiting it gives the answer; dropping it discards the answer, the request stays sent.
#[must_use = "dropping it discards the answer"]
pub struct InFlight<R: Request> {
    frame: oneshot::Receiver<Bytes>,
    deadline: Pin<Box<tokio::time::Sleep>>,
    within: Duration,
    version: i16,
    shared: Arc<Shared>,
    /// The connection outlives its handles for as long as an answer is awaited.
    _kept_open: mpsc::Sender<Outgoing>,
    request: PhantomData<fn() -> R>,
}

impl<R: Request> InFlight<R> {
    fn decoded(&self, frame: Bytes) -> Result<R::Response, SendError> {
        frame::decode_response::<R>(frame, self.version).map_err(|error| {
            self.shared.close("an answer could not be decoded");
            SendError::Malformed { address: self.shared.address.clone(), error }
        })
    }

    /// The answer as it came, from its correlation id on.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, SendError>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.frame).poll(cx) {
            return Poll::Ready(frame.map_err(|_| self.shared.disconnected()));
        }
        ready!(self.deadline.as_mut().poll(cx));
        let waited_ms = self.within.as_millis() as u64;
        self.shared.close(format!("no answer within {waited_ms} ms"));
        Poll::Ready(Err(SendError::TimedOut { address: self.shared.address.clone(), waited_ms }))
    }
}

impl<R: Request> Future for InFlight<R> {
    type Output = Result<R::Response, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let frame = ready!(self.poll_frame(cx))?;
        Poll::Ready(self.decoded(frame))
    }
}

pub(crate) fn address_text(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}
