//! A network that notes, in order, to whom each `submit_sm` goes whose first octet the engine hands to the kernel.
//!
//! What an SMSC has read says little about the moment of an acknowledgement: octets may lie in between. This is exact.

use engine::{Dial, Net, Tcp, Wire};
use pdu::{CommandId, SubmitSm};
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The network; clones share their notes.
#[derive(Clone, Default)]
pub struct Tap(Arc<Mutex<Vec<u64>>>);

impl Tap {
    /// Submits begun so far.
    #[must_use]
    pub fn begun(&self) -> usize {
        self.notes().len()
    }

    /// Of these the ones to numbers of a range.
    #[must_use]
    pub fn begun_to(&self, numbers: Range<u64>) -> usize {
        self.notes().iter().filter(|number| numbers.contains(number)).count()
    }

    /// Submits to a number: before and from a moment on.
    #[must_use]
    pub fn count(&self, number: u64, moment: usize) -> (usize, usize) {
        let notes = self.notes();
        let (before, behind) = notes.split_at(moment);
        let count = |notes: &[u64]| notes.iter().filter(|noted| **noted == number).count();
        (count(before), count(behind))
    }

    fn notes(&self) -> MutexGuard<'_, Vec<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Net for Tap {
    fn dial(&self, address: &str) -> Dial {
        let (dial, tap) = (Tcp.dial(address), self.clone());
        Box::pin(async move {
            let inner = dial.await?;
            Ok(Box::new(Tapped { inner, tap, carry: 0 }) as Box<dyn Wire>)
        })
    }
}

struct Tapped {
    inner: Box<dyn Wire>,
    tap: Tap,
    /// Octets to come of a PDU whose beginning is written.
    carry: usize,
}

impl Tapped {
    /// `taken` of `octets` were written.
    fn note(&mut self, octets: &[u8], taken: usize) {
        let mut at = self.carry;
        while at < taken {
            let Ok(Some(frame)) = pdu::cut_frame(&octets[at..], u32::MAX) else { break };
            if frame.header.command_id == CommandId::SUBMIT_SM
                && let Ok(submit) = SubmitSm::decode(frame.body)
            {
                let digits = std::str::from_utf8(submit.dest.addr).unwrap_or_default();
                self.tap.notes().push(digits.parse().unwrap_or(0));
            }
            at += frame.len();
        }
        self.carry = at.saturating_sub(taken);
    }
}

impl AsyncRead for Tapped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.inner).poll_read(cx, into)
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut *self.inner).poll_write(cx, octets);
        if let Poll::Ready(Ok(taken)) = written {
            self.note(octets, taken);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.inner).poll_shutdown(cx)
    }
}
