//! Unmodified Kafka clients and tools against a real cluster.
