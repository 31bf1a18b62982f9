//! The command line: what can be asked for, and how the answer becomes an exit code.

use crate::exit::{self, Failure};
use crate::lines::Lines;
use crate::{api, audit_verify, demo, log, serve, user};
use clap::{Args, Parser, Subcommand};
use engine::model::MAX_RECIPIENTS;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// SMS campaigns from recipient file to receipt.
#[derive(Debug, Parser)]
#[command(name = "message-center", version, after_help = exit::HELP, disable_help_subcommand = true)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one campaign end to end against a simulated SMSC; nothing has to be configured.
    #[command(after_help = exit::HELP)]
    Demo(DemoOptions),
    /// Run the engine and the API on a configured store until SIGINT or SIGTERM.
    #[command(after_help = exit::HELP)]
    Serve(ServeOptions),
    /// Check that the audit logs of a store that nobody is using are what was written.
    #[command(after_help = exit::HELP)]
    AuditVerify(AuditVerifyOptions),
    /// Administer accounts of a store that no server uses now.
    #[command(subcommand, after_help = exit::HELP)]
    User(UserCommand),
    /// Print the OpenAPI document of the API.
    Openapi,
}

/// What is done to accounts.
#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Create a super admin; the password is asked for, or read from standard input.
    CreateSuperAdmin(SuperAdminOptions),
}

/// The super admin to create.
#[derive(Clone, Debug, Args)]
pub(crate) struct SuperAdminOptions {
    /// Email of the account.
    #[arg(long, value_name = "E")]
    pub(crate) email: String,
    /// Name of its owner; the email unless given.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Configuration file; of it only the store counts.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
}

/// What `serve` is asked for.
#[derive(Clone, Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(crate) struct ServeOptions {
    /// Configuration file.
    #[arg(long, value_name = "FILE", group = "what")]
    pub(crate) config: Option<PathBuf>,
    /// Print a commented configuration file and end.
    #[arg(long, group = "what")]
    print_config: bool,
}

/// What `audit-verify` is asked for.
#[derive(Clone, Debug, Args)]
struct AuditVerifyOptions {
    /// Configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// What the demo is asked for.
#[derive(Clone, Debug, Args)]
pub(crate) struct DemoOptions {
    /// Recipients to generate, 100000 unless a file is given.
    #[arg(long, value_name = "N", conflicts_with = "file",
          value_parser = clap::value_parser!(u64).range(1..=MAX_RECIPIENTS))]
    pub(crate) recipients: Option<u64>,
    /// Recipient file: one number a line, or csv with the number in the first column.
    #[arg(long, value_name = "F")]
    pub(crate) file: Option<PathBuf>,
    /// Segments per second over all binds; 0 for no limit.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) rate: u32,
    /// Binds to the simulated SMSC.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) binds: u32,
    /// Unanswered messages of each bind.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) window: u32,
    /// The message.
    #[arg(long, value_name = "TEXT", default_value = "Hello from Message Center")]
    pub(crate) text: String,
    /// Ask for receipts and wait for them: the default.
    #[arg(long, overrides_with = "no_receipts")]
    receipts: bool,
    /// Do not ask for receipts.
    #[arg(long)]
    no_receipts: bool,
    /// Keep the data in this directory; otherwise it is temporary and removed at the end.
    #[arg(long, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
    /// Where /metrics and /healthz are served; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) metrics_listen: SocketAddr,
    /// End when the campaign has ended instead of staying up.
    #[arg(long)]
    pub(crate) exit: bool,
    /// Print one JSON object as the last line, and everything else to standard error.
    #[arg(long, requires = "exit")]
    pub(crate) json: bool,
}

impl DemoOptions {
    /// Whether receipts are asked for.
    pub(crate) fn wants_receipts(&self) -> bool {
        self.receipts || !self.no_receipts
    }
}

/// Runs the command that the command line asks for.
#[must_use]
pub fn run() -> ExitCode {
    let done = match Program::parse().command {
        Command::Demo(options) => {
            log::start(log::Shape::Text);
            demo::run(&options)
        }
        Command::Serve(options) => {
            log::start(log::Shape::Json);
            serve::run(&options)
        }
        Command::AuditVerify(options) => {
            log::start(log::Shape::Text);
            audit_verify::run(&options.config)
        }
        Command::User(UserCommand::CreateSuperAdmin(options)) => {
            log::start(log::Shape::Text);
            user::create_super_admin(&options)
        }
        Command::Openapi => {
            Lines::Out.say(&format!("{:#}", api::document()));
            Ok(exit::DONE)
        }
    };
    ExitCode::from(done.unwrap_or_else(|failure| report(&failure)))
}

fn report(failure: &Failure) -> u8 {
    Lines::Error.say(&format!("message-center: {failure}"));
    failure.code
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Program::command().debug_assert();
    }

    #[test]
    fn receipts_are_asked_for_unless_the_last_word_is_no() {
        let wants = |flags: &[&str]| {
            let line = ["message-center", "demo"].iter().chain(flags);
            match Program::try_parse_from(line).expect("a sound line").command {
                Command::Demo(options) => options.wants_receipts(),
                Command::Serve(_) | Command::AuditVerify(_) | Command::User(_) | Command::Openapi => {
                    unreachable!("demo was asked for")
                }
            }
        };
        assert!(wants(&[]) && wants(&["--receipts"]) && wants(&["--no-receipts", "--receipts"]));
        assert!(!wants(&["--no-receipts"]));
    }
}
