//! The data plane: client listener, request handlers, partitions, replica fetchers.
