//! The shell of a link: connects, binds, moves octets between socket and core, and reconnects with full jitter.
//!
//! One turn a wake-up: everything readable is read, the core takes its turn, everything writable is written.

use super::LinkInbox;
use super::core::LinkCore;
use super::session::{Lateness, SessionEnd};
use super::wire;
use crate::dispatch::backoff::{Backoff, Failure};
use crate::dispatch::cells::Board;
use crate::dispatch::channel_cells::ChannelCells;
use crate::dispatch::env::{Clock, Env, Now, Wire};
use crate::dispatch::latency::Latency;
use crate::dispatch::mark::MarkDir;
use crate::dispatch::matcher::Matcher;
use crate::dispatch::recorder::Recorder;
use crate::model::Incarnation;
use bytes::BytesMut;
use pdu::{Bind, BindResp, CommandId, CommandStatus, INTERFACE_V34, MAX_COMMAND_LENGTH, MessageIdForm};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::ReadBuf;
use tokio::time::Instant;

/// Octets read at once; a turn handles at most this much before it writes.
const READ_OCTETS: usize = 256 << 10;
/// How long the SMSC may take to answer a bind.
const BIND_TIMEOUT: Duration = Duration::from_secs(30);
/// A session of this length counts as a success even when nothing was sent.
const STEADY: Duration = Duration::from_secs(60);
/// How long a connection may take to come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// One bind as configured.
#[derive(Clone, Debug)]
pub(crate) struct LinkConfig {
    /// Place of the channel in the configuration.
    pub(crate) place: u8,
    /// Key of the channel in index and journal.
    pub(crate) key: u32,
    pub(crate) address: String,
    pub(crate) system_id: String,
    pub(crate) password: String,
    pub(crate) system_type: String,
    /// Which bind request.
    pub(crate) bind: CommandId,
    pub(crate) window: u32,
    pub(crate) id_form: MessageIdForm,
    pub(crate) enquire_link: Duration,
    pub(crate) response_timeout: Duration,
    pub(crate) drain_timeout: Duration,
}

/// What matching and measuring share under one lock a read burst.
pub(crate) struct Desk {
    pub(crate) matcher: Matcher,
    /// By place of the channel.
    pub(crate) latency: Vec<Latency>,
}

/// What the links of a channel share.
pub(crate) struct LinkShared {
    pub(crate) config: LinkConfig,
    pub(crate) channel: Arc<ChannelCells>,
    pub(crate) board: Arc<Board>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) desk: Arc<Mutex<Desk>>,
    pub(crate) marks: Arc<MarkDir>,
    /// Upper half of every incarnation of this run.
    pub(crate) epoch: u32,
    /// Incarnations given so far in this run, over all channels.
    pub(crate) incarnations: Arc<AtomicU32>,
}

impl LinkShared {
    pub(crate) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_incarnation(&self) -> Incarnation {
        let n = self.incarnations.fetch_add(1, Ordering::Relaxed);
        Incarnation(u64::from(self.epoch) << 32 | u64::from(n))
    }

    fn can_submit(&self) -> bool {
        self.config.bind != CommandId::BIND_RECEIVER
    }
}

/// Why a connection attempt or a session ended.
#[derive(Debug, thiserror::Error)]
enum Gone {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Session(#[from] SessionEnd),
    #[error("the SMSC refused the bind with {0}")]
    Refused(CommandStatus),
    #[error("the SMSC did not answer the bind within 30 s")]
    BindTimeout,
    #[error("the connection was closed by the SMSC")]
    Closed,
    #[error("no answer to enquire_link or to a submit in time")]
    Silent,
    #[error("drained")]
    Drained,
}

/// What a link tells its channel.
pub(crate) type OnLink = Arc<dyn Fn(Option<Arc<LinkInbox>>) + Send + Sync>;

/// Runs one bind until the engine drains: the channel hears of each incarnation that comes up or goes down.
pub(crate) async fn run(
    shared: Arc<LinkShared>,
    env: Env,
    cells: Arc<crate::dispatch::cells::LinkCells>,
    seed: u64,
    on_link: OnLink,
) {
    let mut backoff = Backoff::new(ChaCha8Rng::seed_from_u64(seed));
    while !shared.board.is_draining() {
        let begun = Instant::now();
        let failure = match attempt(&shared, &env, &cells, &on_link).await {
            Ok(()) | Err(Gone::Drained) => return,
            Err(gone) => {
                tracing::warn!(channel = shared.config.key, reason = %gone, "bind down");
                match gone {
                    Gone::Refused(status) => Failure::of_bind_status(status.0),
                    _ => Failure::Lost,
                }
            }
        };
        // An SMSC that binds and never answers is not a success: only answers or a long session start over.
        if cells.answered.swap(false, Ordering::Relaxed) || begun.elapsed() >= STEADY {
            backoff.reset();
        }
        let pause = Instant::now() + backoff.after(failure);
        while Instant::now() < pause && !shared.board.is_draining() {
            tokio::select! {
                biased;
                () = cells.bell.rung() => {}
                () = tokio::time::sleep_until(pause) => {}
            }
        }
    }
}

async fn attempt(
    shared: &Arc<LinkShared>,
    env: &Env,
    cells: &Arc<crate::dispatch::cells::LinkCells>,
    on_link: &OnLink,
) -> Result<(), Gone> {
    let (wire, input) = tokio::select! {
        biased;
        connected = connect(shared, env) => connected?,
        () = drained(shared, cells) => return Err(Gone::Drained),
    };
    let incarnation = shared.next_incarnation();
    let mark = shared.marks.create(incarnation)?;
    let inbox = Arc::new(LinkInbox::new(Arc::clone(cells), shared.config.place));
    let core = LinkCore::new(Arc::clone(shared), Arc::clone(&inbox), incarnation, mark);
    cells.up.store(true, Ordering::Relaxed);
    tracing::info!(channel = shared.config.key, incarnation = incarnation.0, "bound");
    if shared.can_submit() {
        on_link(Some(inbox));
    }
    let heard_us = env.clock.now().mono_us;
    let input = Input::new(&input);
    let mut link = Link { core, wire, input, clock: env.clock, heard_us, asked_us: 0, draining_us: 0 };
    let gone = link.session().await;
    link.core.close(env.clock.now());
    cells.up.store(false, Ordering::Relaxed);
    if shared.can_submit() {
        on_link(None);
    }
    gone
}

/// Dials and binds.
async fn connect(shared: &LinkShared, env: &Env) -> Result<(Box<dyn Wire>, BytesMut), Gone> {
    let dial = tokio::time::timeout(CONNECT_TIMEOUT, env.net.dial(&shared.config.address));
    let mut wire = dial.await.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
    match tokio::time::timeout(BIND_TIMEOUT, bind(&mut *wire, &shared.config)).await {
        Ok(bound) => Ok((wire, bound?)),
        Err(_) => Err(Gone::BindTimeout),
    }
}

/// Resolves when the engine drains: an SMSC that does not answer a bind must not hold up the end.
async fn drained(shared: &LinkShared, cells: &crate::dispatch::cells::LinkCells) {
    while !shared.board.is_draining() {
        cells.bell.rung().await;
    }
}

/// Sends the bind request and waits for its answer; returns octets that came behind it.
async fn bind(wire: &mut dyn Wire, config: &LinkConfig) -> Result<BytesMut, Gone> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let request = Bind {
        system_id: config.system_id.as_bytes(),
        password: config.password.as_bytes(),
        system_type: config.system_type.as_bytes(),
        interface_version: INTERFACE_V34,
        ..Bind::default()
    };
    let mut out = BytesMut::new();
    wire::bind(config.bind, request, &mut out).map_err(std::io::Error::other)?;
    wire.write_all(&out).await?;
    let mut input = BytesMut::with_capacity(4096);
    loop {
        while let Some(frame) = pdu::cut_frame(&input, MAX_COMMAND_LENGTH).map_err(SessionEnd::from)? {
            let header = frame.header;
            if header.command_id == config.bind.response() || header.command_id == CommandId::GENERIC_NACK {
                if header.command_status != CommandStatus::OK || header.command_id == CommandId::GENERIC_NACK
                {
                    return Err(Gone::Refused(header.command_status));
                }
                if let Ok(answer) = BindResp::decode(frame.body) {
                    tracing::debug!(smsc = %answer.system_id.escape_ascii(), "bind answered");
                }
                let taken = frame.len();
                bytes::Buf::advance(&mut input, taken);
                return Ok(input);
            }
            // Nothing else is legal before the answer; it is dropped, a request is refused.
            let taken = frame.len();
            if !header.command_id.is_response() {
                let mut nack = BytesMut::new();
                wire::generic_nack(CommandStatus::INCORRECT_BIND_STATUS, header.sequence_number, &mut nack);
                wire.write_all(&nack).await?;
            }
            bytes::Buf::advance(&mut input, taken);
        }
        if wire.read_buf(&mut input).await? == 0 {
            return Err(Gone::Closed);
        }
    }
}

struct Link {
    core: LinkCore,
    wire: Box<dyn Wire>,
    input: Input,
    clock: Clock,
    /// When the SMSC was last heard, microseconds.
    heard_us: u64,
    /// When the newest enquire_link was sent.
    asked_us: u64,
    /// When our unbind was asked for; 0 while not draining.
    draining_us: u64,
}

impl Link {
    async fn session(&mut self) -> Result<(), Gone> {
        loop {
            let now = self.clock.now();
            if self.input.fresh {
                self.heard_us = now.mono_us;
                self.core.quiet = false;
                let (taken, end) = self.core.on_input(self.input.octets(), now);
                self.input.consume(taken);
                if let Err(end) = end {
                    self.core.begin_close();
                    self.core.turn(now);
                    self.flush_once().await;
                    let drained = self.draining_us > 0 && end == SessionEnd::Unbound;
                    return Err(if drained { Gone::Drained } else { end.into() });
                }
            }
            self.expire(now)?;
            let wake_us = self.core.turn(now);
            let timer_us = self.check_timers(now)?;
            self.write_some().await?;
            if self.core.is_capped() && self.core.out().is_empty() {
                // The output was full and the kernel took it: others run, then this link goes on.
                tokio::task::yield_now().await;
                continue;
            }
            self.wait(wake_us.unwrap_or(u64::MAX).min(timer_us)).await?;
        }
    }

    /// Writes as much of the output as the kernel takes.
    async fn write_some(&mut self) -> Result<(), Gone> {
        if self.core.out().is_empty() {
            return Ok(());
        }
        self.core.write_marks()?;
        let (wire, core) = (&mut self.wire, &mut self.core);
        poll_fn(|cx| {
            loop {
                if core.out().is_empty() || !poll_write(&mut **wire, core, cx)? {
                    return Poll::Ready(Ok(()));
                }
            }
        })
        .await
    }

    /// A last attempt to get an answer out before the connection is closed.
    async fn flush_once(&mut self) {
        if let Err(gone) = self.write_some().await {
            tracing::debug!(reason = %gone, "last answer not written");
        }
    }

    /// Sends enquire_link when it is quiet, unbinds when draining; returns when to look again.
    fn check_timers(&mut self, now: Now) -> Result<u64, Gone> {
        let config = &self.core.shared.config;
        let (enquire_us, timeout_us) = (micros(config.enquire_link), micros(config.response_timeout));
        let drain_us = micros(config.drain_timeout);
        let expiry_us = self.core.next_expiry(timeout_us, now);
        let asked = self.asked_us > self.heard_us;
        if asked && now.mono_us >= self.asked_us + timeout_us {
            return Err(Gone::Silent);
        }
        if self.core.shared.board.is_draining() {
            if self.draining_us == 0 {
                self.draining_us = now.mono_us.max(1);
            }
            self.core.unbind_when_idle();
            let until = self.draining_us + drain_us;
            return if now.mono_us >= until { Err(Gone::Drained) } else { Ok(until.min(expiry_us)) };
        }
        if !asked && now.mono_us >= self.heard_us + enquire_us {
            self.asked_us = now.mono_us;
            self.core.enquire();
            return Ok(expiry_us.min(now.mono_us + timeout_us));
        }
        let quiet_us = if asked { self.asked_us + timeout_us } else { self.heard_us + enquire_us };
        Ok(expiry_us.min(quiet_us))
    }

    /// Gives up single submits that were not answered in time. A peer that does not even read costs its session:
    /// what is still here must not become unknown, nor be written behind a stop.
    /// One that has gone silent is asked whether it is there, and gets nothing more until it is heard.
    fn expire(&mut self, now: Now) -> Result<(), Gone> {
        let timeout_us = micros(self.core.shared.config.response_timeout);
        match self.core.lateness(timeout_us, self.heard_us, now) {
            Lateness::Unread => return Err(Gone::Silent),
            Lateness::Silent if self.asked_us <= self.heard_us => {
                self.asked_us = now.mono_us;
                self.core.enquire();
                self.core.quiet = true;
            }
            Lateness::Silent => self.core.quiet = true,
            Lateness::None | Lateness::Unanswered => {}
        }
        self.core.expire(timeout_us, now);
        Ok(())
    }

    /// Waits for input, for room to write, for the bell or for `wake_us`.
    async fn wait(&mut self, wake_us: u64) -> Result<(), Gone> {
        let bell = Arc::clone(&self.core.inbox.cells.bell);
        let wake = self.clock.instant(wake_us);
        let (wire, core, input, clock) = (&mut self.wire, &mut self.core, &mut self.input, self.clock);
        let io = poll_fn(|cx| {
            let mut progress = input.poll_fill(&mut **wire, cx)?;
            if !core.out().is_empty() {
                // What the kernel did not take at once may have become too late meanwhile: a turn cuts it out.
                if core.must_look_again(clock.now().wall_ms) {
                    return Poll::Ready(Ok(()));
                }
                progress |= poll_write(&mut **wire, core, cx)?;
            }
            if progress { Poll::Ready(Ok(())) } else { Poll::Pending }
        });
        tokio::select! {
            biased;
            done = io => done,
            () = bell.rung() => Ok(()),
            () = tokio::time::sleep_until(wake) => Ok(()),
        }
    }
}

/// One write; `false` when the kernel takes nothing now.
fn poll_write(wire: &mut dyn Wire, core: &mut LinkCore, cx: &mut Context<'_>) -> Result<bool, Gone> {
    match Pin::new(wire).poll_write(cx, core.out()) {
        Poll::Ready(Ok(0)) => Err(Gone::Closed),
        Poll::Ready(Ok(count)) => {
            core.wrote(count);
            Ok(true)
        }
        Poll::Ready(Err(error)) => Err(error.into()),
        Poll::Pending => Ok(false),
    }
}

/// The read buffer; allocated and zeroed once.
struct Input {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Whether octets came since the last look.
    fresh: bool,
}

impl Input {
    fn new(first: &[u8]) -> Self {
        let mut buffer = vec![0; READ_OCTETS].into_boxed_slice();
        buffer[..first.len()].copy_from_slice(first);
        Self { buffer, start: 0, end: first.len(), fresh: !first.is_empty() }
    }

    fn octets(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    fn consume(&mut self, count: usize) {
        self.fresh = false;
        self.start += count;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// One read; `false` when nothing is there. The longest PDU always fits behind what is kept.
    fn poll_fill(&mut self, wire: &mut dyn Wire, cx: &mut Context<'_>) -> Result<bool, Gone> {
        if self.buffer.len() - self.end < MAX_COMMAND_LENGTH as usize {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let mut into = ReadBuf::new(&mut self.buffer[self.end..]);
        match Pin::new(wire).poll_read(cx, &mut into) {
            Poll::Pending => Ok(false),
            Poll::Ready(Err(error)) => Err(error.into()),
            Poll::Ready(Ok(())) if into.filled().is_empty() => Err(Gone::Closed),
            Poll::Ready(Ok(())) => {
                self.end += into.filled().len();
                self.fresh = true;
                Ok(true)
            }
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
