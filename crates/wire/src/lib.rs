//! The Kafka wire protocol: frames, headers, messages, the record batch. No I/O.
#![forbid(unsafe_code)]

pub mod types;
