//! `[mail]`: the SMTP server that takes mails with links, for sites that have one.
//!
//! Without the section nothing is mailed. With it `admin.public_url` is needed, since a link in a mail is absolute.

use super::secret::{self, Refusal};
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use serde::Deserialize;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Longest name of a host, octets (RFC 1035, 2.3.4).
const HOST_OCTETS: usize = 253;
/// Longest user name and password, octets: more than any server asks for.
const CREDENTIAL_OCTETS: usize = 512;
/// Longest sender, name and address, octets.
const FROM_OCTETS: usize = 512;
/// Largest file of certificates that is read, octets: that of a whole system has about 200 KiB.
const CA_OCTETS: u64 = 1 << 20;
/// How long one attempt to hand over a mail may take unless the file says otherwise, and at most, seconds.
const TIMEOUT_S: u32 = 30;
const MOST_TIMEOUT_S: u32 = 300;
/// What a file of certificates in PEM holds.
const PEM_MARK: &str = "-----BEGIN CERTIFICATE-----";

/// The SMTP server, and as whom mails are sent. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    /// The server's name or address.
    pub(crate) host: String,
    /// Its port.
    pub(crate) port: u16,
    /// How the connection is protected, with what the server's certificate is checked against.
    pub(crate) tls: Tls,
    /// What logs in to it, where it wants that.
    pub(crate) credentials: Option<Credentials>,
    /// Whom mails come from.
    pub(crate) from: Mailbox,
    /// How long one attempt may take.
    pub(crate) timeout: Duration,
    /// Scheme and authority that links begin with, without a slash at the end.
    pub(crate) site: String,
}

#[cfg(test)]
impl Mail {
    /// What a section says for `https://mc.example.com`.
    pub(crate) fn of(section: &str) -> Self {
        let section: MailSection = toml::from_str(section).expect("a section");
        section.check(Some("https://mc.example.com")).expect("a usable section")
    }
}

/// The section as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MailSection {
    host: Option<String>,
    port: Option<u16>,
    tls: Protection,
    ca_file: Option<PathBuf>,
    username: Option<String>,
    password: Option<String>,
    password_file: Option<PathBuf>,
    from: Option<String>,
    timeout_s: Option<u32>,
}

/// How the connection is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Protection {
    None,
    #[default]
    Starttls,
    Tls,
}

impl Protection {
    /// Where servers listen for it: relay, submission (RFC 6409), submissions (RFC 8314).
    const fn port(self) -> u16 {
        match self {
            Self::None => 25,
            Self::Starttls => 587,
            Self::Tls => 465,
        }
    }
}

impl MailSection {
    /// Checks it for an API that browsers reach at `public_url`, and reads its files; the sentence begins with the key.
    pub(super) fn check(self, public_url: Option<&str>) -> Result<Mail, String> {
        let Some(site) = public_url else {
            return Err(
                "admin.public_url is missing: with [mail] it is needed, since a link in a mail is absolute"
                    .to_owned(),
            );
        };
        self.checked(site.to_owned()).map_err(|(key, why)| format!("mail.{key} {why}"))
    }

    fn checked(self, site: String) -> Result<Mail, Refusal> {
        let host = host(self.host.as_deref())?;
        if self.tls == Protection::None && !is_loopback(&host) {
            let why = "is \"none\", and mail.host is not this machine: links and passwords would cross the network \
                       in the clear";
            return Err(("tls", why.to_owned()));
        }
        let timeout_s = self.timeout_s.unwrap_or(TIMEOUT_S);
        if !(1..=MOST_TIMEOUT_S).contains(&timeout_s) {
            return Err(("timeout_s", format!("is {timeout_s}, not 1 to {MOST_TIMEOUT_S}")));
        }
        let port = self.port.unwrap_or(self.tls.port());
        if port == 0 {
            return Err(("port", "is 0".to_owned()));
        }
        Ok(Mail {
            tls: self.protection(&host)?,
            credentials: self.credentials()?,
            from: from(self.from.as_deref())?,
            timeout: Duration::from_secs(timeout_s.into()),
            host,
            port,
            site,
        })
    }

    fn protection(&self, host: &str) -> Result<Tls, Refusal> {
        let (kind, given): (fn(TlsParameters) -> Tls, _) = match (self.tls, &self.ca_file) {
            (Protection::None, None) => return Ok(Tls::None),
            (Protection::None, Some(_)) => {
                return Err(("ca_file", "is of no use with mail.tls = \"none\"".to_owned()));
            }
            (Protection::Starttls, given) => (Tls::Required, given),
            (Protection::Tls, given) => (Tls::Wrapper, given),
        };
        let mut parameters = TlsParameters::builder(host.to_owned());
        if let Some(path) = given {
            let refused = || ("ca_file", format!("{} holds no certificate in PEM", path.display()));
            let text = secret::text_of("ca_file", path, CA_OCTETS)?;
            let authority = Certificate::from_pem(text.as_bytes()).map_err(|_| refused())?;
            if !text.contains(PEM_MARK) {
                return Err(refused());
            }
            // Whoever names an authority trusts that one alone.
            parameters = parameters.certificate_store(CertificateStore::None).add_root_certificate(authority);
        }
        let key = if given.is_some() { "ca_file" } else { "tls" };
        let parameters = parameters.build().map_err(|error| (key, format!("cannot be used: {error}")))?;
        Ok(kind(parameters))
    }

    fn credentials(&self) -> Result<Option<Credentials>, Refusal> {
        let password = secret::password(self.password.as_deref(), self.password_file.as_deref())?;
        let is_usable =
            |text: &str| (1..=CREDENTIAL_OCTETS).contains(&text.len()) && !text.chars().any(char::is_control);
        let unusable =
            |key| (key, format!("is not 1 to {CREDENTIAL_OCTETS} octets without control characters"));
        match (&self.username, password) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(("password", "is missing for mail.username".to_owned())),
            (None, Some(_)) => Err(("username", "is missing for mail.password".to_owned())),
            (Some(username), _) if !is_usable(username) => Err(unusable("username")),
            (Some(_), Some(password)) if !is_usable(&password) => Err(unusable("password")),
            (Some(username), Some(password)) => Ok(Some(Credentials::new(username.clone(), password))),
        }
    }
}

fn host(given: Option<&str>) -> Result<String, Refusal> {
    let host = given.ok_or_else(|| ("host", "is missing".to_owned()))?;
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let is_name = !host.is_empty() && host.len() <= HOST_OCTETS && host.chars().all(is_part);
    if is_name || host.parse::<IpAddr>().is_ok() {
        return Ok(host.to_owned());
    }
    Err(("host", format!("{host:?} is neither a name of a host nor an IP address")))
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The sender. Its address is in ASCII, as every server takes it; the name before it need not be.
fn from(given: Option<&str>) -> Result<Mailbox, Refusal> {
    let given = given.ok_or_else(|| ("from", "is missing".to_owned()))?;
    let mailbox = given.parse::<Mailbox>().ok().filter(|mailbox| {
        let address: &str = mailbox.email.as_ref();
        let name = mailbox.name.as_deref().unwrap_or_default();
        given.len() <= FROM_OCTETS && address.is_ascii() && !name.chars().any(char::is_control)
    });
    mailbox.ok_or_else(|| {
        ("from", format!("{given:?} is not of the form mail@example.com or Name <mail@example.com>"))
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const SITE: Option<&str> = Some("https://mc.example.com");

    fn section(text: &str) -> Result<Mail, String> {
        toml::from_str::<MailSection>(text).unwrap().check(SITE)
    }

    fn refusal(more: &str) -> String {
        section(&format!("host = \"smtp.example.com\"\nfrom = \"a@example.com\"\n{more}")).unwrap_err()
    }

    #[test]
    fn what_is_not_given_is_safe_and_each_protection_has_its_port() {
        let mail =
            section("host = \"smtp.example.com\"\nfrom = \"Message Center <mc@example.com>\"").unwrap();
        assert!(matches!(mail.tls, Tls::Required(_)) && mail.credentials.is_none());
        assert_eq!(
            (mail.port, mail.timeout, mail.site.as_str()),
            (587, Duration::from_secs(30), SITE.unwrap())
        );
        assert_eq!(mail.from.to_string(), "Message Center <mc@example.com>");
        for (tls, host, port) in [("none", "localhost", 25), ("none", "::1", 25), ("tls", "10.0.0.1", 465)] {
            let mail = section(&format!("host = {host:?}\ntls = {tls:?}\nfrom = \"a@b.c\"")).unwrap();
            assert_eq!(mail.port, port);
        }
        let chosen = section("host = \"h\"\nport = 2525\nfrom = \"a@b.c\"\ntimeout_s = 5").unwrap();
        assert_eq!((chosen.port, chosen.timeout), (2525, Duration::from_secs(5)));
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_key() {
        let none = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(none.path(), "no certificate\n").unwrap();
        let broken = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(broken.path(), format!("{PEM_MARK}\nAAAA\n-----END CERTIFICATE-----\n")).unwrap();
        let file = |file: &tempfile::NamedTempFile| format!("ca_file = {:?}", file.path());
        let table = [
            ("tls = \"none\"".to_owned(), "mail.tls is \"none\", and mail.host is not this machine"),
            ("port = 0".to_owned(), "mail.port is 0"),
            ("timeout_s = 0".to_owned(), "mail.timeout_s is 0, not 1 to 300"),
            ("timeout_s = 301".to_owned(), "mail.timeout_s is 301, not 1 to 300"),
            ("username = \"u\"".to_owned(), "mail.password is missing for mail.username"),
            ("password = \"hidden\"".to_owned(), "mail.username is missing for mail.password"),
            ("username = \"\"\npassword = \"hidden\"".to_owned(), "mail.username is not 1 to 512 octets"),
            ("username = \"u\"\npassword = \"hid\\nden\"".to_owned(), "mail.password is not 1 to 512 octets"),
            ("password = \"hidden\"\npassword_file = \"f\"".to_owned(), "mail.password is given twice"),
            (
                "password_file = \"/nowhere/at/all\"".to_owned(),
                "mail.password_file /nowhere/at/all cannot be read",
            ),
            ("ca_file = \"/nowhere/at/all\"".to_owned(), "mail.ca_file /nowhere/at/all cannot be read"),
            (file(&none), "mail.ca_file "),
            (file(&broken), "mail.ca_file cannot be used"),
        ];
        for (more, expected) in table {
            let told = refusal(&more);
            assert!(told.starts_with(expected) && !told.contains("hid"), "{more}: {told}");
        }
        assert!(refusal(&file(&none)).ends_with("holds no certificate in PEM"));
        let local = section("host = \"localhost\"\ntls = \"none\"\nca_file = \"f\"\nfrom = \"a@b.c\"");
        assert_eq!(local.unwrap_err(), "mail.ca_file is of no use with mail.tls = \"none\"");
        assert_eq!(section("from = \"a@b.c\"").unwrap_err(), "mail.host is missing");
        assert_eq!(section("host = \"h\"").unwrap_err(), "mail.from is missing");
        for host in ["", "a b", "h:25", "h\r\nx", "smtp://h", &"h".repeat(254)] {
            assert!(section(&format!("host = {host:?}")).unwrap_err().starts_with("mail.host "), "{host:?}");
        }
        for from in ["", "nobody", "a@b.c, d@e.f", "x\r\nBcc: d@e.f <a@b.c>", "a@bücher.example"] {
            let told = section(&format!("host = \"h\"\nfrom = {from:?}")).unwrap_err();
            assert!(told.starts_with("mail.from "), "{told}");
        }
    }

    #[test]
    fn only_what_is_known_is_taken_and_a_link_needs_an_address() {
        for wrong in ["tls = \"maybe\"", "user = \"u\"", "port = 70000"] {
            assert!(toml::from_str::<MailSection>(wrong).is_err(), "{wrong}");
        }
        let lonely = toml::from_str::<MailSection>("host = \"h\"\nfrom = \"a@b.c\"").unwrap().check(None);
        assert!(lonely.unwrap_err().starts_with("admin.public_url is missing: with [mail] it is needed"));
    }

    #[test]
    fn a_secret_comes_from_its_file_and_is_never_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s3cret\n").unwrap();
        let text =
            format!("host = \"h\"\nfrom = \"a@b.c\"\nusername = \"u\"\npassword_file = {:?}", file.path());
        let mail = section(&text).unwrap();
        let expected = Credentials::new("u".to_owned(), "s3cret".to_owned());
        assert_eq!(mail.credentials, Some(expected));
        assert!(!format!("{mail:?}").contains("s3cret"));
    }
}
