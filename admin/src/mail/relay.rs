//! The SMTP server: one connection for each mail, and what its answers mean.

use crate::config::Mail;
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{AsyncSmtpTransport, Error};
use lettre::{AsyncTransport, Message, Tokio1Executor};
use std::net::IpAddr;
use std::time::Duration;

/// The server as the configuration names it.
pub(super) struct Relay {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    timeout: Duration,
}

/// Why a mail was not taken; nothing of it holds what the server or the mail says, since that may name people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Untaken {
    /// Whether a later attempt may go better.
    pub(super) is_passing: bool,
    /// In one word.
    pub(super) why: &'static str,
    /// The server's code, 400 to 599, where it gave one.
    pub(super) code: Option<u16>,
    /// What the network or TLS says, for whoever runs the server.
    pub(super) detail: Option<String>,
}

impl Relay {
    /// Connects to nothing yet.
    pub(super) fn new(mail: &Mail) -> Self {
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&mail.host)
            .port(mail.port)
            .tls(mail.tls.clone())
            .timeout(Some(mail.timeout))
            .hello_name(hello_name(&mail.site));
        if let Some(credentials) = &mail.credentials {
            builder = builder.credentials(credentials.clone());
        }
        Self { transport: builder.build(), timeout: mail.timeout }
    }

    /// Hands a mail over, within the configured time: the client's own timeout is for the connection only.
    ///
    /// # Errors
    /// Why it was not taken. After a timeout it may have been taken all the same.
    pub(super) async fn hand_over(&self, message: Message) -> Result<(), Untaken> {
        match tokio::time::timeout(self.timeout, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Untaken::from(&error)),
            Err(_) => Err(Untaken { is_passing: true, why: "timeout", code: None, detail: None }),
        }
    }
}

impl From<&Error> for Untaken {
    fn from(error: &Error) -> Self {
        let code = error.status().map(u16::from);
        if let Some(code) = code {
            // 4xx asks for another attempt, 5xx for none (RFC 5321, 4.2.1).
            let is_passing = error.is_transient();
            return Self { is_passing, why: "refused", code: Some(code), detail: None };
        }
        // What the client itself finds: no STARTTLS, no way to log in, an address that the server cannot take.
        let (is_passing, why) = match error {
            _ if error.is_client() => (false, "unsupported"),
            _ if error.is_response() => (true, "unreadable"),
            // Not there, cut off, or not trusted: the client does not tell these apart.
            _ => (true, "connection"),
        };
        let detail = (!error.is_response()).then(|| error.to_string());
        Self { is_passing, why, code, detail }
    }
}

/// What this machine calls itself: the host of the site.
fn hello_name(site: &str) -> ClientId {
    let authority = site.split_once("://").map_or(site, |(_, authority)| authority);
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.split(':').next().unwrap_or_default(),
    };
    let is_name =
        !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'));
    match host.parse() {
        Ok(IpAddr::V4(address)) => ClientId::Ipv4(address),
        Ok(IpAddr::V6(address)) => ClientId::Ipv6(address),
        Err(_) if is_name => ClientId::Domain(host.to_owned()),
        Err(_) => ClientId::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_greets_with_the_host_of_the_site() {
        for (site, name) in [
            ("https://mc.example.com", "mc.example.com"),
            ("http://mc.example.com:8443", "mc.example.com"),
            ("https://192.0.2.1:1", "[192.0.2.1]"),
            ("https://[2001:db8::1]:1", "[IPv6:2001:db8::1]"),
            ("https://bücher.example", "[127.0.0.1]"),
            ("https://a\r\nb", "[127.0.0.1]"),
        ] {
            assert_eq!(hello_name(site).to_string(), name, "{site}");
        }
    }
}
