//! Where replicas are to be: pure decisions. A plan keeps every replica it can, because each one that moves is a copy of a
//! partition over the network.
//!
//! 1. Replicas on brokers that are to hold nothing lose their place, and, when all is to be spread, those that crowd one rack.
//! 2. Every empty place goes to the least loaded broker of the racks that the partition uses least.
//! 3. When all is to be spread, replicas go from brokers with more than their share to brokers with less.
//! 4. Brokers that lead more than their share give first places to others: that moves a leadership and no data.

use std::collections::{BTreeMap, BTreeSet};

/// A topic's name and a partition's index.
pub type TopicPartition = (String, i32);
/// Replicas by partition; the first one is the preferred leader.
pub type Assignment = BTreeMap<TopicPartition, Vec<i32>>;
/// Brokers that may hold replicas, and their racks.
pub type Targets = BTreeMap<i32, Option<String>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread<'a> {
    /// Only what stands on these brokers moves. What is elsewhere stays, on targets or not.
    Evacuate(&'a BTreeSet<i32>),
    /// Every target ends up with its share.
    Even,
}

impl Spread<'_> {
    fn keeps(self, id: i32, targets: &Targets) -> bool {
        match self {
            Self::Evacuate(vacated) => !vacated.contains(&id),
            Self::Even => targets.contains_key(&id),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotPlan {
    #[error("{topic} has replication factor {replication_factor}, and {brokers} would hold it")]
    TooFewBrokers { topic: String, replication_factor: usize, brokers: Brokers },
}

/// How many; only there to be put into a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brokers(pub usize);

impl std::fmt::Display for Brokers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0 => f.write_str("no broker"),
            1 => f.write_str("only 1 broker"),
            count => write!(f, "only {count} brokers"),
        }
    }
}

/// The new replicas of every partition of `current`, with as many of them as before.
pub fn plan(current: &Assignment, targets: &Targets, spread: Spread<'_>) -> Result<Assignment, CannotPlan> {
    for ((topic, _), replicas) in current {
        let kept = replicas.iter().filter(|id| spread.keeps(**id, targets)).count();
        let free = targets.keys().filter(|id| !replicas.contains(id)).count();
        if replicas.len() > kept + free {
            return Err(CannotPlan::TooFewBrokers {
                topic: topic.clone(),
                replication_factor: replicas.len(),
                brokers: Brokers(kept + free),
            });
        }
    }
    let mut planning = Planning::new(current, targets, spread);
    planning.fill();
    if spread == Spread::Even {
        planning.even_out();
    }
    planning.balance_leaders(spread);
    Ok(planning.finish())
}

/// What differs between two assignments, as the new one has it.
pub fn changes(current: &Assignment, planned: &Assignment) -> Assignment {
    let differs = |(partition, replicas): &(&TopicPartition, &Vec<i32>)| current.get(*partition) != Some(*replicas);
    planned.iter().filter(differs).map(|(partition, replicas)| (partition.clone(), replicas.clone())).collect()
}

/// Replicas of `to` that `from` does not have: each is a copy to be made.
pub fn copies(from: &Assignment, to: &Assignment) -> usize {
    let new = |(partition, replicas): (&TopicPartition, &Vec<i32>)| {
        let old = from.get(partition).map_or(&[][..], Vec::as_slice);
        replicas.iter().filter(|id| !old.contains(id)).count()
    };
    to.iter().map(new).sum()
}

struct Planning<'a> {
    current: &'a Assignment,
    targets: &'a Targets,
    /// `None` is a place to be filled.
    places: BTreeMap<&'a TopicPartition, Vec<Option<i32>>>,
    replicas_of: BTreeMap<i32, usize>,
    replicas_of_topic: BTreeMap<(&'a str, i32), usize>,
}

impl<'a> Planning<'a> {
    fn new(current: &'a Assignment, targets: &'a Targets, spread: Spread<'_>) -> Self {
        let mut planning = Self {
            current,
            targets,
            places: BTreeMap::new(),
            replicas_of: targets.keys().map(|id| (*id, 0)).collect(),
            replicas_of_topic: BTreeMap::new(),
        };
        let mut load: BTreeMap<i32, usize> = BTreeMap::new();
        current.values().flatten().for_each(|id| *load.entry(*id).or_default() += 1);
        for (partition, replicas) in current {
            let mut places: Vec<Option<i32>> =
                replicas.iter().map(|id| Some(*id).filter(|id| spread.keeps(*id, targets))).collect();
            if spread == Spread::Even {
                planning.vacate_crowded_racks(&mut places, &load);
            }
            planning.places.insert(partition, places.clone());
            for id in places.into_iter().flatten() {
                planning.count(partition, id);
            }
        }
        planning
    }

    fn count(&mut self, partition: &'a TopicPartition, id: i32) {
        *self.replicas_of.entry(id).or_default() += 1;
        *self.replicas_of_topic.entry((partition.0.as_str(), id)).or_default() += 1;
    }

    fn discount(&mut self, partition: &'a TopicPartition, id: i32) {
        self.replicas_of.entry(id).and_modify(|count| *count -= 1);
        self.replicas_of_topic.entry((partition.0.as_str(), id)).and_modify(|count| *count -= 1);
    }

    fn rack(&self, id: i32) -> Option<&'a str> {
        self.targets.get(&id).and_then(Option::as_deref)
    }

    /// As many racks as there can be are to hold a replica: those that double a rack go, from the fullest brokers first.
    fn vacate_crowded_racks(&self, places: &mut [Option<i32>], load: &BTreeMap<i32, usize>) {
        let racks: BTreeSet<Option<&str>> = self.targets.values().map(Option::as_deref).collect();
        let wanted = racks.len().min(places.len());
        loop {
            let kept: Vec<(usize, i32)> =
                places.iter().enumerate().filter_map(|(index, place)| Some((index, (*place)?))).collect();
            let used: BTreeSet<Option<&str>> = kept.iter().map(|(_, id)| self.rack(*id)).collect();
            if used.len() + (places.len() - kept.len()) >= wanted {
                return;
            }
            let is_doubled = |id: i32| kept.iter().filter(|(_, other)| self.rack(*other) == self.rack(id)).count() > 1;
            let doubled = kept.iter().filter(|(_, id)| is_doubled(*id));
            // Of equals the later one: the first place is the preferred leader's.
            let Some((index, _)) = doubled.max_by_key(|(index, id)| (load.get(id), *index)) else { return };
            places[*index] = None;
        }
    }

    /// Partitions with the most empty places first, so that they have the most to choose from.
    fn fill(&mut self) {
        let mut open: Vec<&'a TopicPartition> = self.places.keys().copied().collect();
        let vacant = |places: &[Option<i32>]| places.iter().filter(|place| place.is_none()).count();
        open.retain(|partition| vacant(&self.places[partition]) > 0);
        open.sort_by_key(|partition| std::cmp::Reverse(vacant(&self.places[partition])));
        for partition in open {
            for index in 0..self.places[partition].len() {
                if self.places[partition][index].is_some() {
                    continue;
                }
                let Some(id) = self.best_for(partition) else { continue };
                self.places.entry(partition).and_modify(|places| places[index] = Some(id));
                self.count(partition, id);
            }
        }
    }

    fn best_for(&self, partition: &TopicPartition) -> Option<i32> {
        let places = &self.places[partition];
        let in_rack = |id: i32| places.iter().flatten().filter(|other| self.rack(**other) == self.rack(id)).count();
        let of_topic = |id: i32| self.replicas_of_topic.get(&(partition.0.as_str(), id)).copied().unwrap_or(0);
        let free = self.targets.keys().copied().filter(|id| !places.contains(&Some(*id)));
        // Where it has been is where its data is.
        let was_there = |id: i32| self.current[partition].contains(&id);
        free.min_by_key(|id| (in_rack(*id), self.replicas_of[id], !was_there(*id), of_topic(*id), *id))
    }

    /// Takes from the fullest and gives to the emptiest until no two targets differ by more than one replica, or no move
    /// leaves the racks as well spread as they were.
    fn even_out(&mut self) {
        while let Some((partition, index, to)) = self.next_relief() {
            let Some(from) = self.places[partition][index] else { return };
            self.places.entry(partition).and_modify(|places| places[index] = Some(to));
            self.discount(partition, from);
            self.count(partition, to);
        }
    }

    fn next_relief(&self) -> Option<(&'a TopicPartition, usize, i32)> {
        let mut by_load: Vec<(usize, i32)> = self.replicas_of.iter().map(|(id, count)| (*count, *id)).collect();
        by_load.sort_unstable();
        for (most, from) in by_load.iter().rev() {
            for (least, to) in by_load.iter().take_while(|(least, _)| least + 1 < *most) {
                debug_assert!(least < most);
                if let Some((partition, index)) = self.movable(*from, *to) {
                    return Some((partition, index, *to));
                }
            }
        }
        None
    }

    /// A replica that may go from one broker to another: rather one that is on its way anyway, or comes back, or leads not.
    fn movable(&self, from: i32, to: i32) -> Option<(&'a TopicPartition, usize)> {
        let candidates = self.places.iter().filter_map(|(partition, places)| {
            let index = places.iter().position(|place| *place == Some(from))?;
            let is_free = !places.contains(&Some(to));
            let in_rack_of =
                |id: i32| places.iter().flatten().filter(|other| self.rack(**other) == self.rack(id)).count();
            // The one that goes does not count in the rack it comes to.
            let keeps_racks = self.rack(from) == self.rack(to) || in_rack_of(to) < in_rack_of(from);
            (is_free && keeps_racks).then_some((*partition, index))
        });
        candidates.min_by_key(|(partition, index)| {
            let before = &self.current[*partition];
            let costs = i32::from(before.contains(&from)) - i32::from(before.contains(&to));
            (costs, *index == 0)
        })
    }

    /// Gives first places to brokers that lead less than others: of partitions that change anyway, or of all when all is to be
    /// spread. Each swap brings the sum of squares of the counts down, so it ends.
    fn balance_leaders(&mut self, spread: Spread<'_>) {
        let mut led: BTreeMap<i32, usize> = BTreeMap::new();
        for leader in self.places.values().filter_map(|places| places.first().copied().flatten()) {
            *led.entry(leader).or_default() += 1;
        }
        let leads = |led: &BTreeMap<i32, usize>, id: i32| led.get(&id).copied().unwrap_or(0);
        let mut has_changed = true;
        while has_changed {
            has_changed = false;
            for (partition, places) in &mut self.places {
                let before = self.current[*partition].iter().map(|id| Some(*id));
                let may_change = spread == Spread::Even || before.ne(places.iter().copied());
                let Some(first) = places.first().copied().flatten().filter(|_| may_change) else { continue };
                let others = places.iter().enumerate().skip(1).filter_map(|(index, place)| Some((index, (*place)?)));
                let Some((index, next)) = others.min_by_key(|(_, id)| leads(&led, *id)) else { continue };
                if leads(&led, next) + 1 < leads(&led, first) {
                    places.swap(0, index);
                    *led.entry(first).or_default() -= 1;
                    *led.entry(next).or_default() += 1;
                    has_changed = true;
                }
            }
        }
    }

    fn finish(self) -> Assignment {
        self.places
            .into_iter()
            .map(|(partition, places)| (partition.clone(), places.into_iter().flatten().collect()))
            .collect()
    }
}
