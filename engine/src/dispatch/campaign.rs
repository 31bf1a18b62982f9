//! The actor of one active campaign: a thin shell around [`Supply`] and [`Pace`].
//!
//! It holds no truth: after a panic the next incarnation learns from the keeper what is still to be sent. It opens
//! and closes the cells that links obey; at the end of a day that has a limit it waits until every link has given
//! back what is unwritten, so that the next day is charged with what it sends.

use crate::dispatch::budget::{Paid, Purse};
use crate::dispatch::cells::{Board, CampaignCells};
use crate::dispatch::env::{Clock, Now};
use crate::dispatch::keeper::Remaining;
use crate::dispatch::link::LinkMsg;
use crate::dispatch::loader::{self, Fetch, Loader, Source};
use crate::dispatch::recorder::Recorder;
use crate::dispatch::sieve::Sieve;
use crate::dispatch::supply::{Do, Slice, Supply, SupplyMsg, SupplyRef, Terms};
use crate::dispatch::timing::{Pace, Present};
use crate::model::{CampaignNo, HoldReason};
use jiff::civil::Date;
use ractor::{Actor, ActorProcessingErr, ActorRef, MessagingErr};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Nothing is given out so short before the cells close: a link would only give it back.
const LAST_CALL_MS: u64 = 20;
/// How long a link may take to give back what is unwritten at the end of a day; one that takes longer has handed its
/// last octets to a socket that does not take them.
const RECALL_WITHIN: Duration = Duration::from_secs(5);
/// Difference between both clocks that is a jump of the wall clock and not its correction.
const JUMP_MS: u64 = 60_000;

/// What a campaign is told.
pub(crate) enum CampaignMsg {
    /// Slices wanted, given back, loaded or pushed.
    Supply(SupplyMsg),
    /// What is to be sent, and when, is known: supply may begin.
    Begin(Remaining, Box<Pace>),
    /// The calendar, the limits or the plan have changed.
    Pace(Box<Pace>),
    /// The time has come to look at the calendar.
    Look,
    /// A channel was taken from the workspace: what its binds still hold is given back, for others to send.
    Barred,
    /// Every link has given back what it held; this day is charged from now on.
    Recalled(Date),
    /// The campaign has ended.
    End,
}

/// Called with the mailbox of each new incarnation; answers with [`CampaignMsg::Begin`] when it is ready.
pub(crate) type OnStart = Arc<dyn Fn(ActorRef<CampaignMsg>) + Send + Sync>;

/// Called when so much of the plan is late that a new one is wanted; answers with [`CampaignMsg::Pace`].
pub(crate) type OnOverdue = Arc<dyn Fn(CampaignNo) + Send + Sync>;

/// What the actor is started with.
#[derive(Clone)]
pub(crate) struct Arguments {
    pub(crate) no: CampaignNo,
    /// Recipients of the campaign, for the size of its last chunk.
    pub(crate) recipients: u64,
    pub(crate) sieve: Arc<Sieve>,
    pub(crate) purse: Arc<Purse>,
    pub(crate) cells: Arc<CampaignCells>,
    pub(crate) board: Arc<Board>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) clock: Clock,
    pub(crate) loader: Loader,
    /// Where recipients come from in place of the store.
    pub(crate) source: Option<Source>,
    pub(crate) on_start: OnStart,
    pub(crate) on_overdue: OnOverdue,
}

/// The actor's state.
pub(crate) struct State {
    arguments: Arguments,
    begun: Option<Begun>,
    /// What binds gave back, and programs pushed, before the beginning.
    early: Vec<SupplyMsg>,
}

/// What there is from the beginning on.
struct Begun {
    supply: Supply,
    pace: Pace,
    /// Until before when the cells are open, wall clock in milliseconds; 0 while they are not.
    open_until_ms: u64,
    /// The day that is charged.
    day: Option<Date>,
    /// Whether links are giving back what they held, at the end of a day or of a channel's use.
    is_recalling: bool,
    /// Whether the newest message was a link that asks.
    was_asked: bool,
    /// Whether a link asked at the last look: without one a plan is not looked at each second.
    looked_asked: bool,
    look_at_ms: u64,
    looked: Now,
    hold: Option<HoldReason>,
    timer: Option<Timer>,
}

/// The next look, at a moment of the monotonic clock.
struct Timer {
    at_us: u64,
    task: JoinHandle<Result<(), MessagingErr<CampaignMsg>>>,
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The actor.
#[derive(Default)]
pub(crate) struct CampaignActor;

impl Actor for CampaignActor {
    type Msg = CampaignMsg;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        me: ActorRef<CampaignMsg>,
        arguments: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        (arguments.on_start)(me);
        Ok(State { arguments, begun: None, early: Vec::new() })
    }

    async fn handle(
        &self,
        me: ActorRef<CampaignMsg>,
        message: CampaignMsg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        let now = state.arguments.clock.now();
        let arguments = &state.arguments;
        match (message, &mut state.begun) {
            (CampaignMsg::End, _) => me.stop(None),
            (CampaignMsg::Begin(remaining, pace), _) => {
                let early = early(std::mem::take(&mut state.early), &remaining);
                let mut begun = Begun::new(arguments, remaining, *pace, now);
                begun.look(arguments, &me, now);
                for message in early {
                    begun.perform(message, arguments, &me, now);
                }
                begun.go_on(arguments, &me, now);
                state.begun = Some(begun);
            }
            (CampaignMsg::Supply(message), Some(begun)) => {
                begun.was_asked = matches!(message, SupplyMsg::Want(..));
                if begun.is_look_due(now) {
                    begun.look(arguments, &me, now);
                }
                begun.perform(message, arguments, &me, now);
                begun.arm(arguments, &me, now);
            }
            (CampaignMsg::Pace(pace), Some(begun)) => {
                begun.pace.replace(*pace);
                begun.look_and_go_on(arguments, &me, now);
            }
            (CampaignMsg::Look, Some(begun)) => {
                begun.timer = None;
                begun.was_asked = false;
                begun.look_and_go_on(arguments, &me, now);
            }
            (CampaignMsg::Barred, Some(begun)) => {
                if let Some(day) = begun.day {
                    begun.recall(day, arguments, &me);
                }
                begun.look_and_go_on(arguments, &me, now);
            }
            (CampaignMsg::Recalled(day), Some(begun)) => {
                begun.is_recalling = false;
                begun.day = Some(day);
                begun.look_and_go_on(arguments, &me, now);
            }
            // Links ask again when the campaign may send.
            (CampaignMsg::Supply(message), None) => match message {
                SupplyMsg::Returned(_) | SupplyMsg::Later(..) | SupplyMsg::Pushed(_) => {
                    state.early.push(message);
                }
                SupplyMsg::Want(..) | SupplyMsg::Loaded(..) | SupplyMsg::NotLoaded(_) => {}
            },
            // At a beginning every bind has given back what it held.
            (
                CampaignMsg::Pace(_) | CampaignMsg::Look | CampaignMsg::Barred | CampaignMsg::Recalled(_),
                None,
            ) => {}
        }
        Ok(())
    }
}

impl Begun {
    fn new(arguments: &Arguments, remaining: Remaining, pace: Pace, now: Now) -> Self {
        let (sieve, purse) = (Arc::clone(&arguments.sieve), Arc::clone(&arguments.purse));
        Self {
            supply: Supply::new(sieve, purse, arguments.recipients, remaining),
            pace,
            open_until_ms: 0,
            day: None,
            is_recalling: false,
            was_asked: false,
            looked_asked: false,
            look_at_ms: 0,
            looked: now,
            hold: None,
            timer: None,
        }
    }

    fn is_look_due(&self, now: Now) -> bool {
        let is_next_second = now.wall_ms / 1000 != self.looked.wall_ms / 1000;
        let is_news = is_next_second || (self.was_asked && !self.looked_asked);
        now.wall_ms >= self.look_at_ms || (self.pace.has_plan() && is_news)
    }

    fn look_and_go_on(&mut self, arguments: &Arguments, me: &ActorRef<CampaignMsg>, now: Now) {
        self.look(arguments, me, now);
        self.go_on(arguments, me, now);
    }

    /// Looks at the calendar and makes cells and terms what it says.
    fn look(&mut self, arguments: &Arguments, me: &ActorRef<CampaignMsg>, now: Now) {
        self.note_jump(arguments.no, now);
        let (remaining, is_asked) = (self.supply.remaining(), self.was_asked || self.supply.is_asked());
        let verdict = self.pace.look(Present { wall_ms: now.wall_ms, remaining, is_asked });
        self.look_at_ms = verdict.look_at_ms;
        self.looked_asked = is_asked;
        let is_new_day = self.day.is_some_and(|day| day != verdict.day);
        if is_new_day && arguments.purse.is_limited() {
            self.recall(verdict.day, arguments, me);
        } else {
            self.day = Some(verdict.day);
        }
        let (from_ms, until_ms) = verdict.open.filter(|_| !self.is_recalling).unwrap_or_default();
        let is_shut = until_ms > 0 && !arguments.cells.is_open(now.wall_ms);
        if until_ms != self.open_until_ms || is_shut {
            arguments.cells.set_open(from_ms, until_ms);
            self.open_until_ms = until_ms;
            arguments.board.ring_links();
        }
        let is_open = self.may_give(arguments, now);
        self.supply.set_terms(Terms { is_open, day: verdict.day, fresh: verdict.fresh });
        self.hold = verdict.hold;
        if verdict.wants_plan {
            tracing::warn!(campaign = arguments.no.0, "plan missed by more than may be made up for");
            (arguments.on_overdue)(arguments.no);
        }
    }

    /// Closes the campaign until every link has given back what it holds: it is charged to the day that ended.
    fn recall(&mut self, day: Date, arguments: &Arguments, me: &ActorRef<CampaignMsg>) {
        if self.is_recalling {
            return;
        }
        self.is_recalling = true;
        arguments.cells.set_open(0, 0);
        let (board, me) = (Arc::clone(&arguments.board), me.clone());
        tokio::spawn(async move {
            let epoch = board.announce_stop();
            // Late or not, what a link held was given back in its first turn since.
            let _ = tokio::time::timeout(RECALL_WITHIN, board.all_obey(epoch)).await;
            if me.cast(CampaignMsg::Recalled(day)).is_err() {
                tracing::debug!("campaign ended with its day");
            }
        });
    }

    fn note_jump(&mut self, no: CampaignNo, now: Now) {
        let passed_ms = now.mono_us.saturating_sub(self.looked.mono_us) / 1000;
        let expected_ms = self.looked.wall_ms + passed_ms;
        if now.wall_ms.abs_diff(expected_ms) > JUMP_MS {
            let by_s = i128::from(now.wall_ms) / 1000 - i128::from(expected_ms) / 1000;
            tracing::warn!(campaign = no.0, %by_s, "the wall clock has jumped; calendar looked at again");
        }
        self.looked = now;
    }

    fn may_give(&self, arguments: &Arguments, now: Now) -> bool {
        now.wall_ms.saturating_add(LAST_CALL_MS) < self.open_until_ms && !arguments.cells.is_stopped()
    }

    fn perform(&mut self, message: SupplyMsg, arguments: &Arguments, me: &ActorRef<CampaignMsg>, now: Now) {
        self.supply.set_open(self.may_give(arguments, now));
        let todo = self.supply.on(message, now);
        self.carry_out(todo, arguments, me, now);
    }

    fn go_on(&mut self, arguments: &Arguments, me: &ActorRef<CampaignMsg>, now: Now) {
        let todo = self.supply.go_on(now);
        self.carry_out(todo, arguments, me, now);
        self.arm(arguments, me, now);
    }

    fn carry_out(&mut self, mut todo: Vec<Do>, arguments: &Arguments, me: &ActorRef<CampaignMsg>, now: Now) {
        while !todo.is_empty() {
            let mut returned = Vec::new();
            let mut skips = Vec::new();
            for step in todo {
                match step {
                    Do::Skip(skip) => skips.push(skip),
                    Do::Fetch(order) => arguments.loader.fetch(Fetch {
                        order,
                        sieve: Arc::clone(&arguments.sieve),
                        source: arguments.source.clone(),
                        reply: supply_ref(me),
                    }),
                    Do::Give(link, slices) => {
                        let pushed = link.push(LinkMsg::Slices(arguments.no, slices));
                        if let Err(LinkMsg::Slices(_, slices)) = pushed {
                            returned.extend(slices);
                        }
                    }
                }
            }
            loader::record(&skips, &arguments.recorder, now);
            todo = match returned.is_empty() {
                true => Vec::new(),
                false => self.supply.on(SupplyMsg::Returned(returned), now),
            };
        }
    }

    /// Says why nothing leaves, and makes sure that the next look comes in time.
    fn arm(&mut self, arguments: &Arguments, me: &ActorRef<CampaignMsg>, now: Now) {
        let is_used_up = |day| self.supply.remaining() > 0 && arguments.purse.left(day) == 0;
        let is_poor = self.supply.is_poor() || self.day.is_some_and(is_used_up);
        arguments.cells.set_hold(self.hold.or(is_poor.then_some(HoldReason::DailyLimit)));
        let look_us = now.mono_us + self.look_at_ms.saturating_sub(now.wall_ms).saturating_mul(1000);
        let due_us = self.supply.next_due_us().unwrap_or(u64::MAX);
        let wake_us = look_us.min(due_us).max(now.mono_us);
        // A timer that fires early costs one look; one that fires in time is enough.
        if self.timer.as_ref().is_some_and(|timer| timer.at_us <= wake_us) {
            return;
        }
        let after = Duration::from_micros(wake_us - now.mono_us);
        self.timer = Some(Timer { at_us: wake_us, task: me.send_after(after, || CampaignMsg::Look) });
    }
}

/// What came before the beginning, without what the keeper knows to be queued: most of it. The rest the keeper knew
/// as in flight still.
fn early(messages: Vec<SupplyMsg>, remaining: &Remaining) -> Vec<SupplyMsg> {
    let unknown = |slices: Vec<Slice>| -> Vec<Slice> {
        slices.into_iter().flat_map(units).filter(|slice| !remaining.has(slice)).collect()
    };
    let kept = messages.into_iter().map(|message| match message {
        SupplyMsg::Returned(slices) => SupplyMsg::Returned(unknown(slices)),
        SupplyMsg::Later(slices, due_us) => SupplyMsg::Later(unknown(slices), due_us),
        SupplyMsg::Pushed(slices) => SupplyMsg::Pushed(unknown(slices)),
        other => other,
    });
    kept.collect()
}

/// A slice unit by unit; the places that they had are forgotten by now.
fn units(slice: Slice) -> impl Iterator<Item = Slice> {
    (0..slice.count).map(move |n| Slice { from: slice.from + n, count: 1, paid: Paid::No, ..slice.clone() })
}

/// The campaign's mailbox as links and the loader know it.
pub(crate) fn supply_ref(campaign: &ActorRef<CampaignMsg>) -> SupplyRef {
    let campaign = campaign.clone();
    SupplyRef(Arc::new(move |message| {
        if campaign.cast(CampaignMsg::Supply(message)).is_err() {
            // The actor has panicked or ended: its successor learns from the keeper what is left.
            tracing::debug!("message for a campaign that is gone");
        }
    }))
}

#[cfg(test)]
mod tests;
