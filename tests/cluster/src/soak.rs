//! Three writers and a reader through a storm of random faults; then everything they were told must be true.

use std::time::Duration;

use anyhow::Result;

use crate::cluster::{Cluster, Spec};
use crate::nemesis::Nemesis;
use crate::reader::Reader;
use crate::scenario::{report, scenario};
use crate::segments::wait_identical;
use crate::writer::{Load, Writer, read_all};

const TOPIC: &str = "soak";
const PARTITIONS: i32 = 6;
/// Acknowledgements before the storm and after it.
const SOME: usize = 300;

/// The command line of a soak.
#[derive(clap::Parser)]
pub struct Storms {
    /// Of the first storm; the next ones count on from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, default_value_t = 10)]
    storms: u64,
    /// How long each lasts.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

impl Storms {
    /// Runs one after the other; the first that panics is the last.
    pub fn run(&self, storm: impl Fn(u64, Duration)) {
        for seed in self.seed..self.seed + self.storms {
            storm(seed, Duration::from_secs(self.seconds));
        }
    }
}

/// # Panics
/// If anything fails: this is the body of a test.
pub fn soak(seed: u64, storm: Duration) {
    scenario(Spec::brokers(3).gated_network(), |cluster| {
        let mut nemesis = Nemesis::new(seed);
        report(&format!("seed {seed}: {:?}", nemesis.kinds()));
        cluster.create_topic(TOPIC, PARTITIONS)?;
        let writers = [
            Writer::confluent(cluster, TOPIC, Load::default(), &[])?,
            Writer::java(cluster, TOPIC, Load::default())?,
            Writer::own(cluster, TOPIC, PARTITIONS),
        ];
        let reader = Reader::start(cluster, TOPIC, PARTITIONS)?;
        writers.iter().try_for_each(|writer| writer.wait_acked(SOME))?;
        nemesis.rage(cluster, storm)?;
        check(cluster, writers, reader)
    });
}

fn check(cluster: &Cluster, writers: [Writer; 3], reader: Reader) -> Result<()> {
    writers.iter().try_for_each(|writer| writer.wait_acked(SOME))?;
    cluster.wait_in_sync(TOPIC, PARTITIONS, 3)?;
    let histories = writers.into_iter().map(Writer::stop).collect::<Result<Vec<_>>>()?;
    let read = read_all(cluster, TOPIC)?;
    for history in &histories {
        history.check(&read)?;
    }
    reader.check(cluster, &read)?;
    wait_identical(cluster, TOPIC)?;
    let (acked, failed) = histories
        .iter()
        .fold((0, 0), |(acked, failed), history| (acked + history.acked.len(), failed + history.failed.len()));
    report(&format!("{acked} records acknowledged, {failed} of unknown outcome, {} stored", read.len()));
    Ok(())
}
