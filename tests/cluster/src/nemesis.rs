//! Random faults, drawn from a seed: which kinds a run knows, whom they hit, when, and for how long.
//!
//! Two faults may be under way at once, on different nodes, so that a majority is hit at times. Everything is
//! over when [`Nemesis::rage`] returns.

use std::time::{Duration, Instant};

use anyhow::Result;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, IteratorRandom};
use rand::{Rng, SeedableRng};

use crate::cluster::Cluster;
use crate::scenario::report;
use crate::wait;

const STEP: Duration = Duration::from_millis(20);
const AT_ONCE_MAX: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// kill -9, and down for a while.
    Kill,
    /// kill -9 and started again at once.
    Bounce,
    /// kill -9 of every node that runs.
    KillAll,
    /// SIGTERM, and down for a while.
    Terminate,
    /// SIGSTOP.
    Pause,
    /// Cut off from all other nodes, while clients still reach it.
    Isolate,
    /// Hears nobody, and is heard.
    Deaf,
    /// Hears everybody, and is not heard.
    Mute,
    /// Two nodes do not see each other.
    Cut,
}

const ALL: [Fault; 9] = [
    Fault::Kill,
    Fault::Bounce,
    Fault::KillAll,
    Fault::Terminate,
    Fault::Pause,
    Fault::Isolate,
    Fault::Deaf,
    Fault::Mute,
    Fault::Cut,
];

struct UnderWay {
    fault: Fault,
    victim: i32,
    /// The other end of a cut.
    other: i32,
    until: Instant,
}

pub struct Nemesis {
    random: StdRng,
    kinds: Vec<Fault>,
    under_way: Vec<UnderWay>,
    /// Whether one node is away for most of the time.
    has_absence: bool,
}

impl Nemesis {
    /// Knows a random half of the kinds, or all of them if `kinds` is empty after that.
    pub fn new(seed: u64) -> Nemesis {
        let mut random = StdRng::seed_from_u64(seed);
        let mut kinds: Vec<Fault> = ALL.into_iter().filter(|_| random.random_bool(0.5)).collect();
        if kinds.is_empty() {
            kinds = ALL.to_vec();
        }
        Nemesis { random, kinds, under_way: Vec::new(), has_absence: false }
    }

    /// Besides, one node is killed at once and misses most of what happens.
    pub fn with_absence(self) -> Nemesis {
        Nemesis { has_absence: true, ..self }
    }

    pub fn kinds(&self) -> &[Fault] {
        &self.kinds
    }

    /// Strikes again and again for `duration`, and undoes all of it.
    pub fn rage(&mut self, cluster: &mut Cluster, duration: Duration) -> Result<()> {
        let end = Instant::now() + duration;
        let mut next = Instant::now();
        if self.has_absence {
            self.send_away(cluster, duration)?;
        }
        while Instant::now() < end {
            self.end_those_over(cluster)?;
            if Instant::now() >= next && self.under_way.len() < AT_ONCE_MAX {
                self.strike(cluster)?;
                next = Instant::now() + self.span();
            }
            cluster.check_running()?;
            wait::pass(STEP);
        }
        for over in std::mem::take(&mut self.under_way) {
            over.end(cluster)?;
        }
        Ok(())
    }

    fn send_away(&mut self, cluster: &mut Cluster, duration: Duration) -> Result<()> {
        let victim = cluster.ids().choose(&mut self.random).expect("some node");
        let span = duration.mul_f64(self.random.random_range(0.4..0.8));
        report(&format!("node {victim} is away for {} ms", span.as_millis()));
        let absence = UnderWay { fault: Fault::Kill, victim, other: victim, until: Instant::now() + span };
        absence.begin(cluster)?;
        self.under_way.push(absence);
        Ok(())
    }

    fn end_those_over(&mut self, cluster: &mut Cluster) -> Result<()> {
        let now = Instant::now();
        let over = self.under_way.extract_if(.., |fault| fault.until <= now);
        over.into_iter().try_for_each(|fault| fault.end(cluster))
    }

    /// Mostly short, at times longer than any session.
    fn span(&mut self) -> Duration {
        let longest_ms = *[100, 1_000, 4_000].choose(&mut self.random).expect("some");
        Duration::from_millis(self.random.random_range(20..=longest_ms))
    }

    fn strike(&mut self, cluster: &mut Cluster) -> Result<()> {
        let is_free = |id: &i32| self.under_way.iter().all(|fault| ![fault.victim, fault.other].contains(id));
        let free: Vec<i32> = cluster.ids().filter(is_free).collect();
        let fault = *self.kinds.choose(&mut self.random).expect("some kind");
        let Some(victim) = free.choose(&mut self.random).copied() else {
            return Ok(());
        };
        let other = cluster.ids().filter(|id| *id != victim).choose(&mut self.random).unwrap_or(victim);
        let span = self.span();
        if fault == Fault::KillAll {
            if self.under_way.is_empty() {
                report(&format!("{fault:?}"));
                cluster.kill_all()?;
                cluster.start_all()?;
            }
            return Ok(());
        }
        report(&format!("{fault:?} {victim} for {} ms", span.as_millis()));
        let strike = UnderWay { fault, victim, other, until: Instant::now() + span };
        strike.begin(cluster)?;
        self.under_way.push(strike);
        Ok(())
    }
}

impl UnderWay {
    fn begin(&self, cluster: &mut Cluster) -> Result<()> {
        match self.fault {
            Fault::Kill => cluster.kill(self.victim),
            Fault::Bounce => {
                cluster.kill(self.victim)?;
                cluster.start_node(self.victim)
            }
            Fault::Terminate => cluster.terminate(self.victim),
            Fault::Pause => cluster.pause(self.victim),
            Fault::Isolate | Fault::Deaf | Fault::Mute | Fault::Cut => {
                self.gates(cluster).into_iter().for_each(|(from, to)| cluster.network().close(from, to));
                Ok(())
            }
            Fault::KillAll => Ok(()),
        }
    }

    fn end(&self, cluster: &mut Cluster) -> Result<()> {
        match self.fault {
            Fault::Kill | Fault::Terminate => cluster.start_node(self.victim),
            Fault::Pause => cluster.resume(self.victim),
            Fault::Isolate | Fault::Deaf | Fault::Mute | Fault::Cut => {
                self.gates(cluster).into_iter().for_each(|(from, to)| cluster.network().open(from, to));
                Ok(())
            }
            Fault::Bounce | Fault::KillAll => Ok(()),
        }
    }

    /// The directions, (sender, receiver), that are closed.
    fn gates(&self, cluster: &Cluster) -> Vec<(i32, i32)> {
        let out = cluster.ids().filter(|id| *id != self.victim).map(|id| (self.victim, id));
        let reversed = |(from, to)| (to, from);
        match self.fault {
            Fault::Mute => out.collect(),
            Fault::Deaf => out.map(reversed).collect(),
            Fault::Isolate => out.flat_map(|gate| [gate, reversed(gate)]).collect(),
            Fault::Cut => vec![(self.victim, self.other), (self.other, self.victim)],
            _ => Vec::new(),
        }
    }
}
