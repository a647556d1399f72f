//! The cluster's metadata: image, records, and the controller's decisions, pure.
