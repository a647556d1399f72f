//! What a client command works with: a connected client, a printer, and the runtime under both.

use std::future::Future;

use tidelog_client::{Client, ClientOptions};

use crate::args::Global;
use crate::exit::{Exit, Failure};
use crate::logging;
use crate::output::Printer;

pub struct Session {
    pub client: Client,
    /// As it was given, for a second client.
    pub bootstrap_server: String,
    pub printer: Printer,
}

/// Connects and runs `command` on a runtime of its own, on this thread.
pub fn run<F, C>(global: &Global, command: C) -> Result<Exit, Failure>
where
    C: FnOnce(Session) -> F,
    F: Future<Output = Result<Exit, Failure>>,
{
    logging::start(logging::COMMAND, false);
    let printer = Printer::new(global.format);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let client = Client::connect(&global.bootstrap_server, ClientOptions::default()).await?;
        command(Session { client, bootstrap_server: global.bootstrap_server.clone(), printer }).await
    });
    // A name look-up or the thread that reads stdin may hang; neither is worth waiting for.
    runtime.shutdown_background();
    result
}
