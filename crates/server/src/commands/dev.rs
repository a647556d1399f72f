//! `tidelog dev`
use clap::Args;

use crate::exit::{Exit, Failure};

#[derive(Args, Debug)]
pub struct DevArgs {
    #[arg(long, default_value_t = 3)]
    brokers: usize,
}

pub fn run(_args: DevArgs) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Failed, "not wired yet"))
}
