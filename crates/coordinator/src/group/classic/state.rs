//! The states of a classic group.

/// A group that does not exist is in Kafka's state Dead.
///
/// ```text
/// from \ to            Empty              PreparingRebalance    CompletingRebalance   Stable
/// Empty                -                  a member joins        -                     -
/// PreparingRebalance   all have left      -                     members have joined   -
/// CompletingRebalance  -                  join, leave, timeout  -                     leader syncs
/// Stable               -                  join, leave, timeout  -                     -
/// ```
#[derive(Debug, PartialEq, Eq)]
pub(super) enum State {
    /// No members. There may be offsets.
    Empty,
    /// Members are called to join the next generation; their JoinGroups wait.
    PreparingRebalance(Preparing),
    /// The generation stands and waits for its leader's assignment; the others' SyncGroups wait. Members that have
    /// not asked for their assignment by `sync_due_ms` are dropped.
    CompletingRebalance { sync_due_ms: i64 },
    /// Assignments are handed out. The deadline for asking goes on.
    Stable { sync_due_ms: i64 },
}

/// When a rebalance stops waiting for more members.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Preparing {
    /// The first members of a group get `group.initial.rebalance.delay.ms`, and again that long whenever more have
    /// come, until the rebalance timeout is used up.
    Initial { due_ms: i64, remaining_ms: i64, has_grown: bool },
    /// All members of the last generation are waited for until then.
    Rejoin { due_ms: i64 },
}

impl State {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance(_) => "PreparingRebalance",
            Self::CompletingRebalance { .. } => "CompletingRebalance",
            Self::Stable { .. } => "Stable",
        }
    }

    pub fn may_become(&self, next: &Self) -> bool {
        use State::{CompletingRebalance, Empty, PreparingRebalance, Stable};
        matches!(
            (self, next),
            (Empty | CompletingRebalance { .. } | Stable { .. }, PreparingRebalance(_))
                | (PreparingRebalance(_), Empty | CompletingRebalance { .. })
                | (CompletingRebalance { .. }, Stable { .. })
        )
    }
}
