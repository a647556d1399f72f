//! The `tidelog` binary's parts: arguments, configuration, the wiring of a node, the admin commands.

pub mod config;
