//! `message-center serve`: the engine on a configured store until it is asked to end.
//!
//! What was running when the last process ended goes on. SIGINT and SIGTERM drain: nothing new is sent, answers are
//! awaited, everything is saved; that is the orderly end and its exit code is 0.

use crate::command::ServeOptions;
use crate::config::{Config, DEFAULT_FILE};
use crate::exit::{self, Failure};
use crate::lines::Lines;
use crate::observe::Observer;
use crate::place::{self, Place};
use crate::signals::Signals;

/// Serves, or prints the default configuration; returns the exit code.
pub(crate) fn run(options: &ServeOptions) -> Result<u8, Failure> {
    let Some(path) = &options.config else {
        Lines::Out.say(DEFAULT_FILE.trim_end());
        return Ok(exit::DONE);
    };
    let config = Config::load(path, std::env::vars_os())?;
    let signals = Signals::watch()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(exit::ENGINE, format!("the runtime did not start: {error}")))?;
    runtime.block_on(serve(config, &signals))
}

async fn serve(mut config: Config, signals: &Signals) -> Result<u8, Failure> {
    let observer = Observer::bind(config.metrics_listen, "metrics.listen").await?;
    let place = Place::open(&config.directory)?;
    place.allow(&mut config.channels, &config.channel_workspaces).await?;
    let engine = place.start_engine(config.channels, config.settings).await?;
    let (unknown, unsent) = engine.recovered();
    tracing::info!(
        store = %config.directory.display(),
        metrics = %observer.address(),
        unknown,
        unsent,
        "serving"
    );
    Lines::Out.say(&format!("serving; metrics: http://{}/metrics", observer.address()));
    let answering = observer.serve(engine.clone());
    let ended = tokio::select! {
        biased;
        reason = engine.failed() => Err(reason),
        code = signals.first() => Ok(code),
    };
    let done = match ended {
        Ok(code) => {
            tracing::info!(signal = code - 128, "draining");
            let ended = place::end(engine).await;
            tracing::info!(whole = ended.is_ok(), "drained");
            ended.map(|()| exit::DONE)
        }
        Err(reason) => {
            if let Err(failure) = place::end(engine).await {
                tracing::error!(%failure, "the engine did not end in order");
            }
            Err(Failure::new(exit::ENGINE, format!("the engine has given up: {reason}")))
        }
    };
    answering.abort();
    done
}
