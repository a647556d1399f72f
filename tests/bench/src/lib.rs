//! The skeleton without a protocol and the cluster-level benchmarks.
