//! Generated gRPC and protobuf code of the listeners between nodes.
