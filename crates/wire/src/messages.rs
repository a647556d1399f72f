//! Every message of the protocol that clients speak, and the records that coordinators keep, generated
//! from `proto/kafka/`.
//!
//! Each message has a module of its own with its nested structs; the message itself is named here too.
//! Names are Kafka's in Rust's case. A field's default is the schema's, also where a version does not have the field.
#![allow(clippy::derivable_impls, clippy::field_reassign_with_default, unused_imports, unused_variables)]

use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::codec::{DecodeError, EncodeError, Message, Reader, Request, Schema, Writer};
use crate::{ApiKey, ErrorCode, Str, Uuid};

include!(concat!(env!("OUT_DIR"), "/messages.rs"));
