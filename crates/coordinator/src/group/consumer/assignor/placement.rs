//! Which partitions of a class its members get, their numbers being given.
//!
//! In this order: what a member had and has a replica in its rack; what has a replica in a member's rack; what a member
//! had; the rest, in turn.

use std::collections::VecDeque;

use super::uniform::Class;
use super::{GroupSpec, Racks};

/// The position in the class's members of each partition's owner.
pub fn place(group: &GroupSpec<'_>, racks: &Racks<'_>, class: &Class) -> Vec<usize> {
    let mut placement = Placement { left: class.quotas.clone(), owners: vec![None; class.partitions.len()] };
    if racks.count() > 0 {
        let racks_of: Vec<Vec<usize>> = class
            .partitions
            .iter()
            .map(|partition| racks.of_partition(&group.topics[partition.topic], partition.index))
            .collect();
        let rack_of: Vec<Option<usize>> = class.members.iter().map(|member| racks.of_members[*member]).collect();
        placement
            .keep(class, |partition, owner| rack_of[owner].is_some_and(|rack| racks_of[partition].contains(&rack)));
        placement.match_racks(class, &racks_of, &rack_of, racks.count());
    }
    placement.keep(class, |_, _| true);
    placement.hand_out_rest()
}

struct Placement {
    /// How many partitions each member still gets.
    left: Vec<usize>,
    owners: Vec<Option<usize>>,
}

impl Placement {
    fn keep(&mut self, class: &Class, may_keep: impl Fn(usize, usize) -> bool) {
        for (index, partition) in class.partitions.iter().enumerate() {
            let Some(owner) = partition.owner else { continue };
            if self.owners[index].is_none() && self.left[owner] > 0 && may_keep(index, owner) {
                self.give(index, owner);
            }
        }
    }

    fn give(&mut self, partition: usize, member: usize) {
        self.owners[partition] = Some(member);
        self.left[member] -= 1;
    }

    fn match_racks(&mut self, class: &Class, racks_of: &[Vec<usize>], rack_of: &[Option<usize>], rack_count: usize) {
        let mut waiting = vec![VecDeque::new(); rack_count];
        let mut left_in = vec![0; rack_count];
        for (member, rack) in rack_of.iter().enumerate() {
            if let Some(rack) = rack
                && self.left[member] > 0
            {
                waiting[*rack].push_back(member);
                left_in[*rack] += self.left[member];
            }
        }
        let mut free: Vec<usize> = (0..self.owners.len()).filter(|index| self.owners[*index].is_none()).collect();
        // Those that nobody loses come first, and before others those that fewer racks could take.
        free.sort_by_key(|index| (class.partitions[*index].owner.is_some(), racks_of[*index].len()));
        for index in free {
            let Some(rack) = racks_of[index].iter().copied().max_by_key(|rack| left_in[*rack]) else { continue };
            let Some(member) = waiting[rack].pop_front() else { continue };
            self.give(index, member);
            left_in[rack] -= 1;
            if self.left[member] > 0 {
                waiting[rack].push_back(member);
            }
        }
    }

    /// In turn, so that the partitions of one topic do not all meet in one member.
    fn hand_out_rest(mut self) -> Vec<usize> {
        let mut waiting: VecDeque<usize> = (0..self.left.len()).filter(|member| self.left[*member] > 0).collect();
        for index in 0..self.owners.len() {
            if self.owners[index].is_some() {
                continue;
            }
            if let Some(member) = waiting.pop_front() {
                self.give(index, member);
                if self.left[member] > 0 {
                    waiting.push_back(member);
                }
            }
        }
        let owners: Vec<usize> = self.owners.iter().copied().flatten().collect();
        assert_eq!(owners.len(), self.owners.len(), "quotas add up to the partitions");
        owners
    }
}
