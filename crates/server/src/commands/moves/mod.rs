//! Moving replicas between brokers: what `topic reassign` and `broker drain` have in common.
//!
//! [`plan`] decides, [`plan_file`] keeps decisions, [`cluster`] asks and orders, [`throttle`] slows down, [`progress`] tells how
//! far it is, [`watch`] shows that until it is done.

pub mod cluster;
pub mod execute;
pub mod plan;
pub mod plan_file;
#[cfg(test)]
mod plan_tests;
pub mod progress;
pub mod show;
pub mod throttle;
pub mod watch;
