//! Follows the demo's campaign to its end: looks at the engine often, shows what it sees once in a while.
//!
//! On a terminal a bar is redrawn, elsewhere there is a line each second. It never waits for ever: when nothing
//! moves any more it says what is missing.

use super::account::EngineSide;
use super::campaign::Prepared;
use crate::lines::{Lines, thousands};
use crate::signals::Signals;
use engine::model::{CampaignId, Counts};
use engine::{ChannelStatus, Engine};
use indicatif::{ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};

/// How often the engine is looked at: a short campaign ends between two looks of a longer tick.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How often a terminal is redrawn, and how often a line is printed elsewhere.
const REDRAW_EVERY: Duration = Duration::from_millis(100);
const LINE_EVERY: Duration = Duration::from_secs(1);
/// How long binds may take to come up before the campaign starts without them.
const BOUND_WITHIN: Duration = Duration::from_secs(5);
/// How long the store may refuse every fact: short breaks are survived, a full disk stays full.
const UNSTORED: Duration = Duration::from_secs(10);
/// How long nothing may move before the demo gives up: sending, with its reconnects, and receipts.
const STILL_SENDING: Duration = Duration::from_secs(60);
const STILL_RECEIPTS: Duration = Duration::from_secs(15);

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Every recipient has its fate, every receipt is there.
    Done,
    /// Nothing moves any more; what is missing.
    Stuck(String),
    /// The engine has given up; why.
    Failed(String),
    /// The store has taken nothing for too long.
    Unstored,
    /// A signal came; its exit code.
    Asked(u8),
}

/// One look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Look {
    counts: Counts,
    channel: ChannelStatus,
}

impl Look {
    fn is_sent(&self) -> bool {
        self.counts.queued + self.counts.in_flight == 0
    }

    /// Whether every submit of this run has its receipt: all that a campaign begun in an earlier run can wait for.
    fn is_answered(&self) -> bool {
        self.channel.receipts + self.channel.orphans >= self.channel.accepted
    }

    /// What changes while anything moves.
    fn pulse(&self) -> (Counts, u64, u64) {
        (self.counts, self.channel.submitted, self.channel.receipts)
    }
}

/// The observer.
pub(super) struct Follow {
    engine: Engine,
    id: CampaignId,
    receipts: bool,
    resumed: bool,
    lines: Lines,
    bar: Option<ProgressBar>,
    started: Instant,
    sent_after: Option<Duration>,
    ended_after: Duration,
    /// When the store last took what it was given.
    stored: Instant,
    /// When something last moved.
    moved: (Instant, (Counts, u64, u64)),
    /// When something was last shown, and how much was submitted then.
    shown: (Instant, u64),
}

impl Follow {
    /// Begins to look.
    pub(super) fn new(engine: &Engine, prepared: &Prepared, (receipts, lines): (bool, Lines)) -> Self {
        let now = Instant::now();
        Self {
            engine: engine.clone(),
            id: prepared.id,
            receipts,
            resumed: prepared.resumed,
            lines,
            bar: lines.is_terminal().then(|| bar(prepared.recipients, lines)),
            started: now,
            sent_after: None,
            ended_after: Duration::ZERO,
            stored: now,
            moved: (now, Default::default()),
            shown: (now, 0),
        }
    }

    /// Waits for the binds, so that the time measured is the campaign's.
    pub(super) async fn until_bound(&mut self, signals: &Signals) {
        let until = Instant::now() + BOUND_WITHIN;
        while Instant::now() < until && signals.asked().is_none() {
            if self.look().channel.up.iter().all(|up| *up) {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let now = Instant::now();
        (self.started, self.stored, self.moved.0, self.shown.0) = (now, now, now, now);
    }

    /// Follows the campaign to its end.
    pub(super) async fn until_done(&mut self, signals: &Signals) -> Ended {
        let engine = self.engine.clone();
        let mut tick = tokio::time::interval(LOOK_EVERY);
        let mut failed = std::pin::pin!(engine.failed());
        let mut asked = std::pin::pin!(signals.first());
        let ended = loop {
            tokio::select! {
                biased;
                reason = &mut failed => break Ended::Failed(reason),
                code = &mut asked => break Ended::Asked(code),
                _ = tick.tick() => {}
            }
            let look = self.look();
            if let Some(ended) = self.judge(&look, Instant::now()) {
                self.show(&look);
                break ended;
            }
            let every = if self.bar.is_some() { REDRAW_EVERY } else { LINE_EVERY };
            if self.shown.0.elapsed() >= every {
                self.show(&look);
            }
        };
        self.ended_after = self.started.elapsed();
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        ended
    }

    /// The engine's side of the account, as it stands now.
    pub(super) fn account(&self, prepared: &Prepared) -> EngineSide {
        let look = self.look();
        EngineSide {
            recipients: prepared.recipients,
            parts: prepared.parts,
            resumed: prepared.resumed,
            progress: self.engine.progress(self.id).unwrap_or_default(),
            channel: look.channel,
            elapsed: self.ended_after,
            sending: self.sent_after.unwrap_or(self.ended_after),
        }
    }

    fn look(&self) -> Look {
        let counts = self.engine.progress(self.id).unwrap_or_default().counts;
        Look { counts, channel: self.engine.channels().into_iter().next().unwrap_or_default() }
    }

    /// Whether this look is the last one.
    fn judge(&mut self, look: &Look, now: Instant) -> Option<Ended> {
        if self.engine.is_storing() {
            self.stored = now;
        } else if now.duration_since(self.stored) >= UNSTORED {
            return Some(Ended::Unstored);
        }
        if look.pulse() != self.moved.1 {
            self.moved = (now, look.pulse());
        }
        if look.counts.total == 0 || !look.is_sent() {
            let still = now.duration_since(self.moved.0) >= STILL_SENDING;
            return still.then(|| Ended::Stuck(missing_answers(look)));
        }
        self.sent_after.get_or_insert(now.duration_since(self.started));
        if !self.receipts || look.counts.sent == 0 || self.resumed && look.is_answered() {
            return Some(Ended::Done);
        }
        let still = now.duration_since(self.moved.0) >= STILL_RECEIPTS;
        still.then(|| Ended::Stuck(missing_receipts(look)))
    }

    fn show(&mut self, look: &Look) {
        let (before, submitted) = self.shown;
        let rate = (look.channel.submitted - submitted) as f64 / before.elapsed().as_secs_f64().max(0.001);
        self.shown = (Instant::now(), look.channel.submitted);
        let text = describe(look, rate);
        match &self.bar {
            Some(bar) => {
                bar.set_position(done(&look.counts));
                bar.set_message(text);
            }
            None => self.lines.say(&format!("{:6.1} s  {text}", self.started.elapsed().as_secs_f64())),
        }
    }
}

/// Recipients that were sent to, whatever came of it.
fn done(counts: &Counts) -> u64 {
    counts.total - counts.queued - counts.in_flight
}

fn describe(look: &Look, rate: f64) -> String {
    let counts = &look.counts;
    let errors = counts.rejected + counts.undeliverable + counts.expired + counts.failed + counts.unknown;
    let in_flight: u32 = look.channel.in_flight.iter().sum();
    let left = if look.is_sent() {
        format!("{} receipts to come", thousands(counts.sent))
    } else if rate >= 1.0 {
        format!("{:.0} s left", (counts.queued + counts.in_flight) as f64 / rate)
    } else {
        "waiting".to_owned()
    };
    format!(
        "{} of {} sent, {rate:.0}/s, {in_flight} in flight, {} delivered, {} errors, {left}",
        thousands(done(counts)),
        thousands(counts.total),
        thousands(counts.delivered),
        thousands(errors),
    )
}

fn missing_answers(look: &Look) -> String {
    let up = look.channel.up.iter().filter(|up| **up).count();
    format!(
        "nothing has moved for {} s: {} recipients not sent, {} without answer, {up} of {} binds up",
        STILL_SENDING.as_secs(),
        thousands(look.counts.queued),
        thousands(look.counts.in_flight),
        look.channel.up.len(),
    )
}

fn missing_receipts(look: &Look) -> String {
    format!("no receipt came for {} s: {} are missing", STILL_RECEIPTS.as_secs(), thousands(look.counts.sent))
}

fn bar(recipients: u64, lines: Lines) -> ProgressBar {
    let target = match lines {
        Lines::Out => indicatif::ProgressDrawTarget::stdout(),
        Lines::Error => indicatif::ProgressDrawTarget::stderr(),
    };
    let style = ProgressStyle::with_template("{bar:20} {percent:>3} %  {wide_msg}");
    let bar = ProgressBar::with_draw_target(Some(recipients), target);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
