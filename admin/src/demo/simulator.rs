//! The SMSC at the other end of the demo: the simulator on a thread and a runtime of its own, on a free port.

use crate::exit::{self, Failure};
use bench::smsc::{Config, ReceiptConfig, Smsc, Stats};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// From a submit to its receipt.
const RECEIPT_DELAY_US: u64 = 200_000;
/// Random addition, so that receipts overtake each other as real ones do.
const RECEIPT_DISORDER_US: u64 = 50_000;

/// A running simulator; ends with [`Simulator::stop`].
pub(crate) struct Simulator {
    smsc: Smsc,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Simulator {
    /// Starts it on a loopback port that the system chooses.
    pub(crate) fn start(receipts: bool) -> Result<Self, Failure> {
        let (tell, started) = std::sync::mpsc::sync_channel(1);
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = async move {
            let smsc = match TcpListener::bind("127.0.0.1:0").await {
                Ok(listener) => Smsc::serve(listener, config(receipts)).map_err(|error| format!("{error:#}")),
                Err(error) => Err(error.to_string()),
            };
            let running = smsc.as_ref().ok().cloned();
            // Either way the starter hears of it; if it is gone, so is the need for a simulator.
            if tell.send(smsc).is_ok()
                && let Some(smsc) = running
            {
                // An error means that the handle was dropped: the simulator ends just the same.
                let _ = stopped.await;
                // Without a ledger file there is nothing that could fail to be written.
                let _ = smsc.shutdown().await;
            }
        };
        let refused =
            |why: String| Failure::new(exit::UNAVAILABLE, format!("the simulator did not start: {why}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| refused(error.to_string()))?;
        let thread = std::thread::Builder::new()
            .name("smsc".to_owned())
            .spawn(move || runtime.block_on(serve))
            .map_err(|error| refused(error.to_string()))?;
        let smsc = started.recv().map_err(|error| refused(error.to_string()))?.map_err(refused)?;
        Ok(Self { smsc, stop, thread })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> String {
        let address = self.smsc.local_addr().expect("a simulator on a listener has its address");
        address.to_string()
    }

    /// What it has counted so far.
    pub(crate) fn stats(&self) -> Stats {
        self.smsc.stats()
    }

    /// Ends it.
    pub(crate) fn stop(self) {
        // It may have ended by itself, and a panic on its thread was reported there.
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}

fn config(receipts: bool) -> Config {
    let unix_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let delayed = ReceiptConfig {
        delay_us: RECEIPT_DELAY_US,
        disorder_us: RECEIPT_DISORDER_US,
        ..ReceiptConfig::default()
    };
    Config {
        // A later demo in the same directory is a later SMSC: its message ids must be new.
        first_id: unix_s << 24,
        start_unix_s: unix_s,
        receipts: receipts.then_some(delayed),
        count_duplicates: true,
        ..Config::default()
    }
}
