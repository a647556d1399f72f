//! How a command ends: exit codes, and failures that say what failed, why, and what to try.

use std::fmt;
use std::io;
use std::process::ExitCode;

use tidelog_client::{ClientError, ConnectError, SendError};
use tidelog_wire::ErrorCode;

use crate::config::{InvalidSetting, SourceError};

/// Part of the command line's contract: scripts rely on the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Ok = 0,
    /// Something failed, for one item at least.
    Failed = 1,
    /// Wrong arguments or configuration.
    Usage = 2,
    CannotConnect = 3,
    NotAuthorized = 4,
    NotFound = 5,
    Exists = 6,
    Timeout = 7,
    Unhealthy = 10,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command could not do what it was asked.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    /// What failed and why, one sentence without its period.
    pub message: String,
    pub advice: Option<String>,
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), advice: None }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub fn advising(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Puts what was being done before why it failed.
    pub fn while_doing(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// A refusal by the cluster, with the sentence it sent along, if any.
    pub fn refused(what: impl fmt::Display, code: ErrorCode, said: Option<&str>) -> Self {
        let why = said.filter(|text| !text.is_empty()).unwrap_or(code.message());
        Self::new(exit_of(code), format!("{what}: {} ({})", why.trim_end_matches('.'), code.name()))
    }

    /// The reader of our output went away, as `| head` does: nothing to complain about.
    pub fn is_broken_pipe(&self) -> bool {
        self.message == BROKEN_PIPE
    }
}

const BROKEN_PIPE: &str = "standard output was closed";

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.advice {
            Some(advice) => write!(f, "\n  try: {advice}"),
            None => Ok(()),
        }
    }
}

/// The exit code that tells a script what an error code tells a client.
pub fn exit_of(code: ErrorCode) -> Exit {
    match code {
        ErrorCode::NONE => Exit::Ok,
        ErrorCode::TOPIC_ALREADY_EXISTS => Exit::Exists,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        | ErrorCode::UNKNOWN_TOPIC_ID
        | ErrorCode::RESOURCE_NOT_FOUND
        | ErrorCode::GROUP_ID_NOT_FOUND
        | ErrorCode::BROKER_ID_NOT_REGISTERED => Exit::NotFound,
        ErrorCode::REQUEST_TIMED_OUT => Exit::Timeout,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED
        | ErrorCode::GROUP_AUTHORIZATION_FAILED
        | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
        | ErrorCode::SASL_AUTHENTICATION_FAILED => Exit::NotAuthorized,
        _ => Exit::Failed,
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Exit::Ok, BROKEN_PIPE),
            _ => Self::new(Exit::Failed, error.to_string()),
        }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        Self::new(Exit::CannotConnect, error.to_string()).advising(
            "is the cluster running? `tidelog dev` starts one; -b HOST:PORT or TIDELOG_BOOTSTRAP_SERVER names another",
        )
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        let exit = match &error {
            SendError::TimedOut { .. } => Exit::Timeout,
            SendError::Disconnected { .. } => Exit::CannotConnect,
            SendError::Unsupported { .. }
            | SendError::TooManyInFlight { .. }
            | SendError::Encode(_)
            | SendError::Malformed { .. } => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Bootstrap(text) => {
                Self::usage(text).advising("-b HOST:PORT[,HOST:PORT...], for example -b localhost:9092")
            }
            ClientError::Connect(error) => error.into(),
            ClientError::Send(error) => error.into(),
            ClientError::Refused { what, code, message } => Self::refused(what, code, message.as_deref()),
            ClientError::UnknownTopic(_) => {
                Self::new(Exit::NotFound, error.to_string()).advising("`tidelog topic list` shows the topics there are")
            }
            ClientError::TimedOut { what, last } => {
                Self::new(Exit::Timeout, format!("{what}: no success in time; last: {last}"))
            }
        }
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<InvalidSetting> for Failure {
    fn from(error: InvalidSetting) -> Self {
        Self::usage(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_why_and_ends_with_the_code_of_its_kind() {
        let table = [
            (ErrorCode::TOPIC_ALREADY_EXISTS, Exit::Exists, "cannot create x: said (TOPIC_ALREADY_EXISTS)"),
            (
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                Exit::NotFound,
                "cannot create x: said (UNKNOWN_TOPIC_OR_PARTITION)",
            ),
            (ErrorCode::INVALID_CONFIG, Exit::Failed, "cannot create x: said (INVALID_CONFIG)"),
        ];
        for (code, exit, message) in table {
            let failure = Failure::refused("cannot create x", code, Some("said."));
            assert_eq!((failure.exit, failure.message.as_str()), (exit, message));
        }
    }
}
