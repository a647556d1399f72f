//! Applying, guarding, snapshots.
