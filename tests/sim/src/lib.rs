//! A seeded simulation of one partition: 3 to 5 replicas that run the real protocol of `tidelog-replication` over the real
//! log of `tidelog-commitlog` on disks that lose what was not synced, a controller that in some runs moves the partition to
//! other nodes, clients, idempotent ones among them, in some runs consumer groups and their coordinator ([`groups`]), and
//! everything that can go wrong between them. After every step the invariants of [`checker`] are checked; when the faults
//! stop, the partition and its groups must come back by themselves.
//!
//! [`run`] runs one seed; the same seed is the same run. `SIM_SEEDS=100000 cargo run -p tidelog-sim --release` runs many.

mod batch;
mod behaviour;
pub mod checker;
mod clients;
pub mod controller;
mod faults;
pub mod groups;
pub mod log;
pub mod node;
mod run;
pub mod world;

pub use run::{Outcome, run};
