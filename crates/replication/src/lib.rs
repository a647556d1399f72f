//! One partition's replication protocol, leader and follower, as a pure state machine.
