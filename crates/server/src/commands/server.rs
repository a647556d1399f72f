//! `tidelog server`
use std::path::PathBuf;

use clap::Args;

use crate::exit::{Exit, Failure};

#[derive(Args, Debug)]
pub struct ServerArgs {
    #[arg(long)]
    config: Option<PathBuf>,
}

pub fn run(_args: ServerArgs) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Failed, "not wired yet"))
}
