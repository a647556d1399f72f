//! A seeded simulation of partitions, their replicas and a controller.
