//! The Kafka wire protocol: frames, headers, messages, the record batch. No I/O.
#![forbid(unsafe_code)]

pub mod api_key;
pub mod codec;
pub mod compression;
pub mod error_code;
pub mod frame;
pub mod messages;
pub mod record;
pub mod record_batch;
pub mod types;

mod excerpt;
mod string;
mod uuid;

pub use api_key::ApiKey;
pub use codec::{DecodeError, EncodeError, Message, Reader, Request, Schema, Writer};
pub use error_code::ErrorCode;
pub use excerpt::{Excerpt, excerpt};
pub use string::Str;
pub use uuid::{ParseUuidError, Uuid};
