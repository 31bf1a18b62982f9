//! The text ledger on disk: a thread that takes the lines away and writes them, so that no session waits for a disk.
//!
//! Lines are in the file at most 50 ms after they were noted, and all of them after [`LedgerFile::finish`].

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::hub::{Hub, lock};

/// Half of the promised 100 ms.
const FLUSH_EVERY: Duration = Duration::from_millis(50);

/// Lines waiting above which a session writes them itself: a stalled disk then slows the sessions down.
pub(crate) const WAITING_LIMIT: usize = 64 * 1024 * 1024;

/// The open file and the buffer that is swapped for the hub's.
#[derive(Debug)]
struct Sink {
    file: File,
    spare: Vec<u8>,
    failure: Option<io::Error>,
}

/// A ledger file with its writer thread.
#[derive(Debug)]
pub(crate) struct LedgerFile {
    hub: Arc<Mutex<Hub>>,
    sink: Arc<Mutex<Sink>>,
    stop: Mutex<Option<(SyncSender<()>, JoinHandle<()>)>>,
}

impl LedgerFile {
    /// Opens `path` for appending and starts the thread.
    pub(crate) fn open(path: &Path, hub: &Arc<Mutex<Hub>>) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        let sink = Arc::new(Mutex::new(Sink { file, spare: Vec::new(), failure: None }));
        let (stop, stopped) = sync_channel(1);
        let (thread_hub, thread_sink) = (Arc::clone(hub), Arc::clone(&sink));
        let thread = std::thread::Builder::new().name("ledger".to_owned()).spawn(move || {
            while stopped.recv_timeout(FLUSH_EVERY) == Err(RecvTimeoutError::Timeout) {
                drain(&thread_hub, &thread_sink);
            }
        })?;
        Ok(Self { hub: Arc::clone(hub), sink, stop: Mutex::new(Some((stop, thread))) })
    }

    /// Writes everything noted so far.
    pub(crate) fn drain(&self) {
        drain(&self.hub, &self.sink);
    }

    /// Stops the thread and writes the rest; says what failed since the start.
    pub(crate) fn finish(&self) -> io::Result<()> {
        let running = self.stop.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((stop, thread)) = running {
            drop(stop);
            if thread.join().is_err() {
                return Err(io::Error::other("the ledger's thread panicked"));
            }
        }
        self.drain();
        self.sink.lock().unwrap_or_else(PoisonError::into_inner).failure.take().map_or(Ok(()), Err)
    }
}

/// The sink is locked first, so that lines reach the file in the order in which they were noted.
fn drain(hub: &Mutex<Hub>, sink: &Mutex<Sink>) {
    let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
    let Sink { file, spare, failure } = &mut *sink;
    lock(hub).swap_lines(spare);
    if let Err(error) = file.write_all(spare) {
        failure.get_or_insert(error);
    }
    spare.clear();
}
