//! A whole installation from outside: the program `message-center serve` in a process and a folder of its own, an SMSC
//! with its ledger in memory, and clients that speak HTTP.
//!
//! Knows of the product only what its users know: the command line, the configuration and the API.

use crate::child::Child;
use crate::place::{product, temp_dir};
use anyhow::{Context, bail};
use bench::smsc::{Config, LedgerKind, Smsc};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

/// Far above what any step takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(120);
/// From one look at the API to the next.
const LOOK: Duration = Duration::from_millis(50);
/// What stands in front of the token for the first super admin.
const TOKEN: &str = "setup token: ";
/// The cookie of a login.
const COOKIE: &str = "__Host-mc_login";
/// What every account of the suite logs in with.
pub const PASSWORD: &str = "violet harbour seventeen lamps";

/// What an installation is started with.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// The SMSC.
    pub smsc: Config,
    /// Segments per second over the channel, 0 for no limit.
    pub rate_per_s: u32,
    /// Where the store's directory lies instead of the installation's folder.
    pub store: Option<String>,
    /// Lines behind the configuration of the channel.
    pub more: String,
}

/// A running installation.
#[derive(Debug)]
pub struct Service {
    /// The process.
    pub child: Child,
    /// The SMSC.
    pub smsc: Smsc,
    /// Scheme and authority of the API.
    pub origin: String,
    /// Where metrics are served.
    pub metrics: String,
    /// What the first super admin needs, while there is none.
    pub token: Option<String>,
    folder: TempDir,
}

impl Service {
    /// Starts an installation without anybody in it.
    ///
    /// # Errors
    /// When the program or the SMSC does not start, or does not say where it serves.
    pub async fn start(setting: Setting) -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let smsc = Smsc::serve(listener, Config { ledger: LedgerKind::Memory, ..setting.smsc.clone() })?;
        let folder = temp_dir()?;
        let address = smsc.local_addr().context("it listens")?;
        std::fs::write(folder.path().join("message-center.toml"), configuration(&setting, address.port()))?;
        let (child, said) = launch(folder.path())?;
        Ok(Self { child, smsc, origin: said.api, metrics: said.metrics, token: said.token, folder })
    }

    /// Ends it at once, as a power cut would.
    ///
    /// # Errors
    /// The system's.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        Ok(())
    }

    /// Starts the program again on the same folder; its addresses are others.
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        let (child, said) = launch(self.folder.path())?;
        (self.child, self.origin, self.metrics, self.token) = (child, said.api, said.metrics, said.token);
        Ok(())
    }

    /// Ends it in order and starts it again with another rate of its channel, segments per second.
    ///
    /// # Errors
    /// When it does not end or does not start.
    pub async fn limit(&mut self, rate_per_s: u32) -> anyhow::Result<()> {
        self.child.ask_to_end()?;
        let mut looks = tokio::time::interval(LOOK);
        let end = Instant::now() + DEADLINE;
        // The SMSC runs on this thread and must get to answer.
        while self.child.is_running()? {
            looks.tick().await;
            anyhow::ensure!(Instant::now() < end, "it does not end");
        }
        let path = self.folder.path().join("message-center.toml");
        let text = std::fs::read_to_string(&path)?;
        let lines = text.lines().map(|line| match line.starts_with("rate_per_s") {
            true => format!("rate_per_s = {rate_per_s}\n"),
            false => format!("{line}\n"),
        });
        std::fs::write(&path, lines.collect::<String>())?;
        self.restart()
    }

    /// The folder of the installation.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Somebody without an account.
    #[must_use]
    pub fn nobody(&self) -> Client {
        Client { id: String::new(), http: reqwest::Client::new(), origin: self.origin.clone(), header: None }
    }

    /// The first super admin, made with the token that the program printed.
    ///
    /// # Errors
    /// When there is no token, or the API refuses.
    pub async fn set_up(&self) -> anyhow::Result<Client> {
        let token = self.token.as_ref().context("a setup token")?;
        let name = "Ruth Root";
        let body = json!({"token": token, "email": "root@example.com", "name": name, "password": PASSWORD});
        self.nobody().post("/setup", body).await?.expect(201)?;
        self.login("root@example.com").await
    }

    /// Somebody who logs in.
    ///
    /// # Errors
    /// When the API refuses.
    pub async fn login(&self, email: &str) -> anyhow::Result<Client> {
        let nobody = self.nobody();
        let answer =
            nobody.post("/login", json!({"email": email, "password": PASSWORD})).await?.expect(200)?;
        let id = answer.body["user"]["id"].as_str().context("the id of an account")?.to_owned();
        let cookies = answer.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
        let cookie =
            cookies.filter_map(|value| value.split(';').next()).find(|pair| pair.starts_with(COOKIE));
        let cookie = cookie.context("a cookie")?.to_owned();
        Ok(Client { id, header: Some(("cookie", cookie)), ..nobody })
    }

    /// A program with that API key.
    #[must_use]
    pub fn program(&self, secret: &str) -> Client {
        Client { header: Some(("authorization", format!("Bearer {secret}"))), ..self.nobody() }
    }
}

/// What the program says about itself at its start.
#[derive(Default)]
struct Said {
    api: String,
    metrics: String,
    token: Option<String>,
}

fn configuration(setting: &Setting, port: u16) -> String {
    let store = setting.store.clone().unwrap_or_else(|| "data".to_owned());
    let Setting { rate_per_s, more, .. } = setting;
    format!(
        "[store]\nurl = \"sqlite:{store}\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[metrics]\nlisten = \"127.0.0.1:0\"\n\
         [[channels]]\nname = \"main\"\nhost = \"127.0.0.1\"\nport = {port}\nsystem_id = \"suite\"\n\
         password = \"secret\"\nbinds = 2\nwindow = 50\nrate_per_s = {rate_per_s}\n{more}\n"
    )
}

fn launch(folder: &Path) -> anyhow::Result<(Child, Said)> {
    let mut command = Command::new(product("message-center")?);
    let settings = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MC_"));
    settings.for_each(|(name, _)| {
        command.env_remove(name);
    });
    command.args(["serve", "--config", "message-center.toml"]).current_dir(folder);
    let mut child = Child::start(&mut command)?;
    let mut said = Said::default();
    let is_first = !folder.join("set-up").exists();
    std::fs::write(folder.join("set-up"), "")?;
    while said.api.is_empty() || is_first && said.token.is_none() {
        let wanted = |line: &str| line.starts_with("serving; ") || line.contains(TOKEN);
        said.hear(&child.wait_for_line(DEADLINE, wanted)?);
    }
    Ok((child, said))
}

impl Said {
    fn hear(&mut self, line: &str) {
        if let Some((_, token)) = line.split_once(TOKEN) {
            self.token = Some(token.trim().to_owned());
        }
        let address = |name: &str, path: &str| {
            let (_, rest) = line.split_once(name)?;
            rest.split("; ").next()?.strip_suffix(path).map(str::to_owned)
        };
        if let (Some(api), Some(metrics)) = (address("API: ", "/api/v1"), address("metrics: ", "/metrics")) {
            (self.api, self.metrics) = (api, metrics);
        }
    }
}

/// Somebody who sends requests.
#[derive(Clone, Debug)]
pub struct Client {
    /// The id of the account; empty for nobody's and for programs.
    pub id: String,
    http: reqwest::Client,
    origin: String,
    header: Option<(&'static str, String)>,
}

/// What the API answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Headers.
    pub headers: reqwest::header::HeaderMap,
    /// JSON, or the text when it is none.
    pub body: Value,
}

impl Answer {
    /// The answer, if it has this status.
    ///
    /// # Errors
    /// With what was answered instead.
    pub fn expect(self, status: u16) -> anyhow::Result<Self> {
        if self.status != status {
            bail!("{status} was expected, {} came: {}", self.status, self.body);
        }
        Ok(self)
    }

    /// How the problem's type ends; empty for anything else.
    #[must_use]
    pub fn code(&self) -> &str {
        self.body["type"].as_str().and_then(|kind| kind.rsplit('/').next()).unwrap_or_default()
    }

    /// What ties it to the audit log.
    #[must_use]
    pub fn request_id(&self) -> &str {
        self.headers.get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default()
    }

    /// A text of its body; empty when there is none.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap_or_default()
    }
}

impl Client {
    /// The name and value of the header that proves who asks.
    #[must_use]
    pub fn proof(&self) -> Option<(&'static str, &str)> {
        self.header.as_ref().map(|(name, value)| (*name, value.as_str()))
    }

    /// The same somebody at a restarted installation.
    #[must_use]
    pub fn at(&self, service: &Service) -> Self {
        Self { origin: service.origin.clone(), ..self.clone() }
    }

    /// A request to a path below `/api/v1`.
    #[must_use]
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}/api/v1{path}", self.origin));
        match &self.header {
            Some((name, value)) => request.header(*name, value),
            None => request,
        }
    }

    /// Sends it.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Answer> {
        let response = request.timeout(DEADLINE).send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let body =
            if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(text.into()) };
        Ok(Answer { status, headers, body })
    }

    /// `GET`.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(self.request(Method::GET, path)).await
    }

    /// `POST` of JSON; of nothing at all for `null`.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn post(&self, path: &str, body: Value) -> anyhow::Result<Answer> {
        let request = self.request(Method::POST, path);
        self.send(if body.is_null() { request } else { request.json(&body) }).await
    }

    /// `PATCH` of JSON.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn patch(&self, path: &str, body: Value) -> anyhow::Result<Answer> {
        self.send(self.request(Method::PATCH, path).json(&body)).await
    }

    /// `PUT` of JSON.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn put(&self, path: &str, body: Value) -> anyhow::Result<Answer> {
        self.send(self.request(Method::PUT, path).json(&body)).await
    }

    /// `PUT` of a recipient file.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn upload(&self, path: &str, file: impl Into<reqwest::Body>) -> anyhow::Result<Answer> {
        let request = self.request(Method::PUT, path).header("content-type", "text/csv");
        self.send(request.body(file)).await
    }

    /// `DELETE`.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn delete(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// All pages of a list.
    ///
    /// # Errors
    /// When a page is refused.
    pub async fn all(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let mark = if path.contains('?') { '&' } else { '?' };
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}{mark}limit=200{cursor}")).await?.expect(200)?;
            items.extend(page.body["items"].as_array().context("items")?.iter().cloned());
            match page.body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(items),
            }
        }
    }

    /// Asks until the answer is as wanted.
    ///
    /// # Errors
    /// With the last answer when it never is.
    pub async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        let end = Instant::now() + DEADLINE;
        let mut looks = tokio::time::interval(LOOK);
        loop {
            looks.tick().await;
            let answer = self.get(path).await?;
            if answer.status == 200 && wanted(&answer.body) {
                return Ok(answer.body);
            }
            if Instant::now() > end {
                bail!("{path} never was as wanted: {} {}", answer.status, answer.body);
            }
        }
    }
}
