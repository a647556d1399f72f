//! What every host of a coordinator has to keep: when replies may leave, and which timers are due.

mod booked;
mod waiting;

pub use booked::BookedTimers;
pub use waiting::WaitingReplies;
