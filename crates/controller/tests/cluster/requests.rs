//! Requests to the active controller from wherever they are made.
