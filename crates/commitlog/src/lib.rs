//! One partition's log on disk: segments, indexes, epochs, producers, recovery.
