//! Reads one topic as a member of a consumer group (KIP-848): the group's coordinator says which partitions, and keeps how
//! far they were read.
//!
//! [`member::Member`] decides and sees neither sockets nor a clock; [`GroupConsumer`] carries out what it decides.

mod begin;
mod consumer;
mod member;
#[cfg(test)]
mod tests;

pub use consumer::{GroupConsumer, GroupOptions};
