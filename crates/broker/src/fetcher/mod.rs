//! Following leaders: per leader broker one connection and one task for all partitions.
//!
//! A partition is named in a Fetch only when it has something new to say: its log end moved and is durable, its epoch
//! changed, it truncated. At most two requests are out, the older of which the leader answers at once when the newer
//! one comes (docs/REPLICATION.md R2), so a parked Fetch never keeps a partition from reporting what it has on disk.

mod conversation;
mod link;
mod request;

pub(crate) use link::Fetchers;
