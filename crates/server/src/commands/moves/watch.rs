//! Shows moves until they are over.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use tidelog_client::Client;

use super::cluster::{Ongoing, ongoing};
use super::plan::TopicPartition;
use super::progress::{Journey, MoveProgress, Stand, move_progress, sizes};
use super::show::stand_text;
use crate::commands::produce::now_ms;
use crate::exit::Failure;
use crate::session::Session;

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Where nobody sees a line being redrawn, a new one comes this often.
const SAY_EVERY_LOOKS: u32 = 10;

/// The moves under way that are wanted, and how far each is.
pub async fn look(
    client: &Client,
    is_wanted: impl Fn(&TopicPartition, &Ongoing) -> bool,
) -> Result<Vec<MoveProgress>, Failure> {
    let mut moves: BTreeMap<TopicPartition, Ongoing> = ongoing(client).await?;
    moves.retain(|partition, ongoing| is_wanted(partition, ongoing));
    let sizes = sizes(client, &moves).await?;
    Ok(moves.iter().map(|(partition, ongoing)| move_progress(partition, ongoing, sizes.get(partition))).collect())
}

/// Looks twice, a moment apart, so that there is a pace to estimate by.
pub async fn look_twice(
    client: &Client,
    is_wanted: impl Fn(&TopicPartition, &Ongoing) -> bool,
) -> Result<(Vec<MoveProgress>, Stand), Failure> {
    let mut journey = Journey::default();
    let first = look(client, &is_wanted).await?;
    let stand = journey.note(now_ms(), &first);
    if first.is_empty() {
        return Ok((first, stand));
    }
    tokio::time::sleep(LOOK_EVERY).await;
    let second = look(client, &is_wanted).await?;
    let stand = journey.note(now_ms(), &second);
    Ok((second, stand))
}

/// Returns when no wanted move is under way any more. The bar goes to standard error, so that JSON stays JSON.
pub async fn until_done(
    session: &Session,
    is_wanted: impl Fn(&TopicPartition, &Ongoing) -> bool,
) -> Result<Stand, Failure> {
    let is_redrawn = io::stderr().is_terminal();
    let mut journey = Journey::default();
    let mut looks = 0;
    loop {
        let moves = look(&session.client, &is_wanted).await?;
        let stand = journey.note(now_ms(), &moves);
        let is_over = moves.is_empty();
        if is_redrawn {
            // To the line's begin, and clear what is left of the old text.
            write!(io::stderr(), "\r{}\x1b[K{}", stand_text(&stand), if is_over { "\n" } else { "" })?;
        } else if looks % SAY_EVERY_LOOKS == 0 || is_over {
            writeln!(io::stderr(), "{}", stand_text(&stand))?;
        }
        if is_over {
            return Ok(stand);
        }
        looks += 1;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
