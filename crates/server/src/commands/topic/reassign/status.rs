//! `tidelog topic reassign status`

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::commands::moves::cluster::{assignment, ongoing};
use crate::commands::moves::execute::tidy_up;
use crate::commands::moves::plan::Assignment;
use crate::commands::moves::plan_file::read;
use crate::commands::moves::progress::{MoveProgress, Stand};
use crate::commands::moves::show::{moves_table, stand_text};
use crate::commands::moves::watch::{look_twice, until_done};
use crate::exit::{Exit, Failure};
use crate::output::Style;
use crate::session::Session;

#[derive(Args, Debug)]
pub struct StatusArgs {
    /// Only the partitions of this plan, checked against it; default: every move under way
    #[arg(value_name = "PLAN")]
    plan: Option<PathBuf>,
    /// Stay until it is done
    #[arg(long, short = 'w')]
    watch: bool,
    /// Leave throttles as they are even if the plan is done
    #[arg(long)]
    keep_throttle: bool,
}

#[derive(Serialize)]
struct Status {
    moves: Vec<MoveProgress>,
    #[serde(flatten)]
    stand: Stand,
    /// Neither on the move nor where the plan puts them.
    astray: Vec<String>,
    done: bool,
    throttle_removed: bool,
}

pub async fn run(session: Session, args: StatusArgs) -> Result<Exit, Failure> {
    let plan = args.plan.as_deref().map(read).transpose()?;
    let is_wanted = |partition: &(String, i32), _: &_| plan.as_ref().is_none_or(|plan| plan.contains_key(partition));
    if args.watch {
        until_done(&session, is_wanted).await?;
    }
    let (moves, stand) = look_twice(&session.client, is_wanted).await?;
    let mut status = Status { done: moves.is_empty(), moves, stand, astray: Vec::new(), throttle_removed: false };
    if let Some(plan) = &plan {
        status.astray = astray(&session, plan).await?;
        status.done &= status.astray.is_empty();
        if status.moves.is_empty() && !args.keep_throttle {
            let topics: BTreeSet<String> = plan.keys().map(|(topic, _)| topic.clone()).collect();
            status.throttle_removed = tidy_up(&session.client, &topics).await?;
        }
    }
    print(&session, &status, plan.is_some())?;
    Ok(if status.astray.is_empty() { Exit::Ok } else { Exit::Failed })
}

async fn astray(session: &Session, plan: &Assignment) -> Result<Vec<String>, Failure> {
    let under_way = ongoing(&session.client).await?;
    let current = assignment(&session.client.metadata(None, false).await?, &under_way);
    let is_astray = |(partition, replicas): &(&(String, i32), &Vec<i32>)| current.get(*partition) != Some(*replicas);
    Ok(plan.iter().filter(is_astray).map(|((topic, partition), _)| format!("{topic}-{partition}")).collect())
}

fn print(session: &Session, status: &Status, has_plan: bool) -> Result<(), Failure> {
    let printer = &session.printer;
    if printer.is_json() {
        return Ok(printer.json(status)?);
    }
    if status.moves.is_empty() {
        if !status.astray.is_empty() {
            let text = format!("Not as planned, and not on the move: {}.", status.astray.join(", "));
            printer.styled_line(&text, Style::Bad)?;
        } else {
            printer.line(if has_plan {
                "Done: everything is where the plan puts it."
            } else {
                "Nothing is on the move."
            })?;
        }
    } else {
        printer.table(&moves_table(&status.moves))?;
        printer.line(&stand_text(&status.stand))?;
    }
    if status.throttle_removed {
        printer.line("Took the throttle away.")?;
    }
    Ok(())
}
