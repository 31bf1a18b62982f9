//! Streams of server-sent events: bounded in number, ended with the server, and with the right to look.
//!
//! A route hands in what each second shows; everything else about a stream is here and the same for all of them.

use super::caller::Member;
use super::guard::readmit;
use super::problem::{Code, Problem};
use super::state::Api;
use super::streams::Place;
use axum::http::{HeaderName, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};

/// How often a stream shows something.
const TICK: Duration = Duration::from_secs(1);
/// After how many ticks it is checked again whether the reader may look.
const RECHECK_TICKS: u64 = 15;
/// Silence after which proxies and readers are told that the stream lives.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// After how many seconds a refused reader may try again.
const RETRY_AFTER_S: u32 = 30;
/// Asks proxies not to hold events back.
const UNBUFFERED: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

struct Open<F> {
    api: Arc<Api>,
    member: Member,
    next: F,
    tick: u64,
    ticks: Interval,
    ready: VecDeque<Event>,
    ended: watch::Receiver<bool>,
    _place: Place,
}

/// Opens a stream: each second `next` is given the number of that second, from 0, and gives the events of it, or
/// `None` when there will be no more.
///
/// # Errors
/// `rate_limited`, while there are too many.
pub(crate) fn stream<F, E>(api: Arc<Api>, member: Member, next: F) -> Result<Response, Problem>
where
    F: FnMut(u64) -> E + Send + 'static,
    E: Future<Output = Option<Vec<Event>>> + Send + 'static,
{
    let refused = || {
        let problem = Problem::because(Code::RateLimited, "Too many streams are open; close one of them.");
        problem.with_header(header::RETRY_AFTER, RETRY_AFTER_S)
    };
    let place = api.streams.take(member.user_id()).ok_or_else(refused)?;
    let ended = api.streams.ended();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let open = Open { api, member, next, tick: 0, ticks, ready: VecDeque::new(), ended, _place: place };
    let events = unfold(open, async |mut open| Some((Ok::<_, Infallible>(open.event().await?), open)));
    let events = Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT));
    Ok(([UNBUFFERED], events).into_response())
}

impl<F, E> Open<F>
where
    F: FnMut(u64) -> E,
    E: Future<Output = Option<Vec<Event>>>,
{
    /// The next event; `None` at the end.
    async fn event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            tokio::select! {
                biased;
                () = rung(&mut self.ended) => return None,
                _ = self.ticks.tick() => {}
            }
            let is_due = self.tick > 0 && self.tick.is_multiple_of(RECHECK_TICKS);
            if is_due {
                let now = readmit(&self.api, &self.member).await.ok()?;
                if now.sees_own_only() != self.member.sees_own_only() {
                    return None;
                }
                self.member = now;
            }
            self.ready = (self.next)(self.tick).await?.into();
            self.tick += 1;
        }
    }
}

/// Resolves when all streams end.
async fn rung(ended: &mut watch::Receiver<bool>) {
    // An error means that there is no API any more.
    let _ = ended.wait_for(|ended| *ended).await;
}
