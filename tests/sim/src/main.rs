//! Runs many seeds: `SIM_SEEDS` of them (default 1000), from `SIM_SEED` on (default 0). Stops at the first that fails.

use std::env;

fn main() {
    let number = |name: &str, default: u64| {
        env::var(name).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
    };
    let first = number("SIM_SEED", 0);
    let (mut steps, mut acked, mut moves, mut commits, mut retries) = (0, 0, 0, 0, 0);
    for seed in first..first + number("SIM_SEEDS", 1000) {
        match std::panic::catch_unwind(|| tidelog_sim::run(seed)) {
            Ok(outcome) => {
                steps += outcome.steps;
                acked += outcome.acked;
                moves += outcome.moves;
                commits += outcome.commits;
                retries += outcome.retries;
            }
            Err(_) => {
                println!("seed {seed} fails; again with SIM_SEED={seed} SIM_SEEDS=1");
                std::process::exit(1);
            }
        }
    }
    println!(
        "{steps} steps, {acked} acknowledged produces, {retries} that were in the log already, {moves} moves, {commits} commits of groups, \
         no invariant broken"
    );
}
