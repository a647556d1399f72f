//! The simulation over many seeds. A seed that fails is named; run it alone with `SIM_SEED=<seed> SIM_SEEDS=1`.

use std::panic::catch_unwind;

#[test]
fn no_invariant_breaks_whatever_fails() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |value| value.parse().unwrap());
    let first = number("SIM_SEED", 1);
    let (mut steps, mut elections, mut moves, mut commits, mut retries) = (0, 0, 0, 0, 0);
    for seed in first..first + number("SIM_SEEDS", 20) {
        let outcome = catch_unwind(|| tidelog_sim::run(seed));
        let outcome = outcome.unwrap_or_else(|_| panic!("seed {seed} fails: SIM_SEED={seed} SIM_SEEDS=1"));
        steps += outcome.steps;
        elections += outcome.leader_epochs;
        moves += outcome.moves;
        commits += outcome.commits;
        retries += outcome.retries;
    }
    println!("{steps} steps, {elections} leader epochs, {moves} moves, {commits} commits of groups, {retries} retries");
    assert!(elections > 0 && moves > 0 && commits > 0 && retries > 0, "the runs are about nothing");
}
