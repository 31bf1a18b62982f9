//! What happens to campaigns because time passes: starts, ends of windows, and approvals that came too late.
//!
//! One worker with one entry a campaign, in order of time; a campaign that waits costs no actor. When an entry is due
//! the campaign is read from the catalog and [`step`] decides; nothing is decided from what was read before. The wall
//! clock is looked at often enough that a jump or a suspended machine is noticed.

use crate::dispatch::commands::Command;
use crate::dispatch::engine::{Engine, EngineError, Inner};
use crate::model::{Campaign, CampaignId, HoldReason, JobErrorCode, Mode, Principal, Status, WorkspaceId};
use crate::schedule::{Gate, GateState, ON_TIME_GRACE_S};
use crate::store::{Entity, Kind, MAX_PAGE, Query, Scope, StoreError};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::mpsc;

/// The longest time between two looks at the wall clock.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Pause before a look that the store prevented is repeated; doubled each time up to [`LOOK_EVERY`].
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Pause before a held campaign's pre-flight is asked again: a few reads, soon after a channel is bound.
const PREFLIGHT_AGAIN: SignedDuration = SignedDuration::from_secs(5);

/// A campaign by owner and id.
pub(super) type Whose = (WorkspaceId, CampaignId);

/// What the worker is told.
pub(super) enum Agenda {
    /// Look at this campaign now.
    Look(Whose),
    /// It was looked at: look again then, if at all.
    Looked(Whose, Option<Timestamp>),
    /// The store kept it from being looked at, at that time.
    NotLooked(Whose, Timestamp),
}

/// What is to be done with a campaign now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It was approved and is not built.
    Build,
    /// It was started and its time has come.
    Send,
    /// Its time has passed.
    Expire,
    /// Nothing before then.
    Wait(Timestamp),
    /// Nothing as long as nobody does anything.
    Rest,
}

/// Decides what time does to a campaign.
fn step(campaign: &Campaign, gate: &Gate, now: Timestamp) -> Step {
    let state = gate.at(now);
    let end = gate.ends_s().and_then(|second| Timestamp::from_second(second).ok());
    let at_its_end = || end.map_or(Step::Rest, Step::Wait);
    match campaign.status {
        Status::Done | Status::Cancelled | Status::Failed | Status::Expired => Step::Rest,
        Status::Building => Step::Build,
        _ if state == GateState::Over => Step::Expire,
        Status::New | Status::Sending | Status::Paused => at_its_end(),
        Status::Pending if campaign.started || campaign.content.rules.auto_start => match state {
            GateState::Closed { until: Some(from), why: HoldReason::Scheduled } => Step::Wait(from),
            _ => Step::Send,
        },
        // Not started in time, it is never sent late: its window is for those who are.
        Status::Pending if campaign.mode == Mode::OnTime => match last_start(gate, end) {
            Some(last) if last <= now => Step::Expire,
            Some(last) => Step::Wait(last),
            None => at_its_end(),
        },
        Status::Pending => at_its_end(),
    }
}

/// Until when an OnTime campaign can still be started.
fn last_start(gate: &Gate, end: Option<Timestamp>) -> Option<Timestamp> {
    let GateState::Closed { until: Some(start), .. } = gate.at(Timestamp::UNIX_EPOCH) else { return end };
    let grace = start.checked_add(SignedDuration::from_secs(ON_TIME_GRACE_S)).ok()?;
    Some(end.map_or(grace, |end| end.min(grace)))
}

/// Entries in order of time, one a campaign.
#[derive(Default)]
struct Entries {
    by_time: BTreeMap<(Timestamp, CampaignId), WorkspaceId>,
    by_id: BTreeMap<CampaignId, Timestamp>,
    /// How often in a row the store kept a campaign from being looked at.
    failures: BTreeMap<CampaignId, u32>,
}

impl Entries {
    /// Enters a campaign in place of its entry so far.
    fn enter(&mut self, (workspace, id): Whose, at: Timestamp) {
        if let Some(before) = self.by_id.insert(id, at) {
            self.by_time.remove(&(before, id));
        }
        self.by_time.insert((at, id), workspace);
    }

    /// Enters a campaign unless it is entered for an earlier look, which does no harm; a late one would.
    fn enter_unless_earlier(&mut self, whose: Whose, at: Timestamp) {
        if self.by_id.get(&whose.1).is_none_or(|before| *before > at) {
            self.enter(whose, at);
        }
    }

    /// Enters what somebody says about a campaign.
    fn hear(&mut self, told: Agenda, now: Timestamp) {
        match told {
            Agenda::Look(whose) => self.enter(whose, now),
            Agenda::Looked(whose, next) => {
                self.failures.remove(&whose.1);
                next.into_iter().for_each(|at| self.enter_unless_earlier(whose, at));
            }
            Agenda::NotLooked(whose, at) => {
                let failures = self.failures.entry(whose.1).or_default();
                let pause = AGAIN_AFTER.saturating_mul(1 << (*failures).min(16)).min(LOOK_EVERY);
                *failures += 1;
                self.enter_unless_earlier(whose, at.saturating_add(pause).unwrap_or(Timestamp::MAX));
            }
        }
    }

    /// Takes the first entry that is due.
    fn take_due(&mut self, now: Timestamp) -> Option<Whose> {
        let (&(at, id), _) = self.by_time.first_key_value().filter(|((at, _), _)| *at <= now)?;
        self.by_id.remove(&id);
        self.by_time.remove(&(at, id)).map(|workspace| (workspace, id))
    }

    /// How long nothing is due.
    fn quiet_for(&self, now: Timestamp) -> Duration {
        let next = self.by_time.first_key_value().map(|((at, _), _)| at.duration_since(now));
        let wait = next.map(|wait| Duration::try_from(wait).unwrap_or_default());
        wait.unwrap_or(LOOK_EVERY).min(LOOK_EVERY)
    }
}

impl Engine {
    /// Tells the engine that a campaign was created, edited or approved: its end is entered in the calendar, and it is
    /// built if it is `Building`. What is lost with a crash is found again at the next start.
    pub fn campaign_changed(&self, workspace: WorkspaceId, id: CampaignId) {
        self.look_at(workspace, id);
    }

    pub(super) fn look_at(&self, workspace: WorkspaceId, id: CampaignId) {
        if self.0.agenda.send(Agenda::Look((workspace, id))).is_err() {
            tracing::debug!(campaign = %id, "the calendar has ended");
        }
    }

    /// Lets the calendar try again, after a pause, what the store did not allow.
    pub(super) fn look_again(&self, workspace: WorkspaceId, id: CampaignId) {
        if self.0.agenda.send(Agenda::NotLooked((workspace, id), self.timestamp())).is_err() {
            tracing::debug!(campaign = %id, "the calendar has ended");
        }
    }

    /// Starts the worker; it begins with every campaign that is not final.
    pub(super) fn start_calendar(&self, inbox: mpsc::UnboundedReceiver<Agenda>) -> Result<(), EngineError> {
        let (engine, agenda) = (Arc::downgrade(&self.0), self.0.agenda.downgrade());
        let failure = self.0.failure.clone();
        let ended = self.0.env.start("calendar", run(engine, agenda, inbox))?;
        crate::dispatch::assembly::report_panic("calendar", ended, &failure);
        Ok(())
    }

    /// Enters every campaign that may still change by itself.
    async fn enter_all(&self) -> Result<(), EngineError> {
        let statuses = [Status::New, Status::Building, Status::Pending, Status::Sending, Status::Paused];
        let mut after = None;
        loop {
            let statuses = statuses.iter().map(Status::to_string).collect();
            let query = Query { kind: Kind::Campaign, statuses, parent: None, after, limit: MAX_PAGE };
            let page = self.0.catalog.list(Scope::Platform, query).await?;
            for entity in page.items {
                if let Entity::Campaign(campaign) = entity {
                    self.look_at(campaign.workspace_id, campaign.id);
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Does what time asks for; when to look again, if time alone can ask for something.
    async fn look(&self, (workspace, id): Whose) -> Result<Option<Timestamp>, EngineError> {
        let campaign = match self.campaign(workspace, id).await {
            Err(EngineError::Store(StoreError::NotFound)) => return Ok(None),
            campaign => campaign?,
        };
        let calendar = self.tenant(workspace).await?.settings().calendar.clone();
        let by = Principal::engine();
        let step = match Gate::new(campaign.mode, &campaign.content.rules, &calendar) {
            Ok(gate) => step(&campaign, &gate, self.timestamp()),
            // Whatever is wrong with its rules fails its build with words for its author.
            Err(_) if campaign.status == Status::Building => Step::Build,
            Err(_) => Step::Rest,
        };
        let done = match step {
            Step::Rest => return Ok(None),
            Step::Wait(at) => return Ok(Some(at)),
            Step::Build => self.try_build(workspace, id, &by).await,
            Step::Expire => self.expire(campaign, &by).await,
            Step::Send => self.send_armed(campaign, &by).await,
        };
        match done {
            // Its end comes next; what a loser of a race wanted is decided anew.
            Ok(()) | Err(EngineError::State(..) | EngineError::Store(StoreError::Conflict { .. })) => {
                self.look_at(workspace, id);
                Ok(None)
            }
            // It is held with its reason.
            Err(EngineError::Preflight(_)) => Ok(self.timestamp().checked_add(PREFLIGHT_AGAIN).ok()),
            Err(EngineError::NotBuilt(reason)) => {
                tracing::warn!(campaign = %id, reason, "not built");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Ends a campaign whose time has passed.
    async fn expire(&self, campaign: Campaign, by: &Principal) -> Result<(), EngineError> {
        let whose = (campaign.workspace_id, campaign.id);
        self.command(whose, Command::Expire, by).await?;
        self.note_job_error(whose, JobErrorCode::WindowOver, "").await;
        Ok(())
    }

    /// Sends what was started before its time, if it still may; else it fails.
    async fn send_armed(&self, campaign: Campaign, by: &Principal) -> Result<(), EngineError> {
        let whose = (campaign.workspace_id, campaign.id);
        match self.check_started(&campaign).await {
            Ok(()) => self.command(whose, Command::Send, by).await,
            Err(error @ (EngineError::NotApproved | EngineError::Sender(_) | EngineError::Message(_))) => {
                self.command(whose, Command::Fail(error.to_string()), by).await
            }
            Err(error) => Err(error),
        }
    }
}

async fn run(
    engine: Weak<Inner>,
    agenda: mpsc::WeakUnboundedSender<Agenda>,
    mut inbox: mpsc::UnboundedReceiver<Agenda>,
) {
    let mut entries = Entries::default();
    let mut is_full = false;
    loop {
        let Some(inner) = engine.upgrade() else { return };
        if inner.board.is_draining() {
            return;
        }
        let engine_now = Engine(inner);
        if !is_full {
            match engine_now.enter_all().await {
                Ok(()) => is_full = true,
                Err(error) => tracing::warn!(%error, "the calendar is not read yet"),
            }
        }
        let now = engine_now.timestamp();
        while let Some(whose) = entries.take_due(now) {
            // Each in a task of its own: a start that waits for the store delays no other one.
            let (engine, agenda) = (engine_now.clone(), agenda.clone());
            tokio::spawn(async move {
                let told = match engine.look(whose).await {
                    Ok(next) => Agenda::Looked(whose, next),
                    Err(error) => {
                        tracing::warn!(campaign = %whose.1, %error, "the calendar looks again");
                        Agenda::NotLooked(whose, engine.timestamp())
                    }
                };
                if let Some(agenda) = agenda.upgrade()
                    && agenda.send(told).is_err()
                {
                    tracing::debug!(campaign = %whose.1, "the calendar has ended");
                }
            });
        }
        let wait = match is_full {
            true => entries.quiet_for(now),
            false => AGAIN_AFTER,
        };
        drop(engine_now);
        match tokio::time::timeout(wait, inbox.recv()).await {
            Ok(None) => return,
            Ok(Some(told)) => entries.hear(told, now),
            Err(_) => {}
        }
        while let Ok(told) = inbox.try_recv() {
            entries.hear(told, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::testing::campaign;
    use crate::model::{LocalWindow, Schedule, SendingRules};
    use crate::schedule::{Calendar, Zone};
    use jiff::civil::datetime;
    use uuid::Uuid;

    fn calendar() -> Calendar {
        Calendar { zone: Zone::named("UTC").expect("a zone"), quiet: None, daily_limit: None }
    }

    /// Start at 18:00, window until 20:00 where the mode has one.
    fn subject(mode: Mode, status: Status, started: bool) -> (Campaign, Gate) {
        let (from, to) = (datetime(2026, 5, 1, 18, 0, 0, 0), datetime(2026, 5, 1, 20, 0, 0, 0));
        let window = Some(LocalWindow { from, to });
        let schedule = match mode {
            Mode::OnDemand => Schedule::default(),
            Mode::OnTime => Schedule { start_at: Some(from), window, ..Schedule::default() },
            Mode::Spread | Mode::Trigger => Schedule { window, ..Schedule::default() },
        };
        let rules = SendingRules { schedule, ..SendingRules::default() };
        let gate = Gate::new(mode, &rules, &calendar()).expect("a gate");
        (Campaign { status, started, ..campaign(mode) }, gate)
    }

    fn at(clock: &str) -> Timestamp {
        format!("2026-05-01T{clock}Z").parse().expect("a time")
    }

    #[test]
    fn time_does_to_a_campaign_what_its_schedule_says() {
        use Status::{Building, New, Paused, Pending, Sending};
        let until = |clock| Step::Wait(at(clock));
        let (early, within, late, over) = ("17:59:59", "18:30:00", "19:00:00", "20:00:00");
        let cases = [
            (Mode::OnDemand, New, false, [Step::Rest; 4]),
            (Mode::OnDemand, Pending, false, [Step::Rest; 4]),
            (Mode::OnDemand, Pending, true, [Step::Send; 4]),
            (Mode::OnDemand, Sending, true, [Step::Rest; 4]),
            (Mode::OnTime, New, false, [until(over), until(over), until(over), Step::Expire]),
            (Mode::OnTime, Building, false, [Step::Build; 4]),
            (Mode::OnTime, Pending, false, [until(late), until(late), Step::Expire, Step::Expire]),
            (Mode::OnTime, Pending, true, [until("18:00:00"), Step::Send, Step::Send, Step::Expire]),
            (Mode::OnTime, Sending, true, [until(over), until(over), until(over), Step::Expire]),
            (Mode::OnTime, Paused, true, [until(over), until(over), until(over), Step::Expire]),
            (Mode::Spread, New, false, [until(over), until(over), until(over), Step::Expire]),
            (Mode::Spread, Pending, false, [until(over), until(over), until(over), Step::Expire]),
            (Mode::Spread, Pending, true, [until("18:00:00"), Step::Send, Step::Send, Step::Expire]),
            (Mode::Trigger, Sending, true, [until(over), until(over), until(over), Step::Expire]),
            (Mode::Trigger, Status::Done, true, [Step::Rest; 4]),
        ];
        for (mode, status, started, expected) in cases {
            let (campaign, gate) = subject(mode, status, started);
            let steps = [early, within, late, over].map(|clock| step(&campaign, &gate, at(clock)));
            assert_eq!(steps, expected, "{mode:?} {status} started: {started}");
        }
    }

    #[test]
    fn a_campaign_has_one_entry_and_entries_come_in_order_of_time() {
        let workspace = WorkspaceId(Uuid::from_u128(1));
        let whose = |n| (workspace, CampaignId(Uuid::from_u128(n)));
        let mut entries = Entries::default();
        entries.enter(whose(1), at("18:00:00"));
        entries.enter(whose(2), at("17:00:00"));
        entries.enter(whose(1), at("16:00:00"));
        entries.enter(whose(3), at("19:00:00"));
        assert_eq!(entries.quiet_for(at("15:59:50")), Duration::from_secs(10));
        assert_eq!(entries.quiet_for(at("10:00:00")), LOOK_EVERY);
        assert_eq!(entries.quiet_for(at("21:00:00")), Duration::ZERO);
        let due: Vec<_> = std::iter::from_fn(|| entries.take_due(at("18:30:00"))).collect();
        assert_eq!(due, [whose(1), whose(2)]);
        assert_eq!((entries.by_time.len(), entries.by_id.len()), (1, 1));
    }
}
