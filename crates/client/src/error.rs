//! Why a connection or a request failed, in the terms a caller can act on.

use std::sync::Arc;

use tidelog_wire::codec::{DecodeError, EncodeError};
use tidelog_wire::{ApiKey, ErrorCode};

/// No connection: nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot connect to {address}: {reason}")]
pub struct ConnectError {
    pub address: String,
    pub reason: String,
}

/// A request that got no usable answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The outcome is unknown: the peer may have carried the request out.
    #[error("connection to {address} ended: {reason}")]
    Disconnected { address: Arc<str>, reason: Arc<str> },
    /// The outcome is unknown. The connection is closed, because answers come in order and this one may never come.
    #[error("{address} did not answer within {waited_ms} ms")]
    TimedOut { address: Arc<str>, waited_ms: u64 },
    /// Nothing was sent: the peer serves no version of the API that we speak.
    #[error("{address} serves no version of {api:?} that this client knows")]
    Unsupported { address: Arc<str>, api: ApiKey },
    /// Nothing was sent: as many requests as allowed wait for their answers.
    #[error("{address} owes too many answers")]
    TooManyInFlight { address: Arc<str> },
    /// Nothing was sent.
    #[error("request cannot be encoded: {0}")]
    Encode(#[from] EncodeError),
    /// The peer answered something else than the protocol allows. The connection is closed.
    #[error("{address} sent an answer that cannot be decoded: {error}")]
    Malformed { address: Arc<str>, error: DecodeError },
}

impl SendError {
    /// Whether the request may have been carried out although this side has no answer.
    pub fn outcome_is_unknown(&self) -> bool {
        match self {
            Self::Disconnected { .. } | Self::TimedOut { .. } | Self::Malformed { .. } => true,
            Self::Unsupported { .. } | Self::TooManyInFlight { .. } | Self::Encode(_) => false,
        }
    }
}

/// Why something asked of the cluster was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The bootstrap list cannot be read.
    #[error("{0}")]
    Bootstrap(String),
    /// No broker could be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Send(#[from] SendError),
    /// The cluster said no.
    #[error("{what}: {}", message.as_deref().unwrap_or(code.message()))]
    Refused { what: String, code: ErrorCode, message: Option<String> },
    #[error("topic {0} does not exist")]
    UnknownTopic(String),
    /// Trying again did not help for as long as it was allowed to; `last` is what went wrong then.
    #[error("{what}: no success in time; last: {last}")]
    TimedOut { what: String, last: String },
}

impl ClientError {
    pub fn refused(what: impl Into<String>, code: ErrorCode) -> Self {
        Self::Refused { what: what.into(), code, message: None }
    }

    /// Whether asking again, perhaps elsewhere, may help.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Connect(_) => true,
            Self::Send(error) => error.outcome_is_unknown(),
            Self::Refused { code, .. } => code.is_retriable(),
            Self::Bootstrap(_) | Self::UnknownTopic(_) | Self::TimedOut { .. } => false,
        }
    }
}
