//! Requests that the controller decides: how the answer that did not come is told to a client.

use std::time::Duration;

use tidelog_controller::SubmitError;
use tidelog_metadata::{Image, Response};
use tidelog_wire::{ErrorCode, Str};

use super::Context;

/// How long the local image may take to show what was decided. A client that creates a topic and asks the same
/// broker about it next should find it.
const VISIBLE_WITHIN: Duration = Duration::from_millis(500);

/// No decision came back.
pub(crate) struct Undecided {
    pub code: ErrorCode,
    pub message: Str,
}

impl From<Result<Response, SubmitError>> for Undecided {
    fn from(answer: Result<Response, SubmitError>) -> Self {
        let code = match &answer {
            Err(SubmitError::TimedOut { .. }) => ErrorCode::REQUEST_TIMED_OUT,
            Err(SubmitError::TooLarge { .. }) => ErrorCode::POLICY_VIOLATION,
            Err(SubmitError::Closed) => ErrorCode::NOT_CONTROLLER,
            Err(SubmitError::Refused(_)) | Ok(_) => ErrorCode::UNKNOWN_SERVER_ERROR,
        };
        let message = match answer {
            Err(reason) => reason.to_string(),
            Ok(_) => "the controller answered another question".to_owned(),
        };
        Self { code, message: Str::from(message) }
    }
}

/// Waits a moment for the local image to show a decision.
pub(crate) async fn wait_visible(context: &Context, shows: impl Fn(&Image) -> bool) {
    let mut images = context.shard.image_changes();
    let shown = images.wait_for(|image| shows(image));
    let _ = tokio::time::timeout(VISIBLE_WITHIN, shown).await;
}
