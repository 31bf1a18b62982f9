//! An SMTP server for tests: a listener on loopback that speaks as much of RFC 5321 as a client needs, and as scripted.

#![expect(clippy::unwrap_used, reason = "tests")]

use crate::config::Mail;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A test that waits longer than this has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
/// The section of the configuration that leads here, but for the port.
pub(crate) const PLAIN: &str =
    "host = \"127.0.0.1\"\ntls = \"none\"\nfrom = \"Message Center <mc@example.com>\"\n";

/// A mail that the server has taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delivered {
    /// `MAIL FROM`.
    pub(crate) from: String,
    /// Each `RCPT TO`.
    pub(crate) to: Vec<String>,
    /// Headers and text, lines ended by `\n`.
    pub(crate) data: String,
    /// The initial response of `AUTH PLAIN`.
    pub(crate) login: Option<String>,
    /// Whether it came through TLS.
    pub(crate) is_encrypted: bool,
}

impl Delivered {
    /// The headers.
    pub(crate) fn headers(&self) -> &str {
        self.data.split_once("\n\n").unwrap().0
    }

    /// The text as its reader sees it: quoted-printable (RFC 2045, 6.7) is undone.
    pub(crate) fn text(&self) -> String {
        let (headers, body) = self.data.split_once("\n\n").unwrap();
        if !headers.contains("Content-Transfer-Encoding: quoted-printable") {
            return body.to_owned();
        }
        let joined = body.replace("=\n", "");
        let mut parts = joined.split('=');
        let mut octets = parts.next().unwrap().as_bytes().to_vec();
        for part in parts {
            octets.push(u8::from_str_radix(&part[..2], 16).unwrap());
            octets.extend_from_slice(&part.as_bytes()[2..]);
        }
        String::from_utf8(octets).unwrap()
    }
}

/// How TLS begins.
#[derive(Clone)]
pub(crate) enum Tls {
    /// Never.
    None,
    /// When the client asks for it.
    Asked(TlsAcceptor),
    /// With the first octet.
    First(TlsAcceptor),
}

/// The running server.
pub(crate) struct Sink {
    port: u16,
    delivered: mpsc::UnboundedReceiver<Delivered>,
    heard: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

struct Manners {
    tls: Tls,
    /// What `RCPT` is answered with, one after the other; 250 behind them.
    answers: Mutex<VecDeque<&'static str>>,
    /// What was sent without TLS.
    heard: Arc<Mutex<Vec<String>>>,
    delivered: mpsc::UnboundedSender<Delivered>,
}

impl Sink {
    /// Starts it; `answers` are those to the first commands `RCPT`.
    pub(crate) async fn start(tls: Tls, answers: &[&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, delivered) = mpsc::unbounded_channel();
        let heard = Arc::default();
        let answers = Mutex::new(answers.iter().copied().collect());
        let manners = Arc::new(Manners { tls, answers, heard: Arc::clone(&heard), delivered: sender });
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let manners = Arc::clone(&manners);
                // A client may leave whenever it likes.
                tokio::spawn(async move { manners.serve(stream).await.unwrap_or_default() });
            }
        });
        Self { port, delivered, heard, task }
    }

    /// What leads here: a section, with the port added.
    pub(crate) fn mail(&self, section: &str) -> Mail {
        Mail::of(&format!("{section}port = {}\n", self.port))
    }

    /// The next mail.
    pub(crate) async fn next(&mut self) -> Delivered {
        tokio::time::timeout(DEADLINE, self.delivered.recv()).await.expect("a mail in time").unwrap()
    }

    /// Ends it: the mails that nobody has asked for, and what it heard without TLS.
    pub(crate) fn end(mut self) -> (Vec<Delivered>, Vec<String>) {
        self.task.abort();
        let rest = std::iter::from_fn(|| self.delivered.try_recv().ok()).collect();
        (rest, self.heard.lock().unwrap().clone())
    }
}

/// How a conversation goes on.
enum Then {
    Ended,
    Encrypt,
}

impl Manners {
    async fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        if let Tls::First(acceptor) = &self.tls {
            let mut stream = BufReader::new(acceptor.accept(stream).await?);
            stream.write_all(b"220 sink\r\n").await?;
            self.converse(&mut stream, true).await?;
            return Ok(());
        }
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220 sink\r\n").await?;
        if let (Then::Encrypt, Tls::Asked(acceptor)) = (self.converse(&mut stream, false).await?, &self.tls) {
            let mut stream = BufReader::new(acceptor.accept(stream.into_inner()).await?);
            self.converse(&mut stream, true).await?;
        }
        Ok(())
    }

    async fn converse<S>(&self, stream: &mut BufReader<S>, is_encrypted: bool) -> std::io::Result<Then>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let fresh = Delivered { is_encrypted, ..Delivered::default() };
        let (mut mail, mut line) = (fresh.clone(), String::new());
        while stream.read_line(&mut line).await? > 0 {
            let command = line.trim_end().to_owned();
            line.clear();
            if !is_encrypted {
                self.heard.lock().unwrap().push(command.clone());
            }
            let answer = match command.split([' ', ':']).next().unwrap_or_default() {
                "EHLO" => match (&self.tls, is_encrypted) {
                    (Tls::Asked(_), false) => "250-sink\r\n250 STARTTLS",
                    _ => "250-sink\r\n250-8BITMIME\r\n250 AUTH PLAIN",
                },
                "STARTTLS" => {
                    stream.write_all(b"220 go\r\n").await?;
                    return Ok(Then::Encrypt);
                }
                "AUTH" => {
                    mail.login = command.strip_prefix("AUTH PLAIN ").map(str::to_owned);
                    "235 ok"
                }
                "MAIL" => {
                    mail.from = command;
                    "250 ok"
                }
                "RCPT" => {
                    mail.to.push(command);
                    self.answers.lock().unwrap().pop_front().unwrap_or("250 ok")
                }
                "DATA" => {
                    stream.write_all(b"354 go\r\n").await?;
                    mail.data = data(stream).await?;
                    let login = mail.login.clone();
                    let taken = std::mem::replace(&mut mail, Delivered { login, ..fresh.clone() });
                    self.delivered.send(taken).unwrap_or_default();
                    "250 taken"
                }
                "QUIT" => {
                    stream.write_all(b"221 bye\r\n").await?;
                    return Ok(Then::Ended);
                }
                _ => "500 what",
            };
            stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
        }
        Ok(Then::Ended)
    }
}

/// Everything up to the lonely dot.
async fn data<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> std::io::Result<String> {
    let (mut data, mut line) = (String::new(), String::new());
    while stream.read_line(&mut line).await? > 0 && line != ".\r\n" {
        data.push_str(line.trim_end_matches("\r\n"));
        data.push('\n');
        line.clear();
    }
    Ok(data)
}
