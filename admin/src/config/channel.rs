//! One `[[channels]]` table: its keys, their limits and what is taken when they are not given.

use super::secret::{self, Refusal};
use engine::{BindKind, ChannelConfig, MessageIdForm};
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// Longest fields of a bind, SMPP 3.4 section 4.1.1, without the closing NUL.
const SYSTEM_ID_OCTETS: usize = 15;
const PASSWORD_OCTETS: usize = 8;
const SYSTEM_TYPE_OCTETS: usize = 12;
/// Longest name: it is a label of metrics.
const NAME_OCTETS: usize = 32;
/// Prefixes and workspaces of a channel, and the digits of a prefix: E.164 has at most 15.
const LISTED: usize = 1_000;
const PREFIX_DIGITS: usize = 15;
/// Largest weight among channels that could take a message.
const MOST_WEIGHT: u32 = 1_000;
/// How long the SMSC may take to answer.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// The table as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ChannelSection {
    name: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    system_id: Option<String>,
    password: Option<String>,
    password_file: Option<PathBuf>,
    system_type: Option<String>,
    bind: Option<Bind>,
    binds: Option<u32>,
    window: Option<u32>,
    rate_per_s: Option<u32>,
    enquire_link_s: Option<u32>,
    message_id: Option<MessageId>,
    prefixes: Vec<String>,
    weight: Option<u32>,
    pub(super) workspaces: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum Bind {
    #[serde(rename = "transceiver")]
    Transceiver,
    #[serde(rename = "transmitter+receiver")]
    TransmitterReceiver,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum MessageId {
    Auto,
    AsIs,
    Hex,
    Decimal,
}

impl ChannelSection {
    /// Checks everything and reads the secret.
    pub(super) fn check(self) -> Result<ChannelConfig, Refusal> {
        let name = given("name", self.name.clone())?;
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.len() > NAME_OCTETS || !name.chars().all(is_part) {
            let why = format!("is not at most {NAME_OCTETS} letters, digits, '-', '_' and '.'");
            return Err(("name", why));
        }
        let host = given("host", self.host.clone())?;
        let port = self.port.ok_or_else(|| ("port", "is missing".to_owned()))?;
        let system_id = short("system_id", given("system_id", self.system_id.clone())?, SYSTEM_ID_OCTETS)?;
        let password = secret::password(self.password.as_deref(), self.password_file.as_deref())?;
        let password = password.ok_or_else(|| ("password", "is missing".to_owned()))?;
        let password = short("password", password, PASSWORD_OCTETS)?;
        let system_type =
            short("system_type", self.system_type.clone().unwrap_or_default(), SYSTEM_TYPE_OCTETS)?;
        let is_prefix =
            |p: &String| (1..=PREFIX_DIGITS).contains(&p.len()) && p.bytes().all(|o| o.is_ascii_digit());
        if let Some(odd) = self.prefixes.iter().find(|prefix| !is_prefix(prefix)) {
            return Err(("prefixes", format!("has {odd:?}, which is not 1 to {PREFIX_DIGITS} digits")));
        }
        for (key, listed) in [("prefixes", &self.prefixes), ("workspaces", &self.workspaces)] {
            if listed.len() > LISTED {
                return Err((key, format!("has more than {LISTED} entries")));
            }
        }
        let address = match host.contains(':') && !host.starts_with('[') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        Ok(ChannelConfig {
            name,
            address,
            system_id,
            password,
            system_type,
            bind: match self.bind {
                None | Some(Bind::Transceiver) => BindKind::Transceiver,
                Some(Bind::TransmitterReceiver) => BindKind::TransmitterReceiver,
            },
            binds: within("binds", self.binds.unwrap_or(1), 64)?,
            window: within("window", self.window.unwrap_or(10), 100_000)?,
            rate_per_s: self.rate_per_s.unwrap_or(0),
            enquire_link: Duration::from_secs(
                within("enquire_link_s", self.enquire_link_s.unwrap_or(30), 3600)?.into(),
            ),
            response_timeout: RESPONSE_TIMEOUT,
            message_id: match self.message_id {
                None | Some(MessageId::Auto) => MessageIdForm::Auto,
                Some(MessageId::AsIs) => MessageIdForm::AsIs,
                Some(MessageId::Hex) => MessageIdForm::HexToDecimal,
                Some(MessageId::Decimal) => MessageIdForm::DecimalToHex,
            },
            prefixes: self.prefixes,
            weight: within("weight", self.weight.unwrap_or(1), MOST_WEIGHT)?,
            // Their ids are in the store, which is not open yet.
            workspaces: Vec::new(),
        })
    }
}

fn given(key: &'static str, value: Option<String>) -> Result<String, Refusal> {
    match value {
        Some(value) if !value.is_empty() => Ok(value),
        Some(_) => Err((key, "is empty".to_owned())),
        None => Err((key, "is missing".to_owned())),
    }
}

fn short(key: &'static str, value: String, octets: usize) -> Result<String, Refusal> {
    match value.len() <= octets && !value.contains('\0') {
        true => Ok(value),
        false => Err((key, format!("is longer than {octets} octets or holds a NUL"))),
    }
}

fn within(key: &'static str, value: u32, most: u32) -> Result<u32, Refusal> {
    match (1..=most).contains(&value) {
        true => Ok(value),
        false => Err((key, format!("is {value}, not 1 to {most}"))),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn section(more: &str) -> Result<ChannelConfig, Refusal> {
        let text = format!("name = \"a\"\nhost = \"h\"\nport = 1\nsystem_id = \"s\"\n{more}");
        toml::from_str::<ChannelSection>(&text).unwrap().check()
    }

    #[test]
    fn limits_of_the_wire_are_limits_of_the_configuration() {
        assert!(section("password = \"12345678\"").is_ok());
        assert_eq!(section("password = \"123456789\"").unwrap_err().0, "password");
        assert_eq!(section("password = \"p\"\nwindow = 0").unwrap_err().1, "is 0, not 1 to 100000");
        assert_eq!(section("password = \"p\"\nbinds = 65").unwrap_err().0, "binds");
        assert_eq!(section("").unwrap_err(), ("password", "is missing".to_owned()));
    }

    #[test]
    fn a_prefix_is_digits_and_a_weight_is_at_least_one() {
        let channel = section("password = \"p\"\nprefixes = [\"49\", \"4915\"]\nweight = 3").unwrap();
        assert_eq!((channel.prefixes, channel.weight), (vec!["49".to_owned(), "4915".to_owned()], 3));
        for prefix in ["", "+49", "4 9", "1234567890123456"] {
            assert_eq!(
                section(&format!("password = \"p\"\nprefixes = [{prefix:?}]")).unwrap_err().0,
                "prefixes"
            );
        }
        assert_eq!(section("password = \"p\"\nweight = 0").unwrap_err().1, "is 0, not 1 to 1000");
    }

    #[test]
    fn a_secret_may_lie_in_a_file_whose_first_line_it_is() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s3cret\n").unwrap();
        let from_file = format!("password_file = {:?}", file.path());
        assert_eq!(section(&from_file).unwrap().password, "s3cret");
        assert_eq!(section(&format!("{from_file}\npassword = \"p\"")).unwrap_err().0, "password");
        assert!(section("password_file = \"/nowhere/at/all\"").unwrap_err().1.contains("cannot be read"));
    }

    #[test]
    fn an_ipv6_host_gets_its_brackets() {
        let text = "name = \"a\"\nhost = \"::1\"\nport = 2775\nsystem_id = \"s\"\npassword = \"p\"";
        let channel = toml::from_str::<ChannelSection>(text).unwrap().check().unwrap();
        assert_eq!(channel.address, "[::1]:2775");
    }
}
