//! Streams of server-sent events: bounded in number, ended with the server, and with the right to look.
//!
//! A route hands in what each second shows; everything else about a stream is here and the same for all of them.

use super::caller::Member;
use super::guard;
use super::problem::{Code, Problem};
use super::state::Api;
use axum::http::{HeaderName, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use engine::model::UserId;
use futures_util::stream::unfold;
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};

/// Streams of all accounts at once: a quarter of the connections.
const MAX_STREAMS: usize = 256;
/// Streams of one account at once: a browser opens six connections to a site.
const MAX_OF_ACCOUNT: usize = 6;
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

/// The open streams.
#[derive(Debug)]
pub(crate) struct Streams {
    open: Arc<Mutex<BTreeMap<UserId, usize>>>,
    ended: watch::Sender<bool>,
}

impl Streams {
    /// None.
    pub(crate) fn new() -> Self {
        Self { open: Arc::default(), ended: watch::Sender::new(false) }
    }

    /// Ends all of them; no new one stays open.
    pub(crate) fn end(&self) {
        self.ended.send_replace(true);
    }

    /// A place for one more stream of an account.
    ///
    /// # Errors
    /// `rate_limited`, while there are too many.
    fn take(&self, user: UserId) -> Result<Place, Problem> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, own): (usize, usize) = (open.values().sum(), open.get(&user).copied().unwrap_or(0));
        if all >= MAX_STREAMS || own >= MAX_OF_ACCOUNT {
            let detail = format!("{own} streams of this account are open; at most {MAX_OF_ACCOUNT} may be.");
            let problem = Problem::because(Code::RateLimited, detail);
            return Err(problem.with_header(header::RETRY_AFTER, RETRY_AFTER_S));
        }
        open.insert(user, own + 1);
        Ok(Place { open: Arc::clone(&self.open), user })
    }
}

/// One open stream; it is closed when this is dropped.
struct Place {
    open: Arc<Mutex<BTreeMap<UserId, usize>>>,
    user: UserId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.user);
            }
        }
    }
}

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
    let place = api.streams.take(member.user_id())?;
    let ended = api.streams.ended.subscribe();
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
            if is_due && !guard::still_holds(&self.api, &self.member).await {
                return None;
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

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn an_account_and_the_process_have_so_many_streams_and_a_closed_one_makes_room() {
        let streams = Streams::new();
        let user = |n: usize| UserId(Uuid::from_u128(n as u128));
        let mut places: Vec<Place> =
            (0..MAX_OF_ACCOUNT).map(|_| streams.take(user(0)).expect("room")).collect();
        assert_eq!(streams.take(user(0)).err().map(|refused| refused.code()), Some(Code::RateLimited));
        places.pop();
        places.push(streams.take(user(0)).expect("one was closed"));
        places.extend((MAX_OF_ACCOUNT..MAX_STREAMS).map(|n| streams.take(user(n)).expect("room")));
        assert_eq!(
            streams.take(user(MAX_STREAMS)).err().map(|refused| refused.code()),
            Some(Code::RateLimited)
        );
        drop(places);
        assert!(streams.open.lock().expect("nobody panicked").is_empty());
    }
}
