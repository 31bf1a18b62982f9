//! The configuration of `serve`: a TOML file, overridden by the environment, checked as a whole before anything starts.
//!
//! Every refusal is one sentence that names the file with line and column, the variable, or the key. A key that this
//! version does not know is refused, never ignored.

mod admin;
mod audit;
mod channel;
mod environment;
mod inbound;
mod mail;
mod privacy;
mod secret;

use crate::exit::{self, Failure};
use admin::AdminSection;
use audit::AuditSection;
use channel::ChannelSection;
use engine::{ChannelConfig, InboundConfig, RECEIPT_TIMEOUT};
use inbound::InboundSection;
use mail::MailSection;
use privacy::PrivacySection;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use admin::Admin;
pub(crate) use audit::Audit;
pub(crate) use mail::Mail;
pub(crate) use privacy::Privacy;

/// The commented file that `serve --print-config` prints.
pub(crate) const DEFAULT_FILE: &str = include_str!("default.toml");

/// Where metrics are served unless the file says otherwise.
const METRICS_LISTEN: &str = "127.0.0.1:9464";
/// Keys that later versions know, for a refusal that says so.
const LATER: [&str; 3] = ["core", "grafana", "tls"];
/// What the parser says about values, each followed by the value.
const WITH_VALUE: [&str; 3] = ["invalid type", "invalid value", "unknown variant"];
/// Longest wait for a receipt, hours.
const MOST_RECEIPT_HOURS: u32 = 24 * 30;
/// How long an exported file is kept unless the file says otherwise, hours: fetched the same day or the next.
const EXPORT_HOURS: u32 = 24;
/// Longest that an exported file may be kept, hours: it is a copy of personal data.
const MOST_EXPORT_HOURS: u32 = 24 * 30;

/// What `serve` needs to know.
#[derive(Debug)]
pub(crate) struct Config {
    /// Where the API listens.
    pub(crate) admin: Admin,
    /// What the audit log is told.
    pub(crate) audit: Audit,
    /// Directory of the store.
    pub(crate) directory: PathBuf,
    /// Where metrics are served.
    pub(crate) metrics_listen: SocketAddr,
    /// Where it sends; at least one. Their `workspaces` are still empty.
    pub(crate) channels: Vec<ChannelConfig>,
    /// For each channel the slugs of the workspaces that may use it; empty for all.
    pub(crate) channel_workspaces: Vec<Vec<String>>,
    /// What holds for all channels.
    pub(crate) settings: Settings,
    /// How recipients are named where their numbers are not shown.
    pub(crate) privacy: Privacy,
    /// How long an exported file is kept.
    pub(crate) export_kept: Duration,
    /// Where mails go; `None` for a site without mail.
    pub(crate) mail: Option<Mail>,
}

/// What the engine is told beside its channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// How messages from handsets are understood.
    pub(crate) inbound: InboundConfig,
    /// How long a receipt is waited for.
    pub(crate) receipt_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { inbound: InboundConfig::default(), receipt_timeout: RECEIPT_TIMEOUT }
    }
}

/// The file as written: everything may be missing, since the environment may bring it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Sections {
    admin: AdminSection,
    audit: AuditSection,
    store: StoreSection,
    metrics: MetricsSection,
    channels: Vec<ChannelSection>,
    inbound: InboundSection,
    limits: LimitsSection,
    privacy: PrivacySection,
    mail: Option<MailSection>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct StoreSection {
    url: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LimitsSection {
    receipt_timeout_h: Option<u32>,
    export_hours: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MetricsSection {
    listen: Option<String>,
}

impl Config {
    /// Reads and checks `path` under `variables`, the environment.
    pub(crate) fn load(
        path: &Path,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let sentence = format!("the configuration {} cannot be read: {error}", path.display());
            Failure::new(exit::NO_INPUT, sentence)
        })?;
        Self::read(&path.display().to_string(), &text, variables)
            .map_err(|sentence| Failure::new(exit::CONFIG, sentence))
    }

    fn read(
        name: &str,
        text: &str,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, String> {
        // Once for what is wrong in the file, with its line; then again with the environment laid over it.
        let _: Sections = toml::from_str(text).map_err(|error| place(name, text, &error))?;
        let mut table = text.parse().map_err(|error| place(name, text, &error))?;
        environment::lay_over(&mut table, variables)?;
        let sections: Sections = table.try_into().map_err(|error: toml::de::Error| {
            format!("{name} with the environment: {}", explain(error.message()))
        })?;
        sections.check().map_err(|sentence| format!("{name}: {sentence}"))
    }
}

impl Sections {
    fn check(self) -> Result<Config, String> {
        let Some(url) = self.store.url else { return Err("store.url is missing".to_owned()) };
        let directory = directory_of(&url)?;
        let listen = self.metrics.listen.as_deref().unwrap_or(METRICS_LISTEN);
        let metrics_listen = listen.parse().map_err(|_| {
            format!("metrics.listen: {listen:?} is not an address with a port, such as {METRICS_LISTEN}")
        })?;
        if self.channels.is_empty() {
            return Err("there is no [[channels]], so nothing could be sent".to_owned());
        }
        let mut names = BTreeSet::new();
        let mut channels = Vec::with_capacity(self.channels.len());
        let mut channel_workspaces = Vec::with_capacity(self.channels.len());
        for (at, section) in self.channels.into_iter().enumerate() {
            channel_workspaces.push(section.workspaces.clone());
            let channel = section.check().map_err(|(key, why)| format!("channels[{at}].{key} {why}"))?;
            if !names.insert(channel.name.clone()) {
                return Err(format!("channels[{at}].name {:?} is taken by another channel", channel.name));
            }
            channels.push(channel);
        }
        let export_hours = self.limits.export_hours.unwrap_or(EXPORT_HOURS);
        if !(1..=MOST_EXPORT_HOURS).contains(&export_hours) {
            return Err(format!("limits.export_hours is {export_hours}, not 1 to {MOST_EXPORT_HOURS}"));
        }
        let export_kept = Duration::from_secs(u64::from(export_hours) * 3600);
        let mut settings = Settings { inbound: self.inbound.check()?, ..Settings::default() };
        if let Some(hours) = self.limits.receipt_timeout_h {
            if !(1..=MOST_RECEIPT_HOURS).contains(&hours) {
                return Err(format!("limits.receipt_timeout_h is {hours}, not 1 to {MOST_RECEIPT_HOURS}"));
            }
            settings.receipt_timeout = Duration::from_secs(u64::from(hours) * 3600);
        }
        let (admin, privacy) = (self.admin.check()?, self.privacy.check()?);
        let audit = self.audit.check(&directory)?;
        let mail = self.mail.map(|mail| mail.check(admin.public_url.as_deref())).transpose()?;
        Ok(Config {
            admin,
            audit,
            directory,
            metrics_listen,
            channels,
            channel_workspaces,
            settings,
            privacy,
            export_kept,
            mail,
        })
    }
}

fn directory_of(url: &str) -> Result<PathBuf, String> {
    match url.split_once(':') {
        Some(("sqlite", directory)) if !directory.is_empty() => Ok(directory.into()),
        Some(("mongodb" | "mongodb+srv", _)) => {
            Err("store.url: MongoDB is not supported yet; use sqlite:DIR".to_owned())
        }
        // The text is not repeated: an address of another kind may hold a password.
        _ => Err("store.url is not of the form sqlite:DIR".to_owned()),
    }
}

/// An error of the parser as one line with its place.
fn place(name: &str, text: &str, error: &toml::de::Error) -> String {
    let why = explain(error.message());
    let Some(at) = error.span().map(|span| span.start.min(text.len())) else {
        return format!("{name}: {why}");
    };
    let before = &text.as_bytes()[..at];
    let line = before.iter().filter(|octet| **octet == b'\n').count() + 1;
    let line_start = before.iter().rposition(|octet| *octet == b'\n').map_or(0, |newline| newline + 1);
    let column = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
    format!("{name}, line {line}, column {column}: {why}")
}

/// What the parser says, without the value that it found, which may be a secret; whether a later version knows the key.
fn explain(message: &str) -> String {
    if let Some(kind) = WITH_VALUE.iter().find(|kind| message.starts_with(**kind)) {
        // What stands between the two repeats the file.
        let wanted = message.rsplit_once(", expected ").map(|(_, wanted)| format!(", expected {wanted}"));
        return format!("{kind}{}", wanted.unwrap_or_default());
    }
    let unknown = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
    match unknown {
        Some(key) if LATER.contains(&key) => format!("{key} is not supported yet"),
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use engine::{BindKind, MessageIdForm};

    const SMALLEST: &str = "[store]\nurl = \"sqlite:d\"\n[[channels]]\nname = \"a\"\nhost = \"h\"\nport = 1\nsystem_id = \"s\"\npassword = \"p\"\n";

    fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Config::read("f.toml", text, variables)
    }

    fn refusal(text: &str) -> String {
        read(text, &[]).unwrap_err()
    }

    #[test]
    fn the_printed_file_says_the_same_as_the_defaults() {
        let config = read(DEFAULT_FILE, &[]).unwrap();
        let smallest = read(SMALLEST, &[]).unwrap();
        assert_eq!(config.directory, Path::new("message-center-data"));
        assert_eq!(config.metrics_listen, smallest.metrics_listen);
        assert_eq!(config.admin, smallest.admin);
        assert_eq!((&config.privacy, config.export_kept), (&smallest.privacy, smallest.export_kept));
        assert!(config.mail.is_none() && smallest.mail.is_none());
        let audit = |config: &Config| (config.audit.retention_days, config.audit.overflow);
        assert_eq!(audit(&config), audit(&smallest));
        let (one, other) = (&config.channels[0], &smallest.channels[0]);
        let defaults =
            |c: &ChannelConfig| (c.bind, c.binds, c.window, c.rate_per_s, c.enquire_link, c.message_id);
        assert_eq!(defaults(one), defaults(other));
        assert_eq!((&one.prefixes, one.weight), (&other.prefixes, other.weight));
        assert_eq!(config.channel_workspaces, smallest.channel_workspaces);
        assert_eq!(config.settings, smallest.settings);
        assert_eq!((one.bind, one.message_id), (BindKind::Transceiver, MessageIdForm::Auto));
        assert_eq!(one.address, "127.0.0.1:2775");
    }

    #[test]
    fn a_mistake_in_the_file_is_told_with_its_line_and_column() {
        assert!(refusal("[store]\nurl = \n").starts_with("f.toml, line 2, column 7: "));
        assert!(refusal("[store]\nurl = 7\n").starts_with("f.toml, line 2, column 7: invalid type"));
        let unknown = refusal(&format!("{SMALLEST}colour = 1\n"));
        assert!(unknown.starts_with("f.toml, line 9, column 1: unknown field `colour`"), "{unknown}");
        assert_eq!(
            refusal(&format!("{SMALLEST}tls = true\n")),
            "f.toml, line 9, column 1: tls is not supported yet"
        );
        assert_eq!(refusal("[grafana]\n"), "f.toml, line 1, column 2: grafana is not supported yet");
    }

    #[test]
    fn what_is_told_of_a_mistake_never_holds_the_value() {
        for (message, told) in [
            ("invalid type: integer `12345678`, expected a string", "invalid type, expected a string"),
            ("invalid value: integer `-1`, expected u16", "invalid value, expected u16"),
            ("invalid type: string \"a, expected b\", expected u16", "invalid type, expected u16"),
            ("unknown variant `s3cret`, expected `a` or `b`", "unknown variant, expected `a` or `b`"),
            ("unknown variant `s3cret`, there are no variants", "unknown variant"),
            ("unknown field `colour`, expected `name`", "unknown field `colour`, expected `name`"),
            ("missing field `name`", "missing field `name`"),
        ] {
            assert_eq!(explain(message), told);
        }
        let unquoted = SMALLEST.replace("\"p\"", "12345678");
        assert_eq!(
            refusal(&unquoted),
            "f.toml, line 8, column 12: invalid type, expected a string",
            "a password without quotes"
        );
        let mail = format!("{SMALLEST}[mail]\npassword = true\n");
        assert!(!refusal(&mail).contains("true"), "{}", refusal(&mail));
    }

    #[test]
    fn what_is_missing_or_unusable_is_named() {
        assert_eq!(refusal(""), "f.toml: store.url is missing");
        assert_eq!(
            refusal("[store]\nurl = \"sqlite:d\""),
            "f.toml: there is no [[channels]], so nothing could be sent"
        );
        let mongo = SMALLEST.replace("sqlite:d", "mongodb://u:secret@h");
        assert_eq!(refusal(&mongo), "f.toml: store.url: MongoDB is not supported yet; use sqlite:DIR");
        let other = SMALLEST.replace("sqlite:d", "redis://u:secret@h");
        assert_eq!(refusal(&other), "f.toml: store.url is not of the form sqlite:DIR");
        let twice = format!("{SMALLEST}{}", SMALLEST.split_once('\n').unwrap().1.split_once('\n').unwrap().1);
        assert_eq!(refusal(&twice), "f.toml: channels[1].name \"a\" is taken by another channel");
        let address = format!("[metrics]\nlisten = \"9464\"\n{SMALLEST}");
        let never = format!("[limits]\nreceipt_timeout_h = 0\n{SMALLEST}");
        assert_eq!(refusal(&never), "f.toml: limits.receipt_timeout_h is 0, not 1 to 720");
        assert!(refusal(&address).contains("metrics.listen: \"9464\" is not an address"));
    }

    #[test]
    fn the_environment_wins_over_the_file_and_may_add_a_channel() {
        let changed = [
            ("MC_STORE__URL", "sqlite:elsewhere"),
            ("MC_METRICS__LISTEN", "127.0.0.1:0"),
            ("MC_CHANNELS__0__PASSWORD", "1234"),
            ("MC_CHANNELS__0__WINDOW", "77"),
            ("MC_CHANNELS__1__NAME", "b"),
            ("MC_CHANNELS__1__HOST", "h2"),
            ("MC_CHANNELS__1__PORT", "2"),
            ("MC_CHANNELS__1__SYSTEM_ID", "s"),
            ("MC_CHANNELS__1__PASSWORD", "p"),
            ("MC_CHANNELS__1__PREFIXES", "49, 43"),
            ("MC_CHANNELS__1__WORKSPACES", "north"),
            ("MC_INBOUND__STOP_WORDS", "ENDE"),
            ("MC_LIMITS__RECEIPT_TIMEOUT_H", "1"),
            ("MC_AUDIT__RETENTION_DAYS", "365"),
            ("MC_AUDIT__FALLBACK_PATH", "somewhere/else"),
            ("MC_AUDIT__OVERFLOW", "block"),
            ("MC_ADMIN__LISTEN", "127.0.0.1:0"),
            ("MC_ADMIN__TRUSTED_PROXIES", "192.0.2.1, 192.0.2.2"),
            ("MC_LOG", "info"),
            ("HOME", "x"),
        ];
        let config = read(SMALLEST, &changed).unwrap();
        assert_eq!(config.directory, Path::new("elsewhere"));
        assert_eq!(config.metrics_listen.port(), 0);
        assert_eq!((config.channels[0].password.as_str(), config.channels[0].window), ("1234", 77));
        assert_eq!(config.channels[1].address, "h2:2");
        assert_eq!(config.channels[1].prefixes, ["49", "43"]);
        assert_eq!(config.channel_workspaces, [vec![], vec!["north".to_owned()]]);
        assert_eq!(config.settings.inbound.stop_words, ["ENDE"]);
        assert_eq!(config.settings.receipt_timeout, Duration::from_secs(3600));
        assert_eq!((config.admin.listen.port(), config.admin.trusted_proxies.len()), (0, 2));
        let overflow = engine::model::AuditOverflow::Block;
        let fallback_path = PathBuf::from("somewhere/else");
        assert_eq!(config.audit, Audit { retention_days: 365, fallback_path, overflow });
    }

    #[test]
    fn the_api_does_not_listen_in_the_clear_beyond_this_machine() {
        let listen = |section: &str| read(&format!("[admin]\n{section}\n{SMALLEST}"), &[]);
        assert_eq!(listen("").unwrap().admin.listen.to_string(), "127.0.0.1:8080");
        let open = listen("listen = \"0.0.0.0:8080\"").unwrap_err();
        assert!(open.starts_with("f.toml: admin.listen: 0.0.0.0:8080 is not a loopback address"), "{open}");
        let behind = listen("listen = \"0.0.0.0:8080\"\ntrusted_proxies = [\"10.0.0.1\"]").unwrap().admin;
        assert_eq!(behind.trusted_proxies.len(), 1);
        assert!(
            listen("trusted_proxies = [\"proxy\"]").unwrap_err().contains("\"proxy\" is not an IP address")
        );
        assert!(listen("public_url = \"https://mc.example.com\"").is_ok());
        for wrong in ["mc.example.com", "https://", "https://a/b", "ftp://a"] {
            assert!(listen(&format!("public_url = {wrong:?}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn mail_needs_the_address_of_the_site_and_can_come_from_the_environment_alone() {
        let section = "[mail]\nhost = \"smtp.example.com\"\nfrom = \"mc@example.com\"\n";
        let told = refusal(&format!("{section}{SMALLEST}"));
        assert!(told.starts_with("f.toml: admin.public_url is missing: with [mail] it is needed"), "{told}");
        assert_eq!(
            refusal(&format!("{section}colour = 1\n{SMALLEST}")),
            "f.toml, line 4, column 1: unknown field `colour`, expected one of `host`, `port`, `tls`, `ca_file`, \
             `username`, `password`, `password_file`, `from`, `timeout_s`"
        );
        let secret = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(secret.path(), "s3cret\n").unwrap();
        let variables = [
            ("MC_ADMIN__PUBLIC_URL", "https://mc.example.com"),
            ("MC_MAIL__HOST", "127.0.0.1"),
            ("MC_MAIL__PORT", "2525"),
            ("MC_MAIL__TLS", "none"),
            ("MC_MAIL__FROM", "Message Center <mc@example.com>"),
            ("MC_MAIL__USERNAME", "mc"),
            ("MC_MAIL__PASSWORD_FILE", secret.path().to_str().unwrap()),
            ("MC_MAIL__TIMEOUT_S", "5"),
        ];
        let mail = read(SMALLEST, &variables).unwrap().mail.unwrap();
        assert_eq!((mail.host.as_str(), mail.port, mail.timeout.as_secs()), ("127.0.0.1", 2525, 5));
        assert!(mail.credentials.is_some());
        let wrong = [variables[0], variables[1], variables[4], ("MC_MAIL__CA_FILE", "/nowhere/at/all")];
        assert!(read(SMALLEST, &wrong).unwrap_err().contains("mail.ca_file /nowhere/at/all cannot be read"));
        let in_file = format!("{section}username = \"mc\"\npassword = \"p\"\n{SMALLEST}");
        assert!(read(&in_file, &[variables[0], variables[6]]).is_ok(), "the file wins over what it replaces");
    }

    #[test]
    fn the_commented_mail_section_of_the_printed_file_is_one() {
        let begin = DEFAULT_FILE.find("# [mail]").unwrap();
        let block = &DEFAULT_FILE[begin..begin + DEFAULT_FILE[begin..].find("\n\n").unwrap()];
        let is_setting = |line: &&str| {
            line.starts_with('[') || line.split(' ').nth(1) == Some("=") && !line.ends_with('.')
        };
        let lines: Vec<&str> =
            block.lines().filter_map(|line| line.strip_prefix("# ")).filter(is_setting).collect();
        let text = format!("[admin]\npublic_url = \"https://h\"\n{}\n{SMALLEST}", lines.join("\n"));
        let mail = read(&text, &[]).unwrap().mail.unwrap();
        assert_eq!((mail.port, mail.timeout.as_secs()), (587, 30));
    }

    #[test]
    fn the_way_to_name_recipients_is_one_of_two_and_files_are_kept_for_a_month_at_most() {
        let section = |section: &str| read(&format!("{section}\n{SMALLEST}"), &[]);
        assert_eq!(section("").unwrap().privacy, Privacy::default());
        let chosen = section("[privacy]\nctn_hash = \"plain\"").unwrap().privacy;
        assert_eq!(chosen.mode, engine::model::CtnHash::Plain);
        let kept = section("[privacy]\nctn_key_file = \"/run/secrets/ctn\"").unwrap().privacy;
        assert_eq!(kept.key_file.as_deref(), Some(Path::new("/run/secrets/ctn")));
        for wrong in
            ["ctn_hash = \"sha1\"", "ctn_key_file = \"\"", "ctn_hash = \"plain\"\nctn_key_file = \"k\""]
        {
            let told = section(&format!("[privacy]\n{wrong}")).unwrap_err();
            assert!(told.starts_with("f.toml: privacy.ctn_"), "{told}");
        }
        assert_eq!(section("[limits]\nexport_hours = 2").unwrap().export_kept, Duration::from_secs(7200));
        for wrong in [0, 721] {
            let told = section(&format!("[limits]\nexport_hours = {wrong}")).unwrap_err();
            assert_eq!(told, format!("f.toml: limits.export_hours is {wrong}, not 1 to 720"));
        }
    }

    #[test]
    fn a_variable_that_is_no_setting_is_refused_by_its_name() {
        let told = |name: &str, value: &str| read(SMALLEST, &[(name, value)]).unwrap_err();
        assert_eq!(told("MC_STORE__URLS", "x"), "MC_STORE__URLS in the environment is not a setting");
        assert_eq!(
            told("MC_CHANNELS__2__NAME", "x"),
            "MC_CHANNELS__2__NAME in the environment: there is no channel 1"
        );
        assert_eq!(
            told("MC_CHANNELS__0__PORT", "x"),
            "MC_CHANNELS__0__PORT in the environment is not a whole number"
        );
    }
}
