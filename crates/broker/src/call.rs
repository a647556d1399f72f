//! One request between dispatch and its handler: what comes with it, and the duty to answer it.

use std::rc::Rc;

use tidelog_wire::frame::{self, RequestFrame};
use tidelog_wire::{ApiKey, DecodeError, Message, Request, Str};
use tokio::time::Instant;
use tracing::{error, warn};

use crate::net::{ConnectionInfo, Ticket};
use crate::shard::Shard;

/// What a handler has besides its request.
pub(crate) struct Context {
    pub shard: Rc<Shard>,
    pub connection: Rc<ConnectionInfo>,
    pub version: i16,
    pub client_id: Option<Str>,
}

/// One request on its way to its handler.
pub(crate) struct Call {
    pub context: Context,
    pub frame: RequestFrame,
    pub reply: Reply,
}

/// The duty to answer a request of known version.
pub(crate) struct Reply {
    shard: Rc<Shard>,
    ticket: Ticket,
    key: ApiKey,
    version: i16,
    correlation_id: i32,
    arrived: Instant,
}

impl Reply {
    pub(crate) fn new(shard: &Rc<Shard>, ticket: Ticket, frame: &RequestFrame) -> Self {
        Self {
            shard: Rc::clone(shard),
            ticket,
            key: frame.api_key,
            version: frame.api_version,
            correlation_id: frame.correlation_id,
            arrived: Instant::now(),
        }
    }

    /// How many bytes of records the answer may have now, of `wanted`; `None` if the peer has to take others first.
    pub(crate) fn allowance(&self, wanted: usize) -> Option<usize> {
        self.ticket.allowance(wanted)
    }

    /// Counts records that are still being read for the answer.
    pub(crate) fn promise(&self, bytes: usize) {
        self.ticket.promise(bytes);
    }

    /// Resolves when the peer has taken so much of earlier answers that there may be one more.
    pub(crate) async fn room(&self) {
        self.ticket.room().await;
    }

    pub(crate) fn send(self, response: &impl Message) {
        let version = self.version;
        self.send_version(response, version);
    }

    /// For the one answer that is not of the request's version (ApiVersions).
    pub(crate) fn send_version(self, response: &impl Message, version: i16) {
        self.shard.metrics.request_answered(self.key, self.arrived.elapsed());
        match frame::encode_response(self.key, version, self.correlation_id, response) {
            Ok(frame) => self.ticket.send(frame),
            Err(reason) => {
                error!(api = self.key.name(), version, %reason, "response cannot be encoded, disconnecting");
                self.ticket.disconnect();
            }
        }
    }

    /// The request asked for no answer (acks=0).
    pub(crate) fn send_nothing(self) {
        self.shard.metrics.request_answered(self.key, self.arrived.elapsed());
        self.ticket.send_nothing();
    }

    /// Ends the connection instead of answering.
    pub(crate) fn disconnect(self) {
        self.ticket.disconnect();
    }
}

impl Call {
    /// The decoded request, or a disconnected peer.
    pub(crate) fn decode<R: Request>(self) -> Option<(Context, R, Reply)> {
        match self.frame.decode::<R>() {
            Ok(request) => Some((self.context, request, self.reply)),
            Err(reason) => {
                refuse(&self.context.shard, &self.context.connection, &reason);
                self.reply.disconnect();
                None
            }
        }
    }
}

/// Notes a request that the peer should not have sent.
pub(crate) fn refuse(shard: &Shard, connection: &ConnectionInfo, reason: &DecodeError) {
    shard.metrics.bad_requests.add(1);
    if let Some(suppressed) = shard.bad_input_log.permit() {
        warn!(peer = %connection.address, %reason, suppressed, "disconnecting");
    }
}
