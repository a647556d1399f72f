//! Clusters of real processes under faults.
