//! `[admin]`: where the API listens, and how clients reach it.

use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};

/// Where the API listens unless the file says otherwise.
const LISTEN: &str = "127.0.0.1:8080";
/// Most proxies in front of it.
const MAX_PROXIES: usize = 64;

/// Where the API listens, and how clients reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Admin {
    /// Its address.
    pub(crate) listen: SocketAddr,
    /// Scheme and authority under which browsers reach it, without a slash at the end.
    pub(crate) public_url: Option<String>,
    /// Proxies whose word about the client's address counts.
    pub(crate) trusted_proxies: Vec<IpAddr>,
}

/// The section as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AdminSection {
    listen: Option<String>,
    public_url: Option<String>,
    trusted_proxies: Vec<String>,
}

impl AdminSection {
    /// Checks it; the sentence begins with the key.
    pub(super) fn check(self) -> Result<Admin, String> {
        let listen = self.listen.as_deref().unwrap_or(LISTEN);
        let listen: SocketAddr = listen.parse().map_err(|_| {
            format!("admin.listen: {listen:?} is not an address with a port, such as {LISTEN}")
        })?;
        if self.trusted_proxies.len() > MAX_PROXIES {
            return Err(format!("admin.trusted_proxies has more than {MAX_PROXIES} entries"));
        }
        let proxy = |text: &String| {
            let address: Result<IpAddr, _> = text.parse();
            address.map_err(|_| format!("admin.trusted_proxies: {text:?} is not an IP address"))
        };
        let trusted_proxies = self.trusted_proxies.iter().map(proxy).collect::<Result<Vec<_>, _>>()?;
        if !listen.ip().is_loopback() && trusted_proxies.is_empty() {
            return Err(format!(
                "admin.listen: {listen} is not a loopback address, and there are no admin.trusted_proxies: passwords \
                 would cross the network in the clear"
            ));
        }
        let public_url = self.public_url.map(check_url).transpose()?;
        Ok(Admin { listen, public_url, trusted_proxies })
    }
}

fn check_url(url: String) -> Result<String, String> {
    let authority = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    match authority {
        Some(authority) if !authority.is_empty() && !authority.contains(['/', '?', '#', '@', ' ']) => Ok(url),
        _ => Err(format!("admin.public_url: {url:?} is not of the form https://HOST")),
    }
}
