//! `message-center demo`: one real campaign from recipient file to receipt, with nothing configured.
//!
//! `simulator` is the SMSC at the other end, `recipients` the list through the real intake, `campaign` the workspace
//! and the approved campaign, `follow` waits and shows, `account` compares the engine's books with the simulator's.

mod account;
mod campaign;
mod follow;
mod recipients;
pub(crate) mod simulator;

use crate::command::DemoOptions;
use crate::config::Settings;
use crate::exit::{self, Failure};
use crate::lines::Lines;
use crate::observe::Observer;
use crate::place::{self, Place};
use crate::signals::Signals;
use account::{Account, EngineSide};
use engine::{BindKind, ChannelConfig};
use follow::{Ended, Follow};
use simulator::Simulator;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Account name at the simulator, and the name of the channel.
const CHANNEL: &str = "demo";
/// How long the simulator may take to read what the engine wrote last.
const AGREE_WITHIN: Duration = Duration::from_secs(2);
/// How often it is looked at.
const AGREE_TICK: Duration = Duration::from_millis(10);

/// Runs the demo; returns the exit code.
pub(crate) fn run(options: &DemoOptions) -> Result<u8, Failure> {
    let signals = Signals::watch()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(exit::ENGINE, format!("the runtime did not start: {error}")))?;
    runtime.block_on(demo(options, &signals))
}

async fn demo(options: &DemoOptions, signals: &Signals) -> Result<u8, Failure> {
    let lines = if options.json { Lines::Error } else { Lines::Out };
    campaign::check_text(&options.text)?;
    let source = recipients::Source::open(options)?;
    let observer = Observer::bind(options.metrics_listen, "--metrics-listen").await?;
    let metrics = format!("http://{}/metrics", observer.address());
    let home = Home::make(options.directory.as_deref())?;
    let place = Place::open(home.path())?;
    let Some(prepared) = campaign::prepare(&place, (source, home.path()), options, (signals, lines)).await?
    else {
        lines.say("interrupted while the recipients were read; nothing was sent");
        return Ok(signals.asked().unwrap_or(exit::DONE));
    };
    let simulator = Simulator::start(options.wants_receipts())?;
    let engine = place.start_engine(vec![channel(options, simulator.address())], Settings::default()).await?;
    let answering = observer.serve(engine.clone(), None);
    lines.say(&format!("metrics: {metrics}"));
    let mut follow = Follow::new(&engine, &prepared, (options.wants_receipts(), lines));
    follow.until_bound(signals).await;
    prepared.start(&engine).await?;
    let ended = follow.until_done(signals).await;
    let left = match &ended {
        Ended::Done => engine.settle().await.map_err(Failure::from),
        // Whatever is on the wire gets its answer before anything is counted.
        Ended::Asked(_) | Ended::Stuck(_) | Ended::Failed(_) | Ended::Unstored => {
            place::end(engine.clone()).await
        }
    };
    let account = agreed(&simulator, || follow.account(&prepared)).await;
    let code = verdict(&account, &ended, lines);
    if options.json {
        Lines::Out.say(&account.json());
    }
    if ended == Ended::Unstored {
        return Err(Failure::new(exit::STORE, place.ailment().await));
    }
    left?;
    if !options.exit && ended == Ended::Done {
        lines.say(&format!("staying up with {metrics}; Ctrl-C ends the demo"));
        tokio::select! {
            _ = signals.first() => {}
            reason = engine.failed() => {
                return Err(Failure::new(exit::ENGINE, format!("the engine has given up: {reason}")));
            }
        }
    }
    place::end(engine).await?;
    answering.abort();
    simulator.stop();
    home.leave(lines);
    Ok(code)
}

/// The account, taken again until both sides agree: the simulator may still have to read the last answers.
async fn agreed(simulator: &Simulator, engine_side: impl Fn() -> EngineSide) -> Account {
    let until = Instant::now() + AGREE_WITHIN;
    loop {
        let account = Account::new(engine_side(), simulator.stats());
        if account.disagreements().is_empty() || Instant::now() >= until {
            return account;
        }
        tokio::time::sleep(AGREE_TICK).await;
    }
}

/// Prints the account and what to think of it; returns the exit code.
fn verdict(account: &Account, ended: &Ended, lines: Lines) -> u8 {
    account.table().iter().for_each(|line| lines.say(line));
    let disagreements = account.disagreements();
    disagreements.iter().for_each(|sentence| lines.say(&format!("DISAGREES: {sentence}")));
    let agrees = disagreements.is_empty();
    if agrees {
        lines.say("engine and simulator agree: nothing lost, nothing repeated");
    }
    match ended {
        Ended::Failed(reason) => {
            lines.say(&format!("the engine has given up: {reason}"));
            exit::ENGINE
        }
        Ended::Stuck(missing) => {
            lines.say(&format!("INCOMPLETE: {missing}"));
            exit::DISAGREEMENT
        }
        Ended::Unstored => exit::STORE,
        Ended::Done | Ended::Asked(_) if !agrees => exit::DISAGREEMENT,
        Ended::Done => exit::DONE,
        Ended::Asked(code) => {
            lines.say("interrupted: nothing more was sent, every answer was awaited");
            *code
        }
    }
}

fn channel(options: &DemoOptions, address: String) -> ChannelConfig {
    ChannelConfig {
        name: CHANNEL.to_owned(),
        address,
        system_id: CHANNEL.to_owned(),
        password: CHANNEL.to_owned(),
        system_type: String::new(),
        bind: BindKind::Transceiver,
        binds: options.binds,
        window: options.window,
        rate_per_s: options.rate,
        enquire_link: Duration::from_secs(30),
        response_timeout: Duration::from_secs(30),
        message_id: engine::MessageIdForm::Auto,
        prefixes: Vec::new(),
        weight: 1,
        workspaces: Vec::new(),
    }
}

/// The directory of the demo's data.
enum Home {
    Temporary(TempDir),
    Kept(PathBuf),
}

impl Home {
    fn make(kept: Option<&Path>) -> Result<Self, Failure> {
        if let Some(directory) = kept {
            place::check_parent(directory)?;
            return Ok(Self::Kept(directory.to_owned()));
        }
        let made = tempfile::Builder::new().prefix("message-center-demo-").tempdir();
        made.map(Self::Temporary).map_err(|error| {
            Failure::new(exit::STORE, format!("no temporary directory can be made: {error}; use --directory"))
        })
    }

    fn path(&self) -> &Path {
        match self {
            Self::Temporary(directory) => directory.path(),
            Self::Kept(directory) => directory,
        }
    }

    /// Removes what was temporary.
    fn leave(self, lines: Lines) {
        match self {
            Self::Temporary(directory) => {
                let path = directory.path().to_owned();
                if let Err(error) = directory.close() {
                    lines.say(&format!("{} could not be removed: {error}", path.display()));
                }
            }
            Self::Kept(directory) => lines.say(&format!("the data stays in {}", directory.display())),
        }
    }
}
