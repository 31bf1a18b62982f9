//! The log of the process: always on standard error, so that standard output belongs to the command.

use tracing_subscriber::EnvFilter;

/// The environment variable with the filter, for instance `info` or `engine=debug`.
const FILTER: &str = "MC_LOG";

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// For a person who watches: errors only, unless `MC_LOG` says otherwise.
    Text,
    /// One JSON object a line, from `info` on, unless `MC_LOG` says otherwise.
    Json,
}

/// Starts the log of this process.
pub(crate) fn start(shape: Shape) {
    let usual = match shape {
        Shape::Text => "error",
        Shape::Json => "info",
    };
    let filter = EnvFilter::try_from_env(FILTER).unwrap_or_else(|_| EnvFilter::new(usual));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Fails only when a log was started before in this process: then that one goes on.
    let _ = match shape {
        Shape::Text => log.with_target(false).try_init(),
        Shape::Json => log.json().try_init(),
    };
}
