//! Consumer groups of every client, on three brokers.
//!
//! A tour per language, and stories of what only some clients can: static members, cooperative rebalancing,
//! patterns, the move from one group protocol to the other. One binary, because linking each apart takes longer.

mod cooperative;
mod go;
mod java;
mod javascript;
mod kcat;
mod migration;
mod pattern;
mod python;
mod rust;
mod static_members;
mod tools;
