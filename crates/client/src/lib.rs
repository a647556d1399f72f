//! A small Kafka client: connections, routing, retries.
