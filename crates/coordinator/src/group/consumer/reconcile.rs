//! Brings what a member owns step by step to what it is to own. A partition is handed over only after its old owner has
//! given it up.

use tidelog_wire::Uuid;

use super::member::{Current, MemberState};
use super::partitions::Partitions;

/// What the next step depends on besides the member.
pub struct Surroundings<'a> {
    pub target_epoch: i32,
    pub target: &'a Partitions,
    /// What the member says it owns; `None`: it does not say.
    pub owned: Option<&'a Partitions>,
    /// Whether no *other* member has the partition.
    pub is_free: &'a dyn Fn(Uuid, i32) -> bool,
}

/// The member in an unknown state must rejoin without partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fenced;

/// The member's next state; the same one where nothing can be done.
pub fn next(current: &Current, around: &Surroundings<'_>) -> Result<Current, Fenced> {
    match current.state {
        MemberState::Stable if current.epoch == around.target_epoch => Ok(current.clone()),
        MemberState::UnrevokedPartitions if still_owns(around.owned, &current.revoking) => Ok(current.clone()),
        MemberState::Stable | MemberState::UnrevokedPartitions | MemberState::UnreleasedPartitions => {
            Ok(step(current, around))
        }
        MemberState::Unknown if around.owned.is_some_and(Partitions::is_empty) => Ok(step(current, around)),
        MemberState::Unknown => Err(Fenced),
    }
}

fn step(current: &Current, around: &Surroundings<'_>) -> Current {
    let kept = current.assigned.intersection(around.target);
    let revoking = current.assigned.difference(around.target);
    if still_owns(around.owned, &revoking) {
        return advance(current, current.epoch, MemberState::UnrevokedPartitions, kept, revoking);
    }
    let wanted = around.target.difference(&kept);
    let free = wanted.filtered(around.is_free);
    let state = match free.count() == wanted.count() {
        true => MemberState::Stable,
        false => MemberState::UnreleasedPartitions,
    };
    advance(current, around.target_epoch, state, kept.union(&free), Partitions::default())
}

fn advance(current: &Current, epoch: i32, state: MemberState, assigned: Partitions, revoking: Partitions) -> Current {
    let previous_epoch = if epoch == current.epoch { current.previous_epoch } else { current.epoch };
    Current { epoch, previous_epoch, state, assigned, revoking }
}

/// A member that does not say what it owns still owns all it has to give up.
fn still_owns(owned: Option<&Partitions>, revoking: &Partitions) -> bool {
    !revoking.is_empty() && owned.is_none_or(|owned| !owned.is_disjoint_from(revoking))
}

#[cfg(test)]
mod tests {
    use super::*;
    use MemberState::{Stable, UnreleasedPartitions as Unreleased, UnrevokedPartitions as Unrevoked};

    const TOPIC: Uuid = Uuid::from_u128(101);

    fn set(partitions: &[i32]) -> Partitions {
        Partitions::from_iter([(TOPIC, partitions.to_vec())])
    }

    fn member(state: MemberState, epoch: i32, assigned: &[i32], revoking: &[i32]) -> Current {
        Current { epoch, previous_epoch: epoch - 1, state, assigned: set(assigned), revoking: set(revoking) }
    }

    /// (state, epoch, assigned, revoking)
    type State = (MemberState, i32, &'static [i32], &'static [i32]);

    struct Case {
        is: State,
        target: &'static [i32],
        owned: Option<&'static [i32]>,
        others: &'static [i32],
        becomes: State,
    }

    /// The target's epoch is 7.
    const STEPS: &[Case] = &[
        // Nothing to do.
        Case { is: (Stable, 7, &[1], &[]), target: &[1], owned: None, others: &[], becomes: (Stable, 7, &[1], &[]) },
        // Joins an empty group.
        Case {
            is: (Stable, 0, &[], &[]),
            target: &[1, 2],
            owned: None,
            others: &[],
            becomes: (Stable, 7, &[1, 2], &[]),
        },
        // One of the two is still somebody's.
        Case {
            is: (Stable, 0, &[], &[]),
            target: &[1, 2],
            owned: None,
            others: &[2],
            becomes: (Unreleased, 7, &[1], &[]),
        },
        // Still, and at last.
        Case {
            is: (Unreleased, 7, &[1], &[]),
            target: &[1, 2],
            owned: None,
            others: &[2],
            becomes: (Unreleased, 7, &[1], &[]),
        },
        Case {
            is: (Unreleased, 7, &[1], &[]),
            target: &[1, 2],
            owned: None,
            others: &[],
            becomes: (Stable, 7, &[1, 2], &[]),
        },
        // Has to give up one: stays in its epoch, whatever else is free.
        Case {
            is: (Stable, 6, &[1, 2], &[]),
            target: &[1, 3],
            owned: None,
            others: &[],
            becomes: (Unrevoked, 6, &[1], &[2]),
        },
        Case {
            is: (Stable, 6, &[1, 2], &[]),
            target: &[1, 3],
            owned: Some(&[1, 2]),
            others: &[],
            becomes: (Unrevoked, 6, &[1], &[2]),
        },
        // Silence gives up nothing, nor does naming it among others.
        Case {
            is: (Unrevoked, 6, &[1], &[2]),
            target: &[1, 3],
            owned: None,
            others: &[],
            becomes: (Unrevoked, 6, &[1], &[2]),
        },
        Case {
            is: (Unrevoked, 6, &[1], &[2]),
            target: &[1, 3],
            owned: Some(&[1, 2]),
            others: &[],
            becomes: (Unrevoked, 6, &[1], &[2]),
        },
        Case {
            is: (Unrevoked, 6, &[1], &[2]),
            target: &[1, 3],
            owned: Some(&[1]),
            others: &[],
            becomes: (Stable, 7, &[1, 3], &[]),
        },
        // A newer target gives back what was revoked meanwhile, or takes more.
        Case {
            is: (Unrevoked, 6, &[1], &[2]),
            target: &[1, 2],
            owned: Some(&[1]),
            others: &[],
            becomes: (Stable, 7, &[1, 2], &[]),
        },
        Case {
            is: (Unrevoked, 6, &[1], &[2]),
            target: &[3],
            owned: Some(&[1]),
            others: &[],
            becomes: (Unrevoked, 6, &[], &[1]),
        },
        // A fresh start has nothing left to give up.
        Case {
            is: (Stable, 6, &[1, 2], &[]),
            target: &[3],
            owned: Some(&[]),
            others: &[],
            becomes: (Stable, 7, &[3], &[]),
        },
    ];

    #[test]
    fn steps() {
        for (row, case) in STEPS.iter().enumerate() {
            let (state, epoch, assigned, revoking) = case.is;
            let owned = case.owned.map(set);
            let around = Surroundings {
                target_epoch: 7,
                target: &set(case.target),
                owned: owned.as_ref(),
                is_free: &|_, partition| !case.others.contains(&partition),
            };
            let next = next(&member(state, epoch, assigned, revoking), &around).expect("a known state");
            let previous_epoch = if case.becomes.1 == epoch { epoch - 1 } else { epoch };
            let (state, epoch, assigned, revoking) = case.becomes;
            assert_eq!(next, Current { previous_epoch, ..member(state, epoch, assigned, revoking) }, "row {row}");
        }
    }

    #[test]
    fn a_state_of_the_future_is_left_by_rejoining_without_partitions() {
        let target = set(&[1]);
        let unknown = member(MemberState::Unknown, 6, &[1], &[]);
        let around = |owned| Surroundings { target_epoch: 7, target: &target, owned, is_free: &|_, _| true };
        assert_eq!(next(&unknown, &around(None)), Err(Fenced));
        assert_eq!(next(&unknown, &around(Some(&target))), Err(Fenced));
        let none = Partitions::default();
        assert_eq!(next(&unknown, &around(Some(&none))).expect("rejoined").state, MemberState::Stable);
    }
}
