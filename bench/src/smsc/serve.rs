//! The async shell: sockets, the clock and the tasks around the pure core. One task per connection.
//!
//! A turn is one write of everything answered and one read of everything there. The same task body runs on TCP and
//! on any in-memory stream; time is tokio's, so a paused clock drives latency, receipts and faults.

use std::future::pending;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::config::Config;
use super::fault::FaultError;
use super::hub::{Hub, lock};
use super::ledger::{Ledger, LedgerKind};
use super::ledger_file::{LedgerFile, WAITING_LIMIT};
use super::mobile::MobileMessage;
use super::session::{Directive, SmscSession};
use super::stats::Stats;
use crate::turn::turn;

/// Room for one read: several full windows, and still in the second-level cache.
const READ_ROOM: usize = 256 * 1024;

/// Octets answered but not written above which nothing more is read.
const BACKLOG_LIMIT: usize = 4 * 1024 * 1024;

/// How long an orderly close waits for the peer to take the rest and to close its side.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// Pause after a failed accept (no descriptors left, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// A running simulator; clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct Smsc {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    hub: Arc<Mutex<Hub>>,
    epoch: Instant,
    addr: Option<SocketAddr>,
    down: AtomicBool,
    accepting: Mutex<Option<JoinHandle<()>>>,
    /// Rings whenever a connection has ended.
    ended: Notify,
    ledger_file: Option<LedgerFile>,
}

impl Smsc {
    /// Serves `listener` on the current runtime.
    ///
    /// # Errors
    /// When the settings contradict each other or the ledger cannot be opened.
    pub fn serve(listener: TcpListener, config: Config) -> anyhow::Result<Self> {
        let addr = listener.local_addr()?;
        let smsc = Self::start(config, Some(addr))?;
        smsc.accept_from(listener);
        Ok(smsc)
    }

    /// A simulator without a socket, for [`Smsc::serve_stream`].
    ///
    /// # Errors
    /// As [`Smsc::serve`].
    pub fn in_memory(config: Config) -> anyhow::Result<Self> {
        Self::start(config, None)
    }

    fn start(config: Config, addr: Option<SocketAddr>) -> anyhow::Result<Self> {
        let path = if let LedgerKind::File(path) = &config.ledger { Some(path.clone()) } else { None };
        let hub = Hub::new(config)?;
        let ledger_file = match path {
            Some(path) => Some(
                LedgerFile::open(&path, &hub)
                    .with_context(|| format!("the ledger {} cannot be opened", path.display()))?,
            ),
            None => None,
        };
        let inner = Inner {
            hub,
            epoch: Instant::now(),
            addr,
            down: AtomicBool::new(false),
            accepting: Mutex::new(None),
            ended: Notify::new(),
            ledger_file,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Serves one stream in a task of its own; a simulator that is down drops it at once.
    pub fn serve_stream<S>(&self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.spawn(stream, |_| ());
    }

    /// Where the simulator listens; `None` in memory.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.inner.addr
    }

    /// The zero of its ledger's times.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.inner.epoch
    }

    /// A copy of the counts.
    #[must_use]
    pub fn stats(&self) -> Stats {
        lock(&self.inner.hub).stats()
    }

    /// Receipts that are not settled yet.
    #[must_use]
    pub fn receipts_stored(&self) -> usize {
        lock(&self.inner.hub).receipts_stored()
    }

    /// Puts a message from a handset in: it is delivered to the next session that receives, until an ESME takes it.
    pub fn put_mobile(&self, message: MobileMessage) {
        lock(&self.inner.hub).put_mobile(message);
    }

    /// Messages from handsets that are still to be taken, and the `command_status` of every answer so far.
    #[must_use]
    pub fn mobile(&self) -> (usize, Vec<u32>) {
        let hub = lock(&self.inner.hub);
        (hub.mobile.open(), hub.mobile.answers.clone())
    }

    /// Looks at the ledger in memory; the simulator waits meanwhile.
    ///
    /// # Panics
    /// When the settings asked for another ledger than [`LedgerKind::Memory`].
    pub fn with_ledger<R>(&self, look: impl FnOnce(&Ledger) -> R) -> R {
        look(lock(&self.inner.hub).ledger().expect("the ledger is kept in memory"))
    }

    /// Takes the entries of the ledger in memory away.
    #[must_use]
    pub fn take_ledger(&self) -> Ledger {
        lock(&self.inner.hub).take_ledger()
    }

    /// Changes settings while connections run, for instance the faults.
    ///
    /// # Errors
    /// When the new settings contradict each other; nothing changes then.
    pub fn update(&self, change: impl FnOnce(&mut Config)) -> Result<(), FaultError> {
        let mut hub = lock(&self.inner.hub);
        let mut config = hub.config().clone();
        change(&mut config);
        hub.set_config(config)
    }

    /// Drops every connection without a farewell, as a killed SMSC does. New ones are welcome.
    pub fn drop_connections(&self) {
        lock(&self.inner.hub).drop_connections();
    }

    /// Takes the simulator down (connections dropped, connecting refused) or up again on the same address.
    /// Accounts, receipts, message ids and counts survive, as in an SMSC with a disk.
    ///
    /// # Errors
    /// When the address cannot be listened on again.
    pub async fn set_down(&self, down: bool) -> std::io::Result<()> {
        self.inner.down.store(down, Ordering::SeqCst);
        if down {
            self.stop_accepting().await;
            self.drop_connections();
            self.wait_until_empty().await;
            return Ok(());
        }
        let running = self.accepting().is_some();
        if let (Some(addr), false) = (self.inner.addr, running) {
            self.accept_from(TcpListener::bind(addr).await?);
        }
        Ok(())
    }

    /// Ends everything and writes the rest of the ledger.
    ///
    /// # Errors
    /// When the ledger could not be written at some time.
    pub async fn shutdown(&self) -> std::io::Result<()> {
        self.set_down(true).await?;
        self.inner.ledger_file.as_ref().map_or(Ok(()), LedgerFile::finish)
    }

    fn accepting(&self) -> std::sync::MutexGuard<'_, Option<JoinHandle<()>>> {
        self.inner.accepting.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn stop_accepting(&self) {
        let task = self.accepting().take();
        if let Some(task) = task {
            task.abort();
            // The listener is closed once the task is gone; its result is the cancellation just asked for.
            let _ = task.await;
        }
    }

    async fn wait_until_empty(&self) {
        loop {
            let ended = self.inner.ended.notified();
            let mut ended = pin!(ended);
            ended.as_mut().enable();
            if lock(&self.inner.hub).open_connections() == 0 {
                return;
            }
            ended.await;
        }
    }

    fn accept_from(&self, listener: TcpListener) {
        let smsc = self.clone();
        let task = tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        // Without NODELAY only latency suffers, and the peer may be gone already.
                        let _ = stream.set_nodelay(true);
                        smsc.spawn(stream, reset_tcp);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "accept failed");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        });
        *self.accepting() = Some(task);
    }

    fn spawn<S>(&self, stream: S, reset: fn(&S))
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if self.inner.down.load(Ordering::SeqCst) {
            return;
        }
        let inner = Arc::clone(&self.inner);
        // The connection is counted before the task first runs, so that going down cannot miss it.
        let session = SmscSession::new(&inner.hub);
        tokio::spawn(async move {
            Connection::new(&inner, session, stream).run(reset).await;
            inner.ended.notify_waiters();
        });
    }
}

/// With linger zero the close that follows sends RST.
fn reset_tcp(stream: &TcpStream) {
    // A socket that cannot be set so is closed with FIN, which a client has to stand as well.
    let _ = stream.set_zero_linger();
}

/// One connection with its buffers.
struct Connection<'a, S> {
    inner: &'a Inner,
    session: SmscSession,
    stream: S,
    input: BytesMut,
    out: BytesMut,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Connection<'a, S> {
    fn new(inner: &'a Inner, session: SmscSession, stream: S) -> Self {
        Self { inner, session, stream, input: BytesMut::new(), out: BytesMut::new() }
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.inner.epoch.elapsed().as_micros()).expect("half a million years fit")
    }

    /// Runs until either side is done.
    async fn run(mut self, reset: fn(&S)) {
        let bell = self.session.bell();
        let mut blocked = false;
        loop {
            match self.session.poll(self.now_us(), &mut self.out) {
                Directive::Continue => {}
                Directive::Close => return self.close().await,
                Directive::Reset => return reset(&self.stream),
                Directive::Abort => return,
                Directive::Stall => {
                    bell.notified().await;
                    continue;
                }
            }
            // While the peer takes nothing no timer may add more.
            let wake_us = if blocked { None } else { self.session.next_wake_us() };
            let wake = wake_at(self.inner.epoch, wake_us);
            let may_read = self.out.len() + self.session.backlog() < BACKLOG_LIMIT;
            self.input.reserve(READ_ROOM);
            let read = tokio::select! {
                biased;
                turn = turn(&mut self.stream, &mut self.input, &mut self.out, may_read) => turn,
                () = bell.notified() => Ok(None),
                () = wake => Ok(None),
            };
            blocked = !self.out.is_empty();
            match read {
                Ok(Some(0)) | Err(_) => return,
                Ok(Some(_)) => self.take_input(),
                Ok(None) => {}
            }
        }
    }

    fn take_input(&mut self) {
        let now_us = self.now_us();
        self.session.on_bytes(now_us, &mut self.input);
        if let Some(file) = &self.inner.ledger_file
            && lock(&self.inner.hub).lines_waiting() > WAITING_LIMIT
        {
            file.drain();
        }
    }

    /// Writes the rest, sends FIN and reads until the peer closes too: closing over unread octets would be a RST.
    async fn close(mut self) {
        let farewell = async {
            self.stream.write_all(&self.out).await?;
            self.stream.shutdown().await?;
            loop {
                self.input.clear();
                if self.stream.read_buf(&mut self.input).await? == 0 {
                    return Ok::<_, std::io::Error>(());
                }
            }
        };
        // Whether the peer takes its farewell or not, the connection ends here.
        let _ = tokio::time::timeout(CLOSE_WAIT, farewell).await;
    }
}

async fn wake_at(epoch: Instant, wake_us: Option<u64>) {
    match wake_us {
        Some(wake_us) => tokio::time::sleep_until(epoch + Duration::from_micros(wake_us)).await,
        None => pending().await,
    }
}
