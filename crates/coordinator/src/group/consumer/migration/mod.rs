//! Members of the classic protocol in a KIP-848 group, so that a group changes protocol one process at a time.
//!
//! The first member of the new protocol turns a classic group of consumers into one of this kind. Classic members go on:
//! their generation is their member epoch, and whenever they have to do something they are told to join again. When the
//! last member of the new protocol goes, the group turns back.

mod downgrade;
mod embedded;
mod heartbeat;
mod join;
mod leave;
mod sync;
mod upgrade;

use tidelog_wire::{ErrorCode, Str};

use super::ConsumerGroup;
use super::member::{ClassicMember, Member};

pub(crate) use downgrade::downgrade_if_classic;
pub(crate) use heartbeat::heartbeat;
pub(crate) use join::join;
pub(crate) use leave::leave;
pub(crate) use sync::sync;
pub(super) use upgrade::upgrade;

/// Protocol type of the only classic groups that can be converted.
const CONSUMER: &str = "consumer";

/// A member of the classic protocol, under its instance id if it says one.
fn classic_member<'a>(
    group: &'a ConsumerGroup,
    member_id: &Str,
    instance_id: Option<&Str>,
) -> Result<(&'a Member, &'a ClassicMember), ErrorCode> {
    if let Some(instance_id) = instance_id {
        let holder = group.static_members.get(instance_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if holder != member_id {
            return Err(ErrorCode::FENCED_INSTANCE_ID);
        }
    }
    let member = group.members.get(member_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
    let classic = member.subscription.classic.as_ref().ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
    Ok((member, classic))
}

fn check_generation(member: &Member, generation: i32) -> Result<(), ErrorCode> {
    if member.current.epoch == generation { Ok(()) } else { Err(ErrorCode::ILLEGAL_GENERATION) }
}
