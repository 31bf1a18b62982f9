//! SIGINT and SIGTERM: the first one asks for an orderly end, the second one ends the program at once.
//!
//! They are heard on a thread of their own, so that a slow disk never makes the program deaf.

use crate::exit::{self, Failure};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// What was asked for so far; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Signals {
    /// Exit code of the first signal, 0 before it.
    code: Arc<AtomicU8>,
    heard: watch::Receiver<u8>,
}

impl Signals {
    /// Listens from now on.
    pub(crate) fn watch() -> Result<Self, Failure> {
        let refused = |error: std::io::Error| {
            Failure::new(exit::UNAVAILABLE, format!("signals cannot be listened for: {error}"))
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(refused)?;
        let (mut interrupt, mut terminate) = {
            let _inside = runtime.enter();
            let hear = |kind| signal(kind).map_err(refused);
            (hear(SignalKind::interrupt())?, hear(SignalKind::terminate())?)
        };
        let code = Arc::new(AtomicU8::new(0));
        let (tell, heard) = watch::channel(0);
        let first = Arc::clone(&code);
        let listen = async move {
            loop {
                let code = tokio::select! {
                    _ = interrupt.recv() => 130,
                    _ = terminate.recv() => 143,
                };
                if first.swap(code, Ordering::AcqRel) != 0 {
                    std::process::exit(i32::from(code));
                }
                tell.send_replace(code);
            }
        };
        let thread = std::thread::Builder::new().name("signals".to_owned());
        thread.spawn(move || runtime.block_on(listen)).map_err(refused)?;
        Ok(Self { code, heard })
    }

    /// The exit code of the first signal, if there was one. For loops that cannot await.
    pub(crate) fn asked(&self) -> Option<u8> {
        Some(self.code.load(Ordering::Acquire)).filter(|code| *code != 0)
    }

    /// Resolves with the first signal's exit code.
    pub(crate) async fn first(&self) -> u8 {
        let mut heard = self.heard.clone();
        match heard.wait_for(|code| *code != 0).await {
            Ok(code) => *code,
            // The listening thread never ends; without it there is nothing to wait for.
            Err(_) => std::future::pending().await,
        }
    }
}
