//! The outside world behind seams: clock, network, threads and chance are handed in, never reached for.
//!
//! Production reads the system clock, dials TCP and gives each worker a thread of its own. A simulation runs the
//! very same futures on one paused runtime with streams in memory, and gives the same trace for the same seed.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// One reading of both clocks, taken once a turn and handed down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Microseconds since the engine's start, never going back.
    pub mono_us: u64,
    /// Wall clock, milliseconds since 1970.
    pub wall_ms: u64,
}

/// Where time comes from.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// The machine's clocks.
    System {
        /// Zero of `mono_us`.
        start: Instant,
    },
    /// The runtime's clock, which tests pause; the wall follows it from a fixed beginning.
    Virtual {
        /// Zero of `mono_us`.
        start: Instant,
        /// Wall clock at that zero, milliseconds since 1970.
        wall_ms: u64,
    },
}

impl Clock {
    /// The machine's clocks from now on.
    #[must_use]
    pub fn system() -> Self {
        Self::System { start: Instant::now() }
    }

    /// Reads both clocks.
    #[must_use]
    pub fn now(&self) -> Now {
        match self {
            Self::System { start } => Now { mono_us: micros(start), wall_ms: wall_ms() },
            Self::Virtual { start, wall_ms } => {
                let mono_us = micros(start);
                Now { mono_us, wall_ms: wall_ms + mono_us / 1000 }
            }
        }
    }

    /// Reads the wall clock as the catalog writes it.
    #[must_use]
    pub fn timestamp(&self) -> jiff::Timestamp {
        let wall_ms = i64::try_from(self.now().wall_ms).unwrap_or(i64::MAX);
        jiff::Timestamp::from_millisecond(wall_ms).unwrap_or(jiff::Timestamp::MAX)
    }

    /// The runtime's instant of a reading of `mono_us`, for timers.
    pub(crate) fn instant(&self, mono_us: u64) -> Instant {
        let (Self::System { start } | Self::Virtual { start, .. }) = self;
        *start + std::time::Duration::from_micros(mono_us)
    }
}

fn micros(start: &Instant) -> u64 {
    u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX)
}

fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A byte stream to an SMSC.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A connection under way.
pub type Dial = Pin<Box<dyn Future<Output = io::Result<Box<dyn Wire>>> + Send>>;

/// Where connections come from.
pub trait Net: Send + Sync {
    /// Connects to `host:port`.
    fn dial(&self, address: &str) -> Dial;
}

/// Real TCP with Nagle's algorithm off.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

impl Net for Tcp {
    fn dial(&self, address: &str) -> Dial {
        let address = address.to_owned();
        Box::pin(async move {
            let stream = tokio::net::TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Wire>)
        })
    }
}

/// How workers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// Each on a thread of its own: blocking store calls cost nobody else.
    Threads,
    /// As tasks of the present runtime, for deterministic runs.
    Tasks,
}

/// Everything from outside.
#[derive(Clone)]
pub struct Env {
    /// Time.
    pub clock: Clock,
    /// Connections.
    pub net: Arc<dyn Net>,
    /// Threads.
    pub workers: Workers,
    /// Chance: seeds every jitter.
    pub seed: u64,
}

impl Env {
    /// The real world.
    #[must_use]
    pub fn system(seed: u64) -> Self {
        Self { clock: Clock::system(), net: Arc::new(Tcp), workers: Workers::Threads, seed }
    }

    /// Starts a worker; the receiver resolves when it ended, with an error when it panicked.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(crate) fn start<F>(&self, name: &'static str, work: F) -> io::Result<oneshot::Receiver<()>>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (ended, receiver) = oneshot::channel();
        let work = async move {
            work.await;
            // Nobody listening any more is fine: the engine is gone.
            let _ = ended.send(());
        };
        match self.workers {
            Workers::Tasks => drop(tokio::spawn(work)),
            Workers::Threads => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                std::thread::Builder::new().name(name.to_owned()).spawn(move || runtime.block_on(work))?;
            }
        }
        Ok(receiver)
    }
}

/// Wakes one waiter; rings while nobody waits are remembered as one.
#[derive(Debug, Default)]
pub(crate) struct Bell(Notify);

impl Bell {
    pub(crate) fn ring(&self) {
        self.0.notify_one();
    }

    pub(crate) async fn rung(&self) {
        self.0.notified().await;
    }
}

/// Wakes everybody who waits, in the order in which they came: a `watch` of tokio wakes them in a random one.
#[derive(Debug, Default)]
pub(crate) struct Gong(Notify);

impl Gong {
    pub(crate) fn ring(&self) {
        self.0.notify_waiters();
    }

    /// Waits until `is_so`, which is looked at now and behind every ring.
    pub(crate) async fn until(&self, is_so: impl Fn() -> bool) {
        loop {
            // Made before the look, so that a ring between the two is not missed.
            let rung = self.0.notified();
            if is_so() {
                return;
            }
            rung.await;
        }
    }
}

/// Ends workers in the midst of their work, at the next moment in which they wait.
#[derive(Debug, Default)]
pub(crate) struct Halt {
    is_called: AtomicBool,
    gong: Gong,
}

impl Halt {
    pub(crate) fn call(&self) {
        self.is_called.store(true, Ordering::Release);
        self.gong.ring();
    }

    /// Does this work unless it is halted before its end.
    pub(crate) async fn unless<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.gong.until(|| self.is_called.load(Ordering::Acquire)) => None,
            done = work => Some(done),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[tokio::test]
    async fn a_gong_wakes_everybody_in_the_order_in_which_they_came() {
        let (gong, is_so) = (Arc::new(Gong::default()), Arc::new(AtomicBool::new(false)));
        let woken = Arc::new(Mutex::new(Vec::new()));
        let wait = |number: usize| {
            let (gong, is_so, woken) = (Arc::clone(&gong), Arc::clone(&is_so), Arc::clone(&woken));
            tokio::spawn(async move {
                gong.until(|| is_so.load(Ordering::Acquire)).await;
                woken.lock().expect("nobody panics").push(number);
            })
        };
        let waiting: Vec<_> = (0..32).map(wait).collect();
        tokio::task::yield_now().await;
        gong.ring();
        tokio::task::yield_now().await;
        assert!(woken.lock().expect("nobody panics").is_empty(), "it is not so yet");
        is_so.store(true, Ordering::Release);
        gong.ring();
        for wait in waiting {
            wait.await.expect("it ends");
        }
        assert!(woken.lock().expect("nobody panics").iter().copied().eq(0..32));
    }

    #[tokio::test]
    async fn work_that_is_halted_is_not_done_and_none_is_begun_behind_it() {
        let halt = Halt::default();
        assert_eq!(halt.unless(async { 1 }).await, Some(1));
        let halted = async {
            tokio::task::yield_now().await;
            halt.call();
        };
        assert_eq!(tokio::join!(halt.unless(std::future::pending::<()>()), halted), (None, ()));
        assert_eq!(halt.unless(async { 2 }).await, None);
    }
}
