//! One turn of a connection: everything that waits is written, everything that is there is read.
//!
//! Writing and reading are tried together, so that two peers that both write cannot block each other.
//! Fewest system calls: the simulator and the raw floor both live from it.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

/// Writes `out` and reads into the room of `input`: `Some(n)` after a read of n octets (0 at the end of the
/// stream), `None` once a write that had been blocked went through. Losing the future loses no octets.
///
/// # Errors
/// Those of the stream.
pub async fn turn<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    input: &mut BytesMut,
    out: &mut BytesMut,
    may_read: bool,
) -> io::Result<Option<usize>> {
    let mut blocked = false;
    poll_fn(|context| {
        if !out.is_empty() {
            match write_some(stream, out, context) {
                Poll::Ready(Ok(())) if blocked => return Poll::Ready(Ok(None)),
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => blocked = true,
            }
        }
        if !may_read {
            return Poll::Pending;
        }
        pin!(stream.read_buf(input)).poll(context).map_ok(Some)
    })
    .await
}

/// Writes until nothing is left or the stream is full.
fn write_some<S: AsyncWrite + Unpin>(
    stream: &mut S,
    out: &mut BytesMut,
    context: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    while !out.is_empty() {
        match Pin::new(&mut *stream).poll_write(context, out) {
            Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(Ok(written)) => out.advance(written),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return Poll::Pending,
        }
    }
    Poll::Ready(Ok(()))
}
