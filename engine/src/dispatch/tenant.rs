//! What the campaigns of a workspace share: its zone, quiet hours, weight, rate, daily budget and channels.
//!
//! One [`Tenant`] a workspace, made when it is first needed and changed live: whoever holds it sees the change at the
//! next look. It never decides by itself what a campaign does.

use crate::dispatch::bucket::Bucket;
use crate::dispatch::budget::Budget;
use crate::dispatch::engine::{Engine, EngineError};
use crate::model::{Campaign, SenderId, Status, Workspace, WorkspaceId};
use crate::schedule::{Calendar, Zone};
use crate::store::{Entity, Kind, MAX_PAGE, Query, Scope, StoreError};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a workspace says, as it was last read.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Zone, quiet hours, daily limit.
    pub(crate) calendar: Calendar,
    /// Share among workspaces, at least 1.
    pub(crate) weight: u32,
    /// Names of the channels that the provider leaves it; empty for all that serve it.
    pub(crate) channels: Vec<String>,
}

impl Settings {
    fn of(workspace: &Workspace) -> Self {
        Self {
            calendar: calendar_of(workspace),
            weight: workspace.weight.max(1),
            channels: workspace.terms.channels.clone(),
        }
    }
}

/// A rate and the bucket that keeps it; `None` for no limit.
type Rate = (u32, Option<Arc<Bucket>>);

/// Burst of a rate bucket, as a part of a second of its rate.
const BURST_PER_S: u32 = 20;

fn burst(rate_per_s: u32) -> u32 {
    (rate_per_s / BURST_PER_S).max(1)
}

/// The bucket begins empty: the last run may have used the burst a moment ago.
fn rate(rate_per_s: u32, now_ns: u64) -> Rate {
    let bucket = || {
        let bucket = Bucket::new(rate_per_s, burst(rate_per_s));
        bucket.take(now_ns, u32::MAX);
        Arc::new(bucket)
    };
    (rate_per_s, (rate_per_s > 0).then(bucket))
}

/// A workspace as the dispatcher knows it.
pub(crate) struct Tenant {
    settings: Mutex<Arc<Settings>>,
    rate: Mutex<Rate>,
    pub(crate) budget: Arc<Budget>,
}

impl Tenant {
    fn new(workspace: &Workspace, now_ns: u64) -> Self {
        Self {
            settings: Mutex::new(Arc::new(Settings::of(workspace))),
            rate: Mutex::new(rate(workspace.rate_per_s, now_ns)),
            budget: Arc::new(Budget::new(workspace.daily_limit)),
        }
    }

    /// What the workspace says now.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The bucket of its rate, if it has one.
    pub(crate) fn rate(&self) -> Option<Arc<Bucket>> {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    fn change(&self, workspace: &Workspace, now_ns: u64) {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(Settings::of(workspace));
        self.budget.set_limit(workspace.daily_limit);
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        change_rate(&mut rate, workspace.rate_per_s, now_ns);
    }
}

/// Changes a rate; what was spent of it stays spent, unless there was no limit before.
fn change_rate(known: &mut Rate, rate_per_s: u32, now_ns: u64) {
    if known.0 == rate_per_s {
        return;
    }
    match &known.1 {
        Some(bucket) if rate_per_s > 0 => bucket.set_rate(now_ns, rate_per_s, burst(rate_per_s)),
        _ => known.1 = rate(rate_per_s, now_ns).1,
    }
    known.0 = rate_per_s;
}

/// Every tenant that was needed so far, and the rates of senders.
#[derive(Default)]
pub(crate) struct Tenants {
    known: tokio::sync::Mutex<BTreeMap<WorkspaceId, Arc<Tenant>>>,
    senders: Mutex<BTreeMap<SenderId, Rate>>,
}

impl Engine {
    /// What the campaigns of this workspace share. A new one is charged with what campaigns that ended have used of
    /// the days that still count; running ones charge it themselves.
    pub(super) async fn tenant(&self, id: WorkspaceId) -> Result<Arc<Tenant>, EngineError> {
        // Held while it is made: nobody may draw on a budget that is not charged yet.
        let mut known = self.0.tenants.known.lock().await;
        if let Some(tenant) = known.get(&id) {
            return Ok(Arc::clone(tenant));
        }
        let tenant = Arc::new(Tenant::new(&self.read_workspace(id).await?, self.now_ns()));
        self.charge_ended(id, &tenant).await?;
        known.insert(id, Arc::clone(&tenant));
        Ok(tenant)
    }

    /// Recipients that the campaigns of a workspace have used of its present local day, as a plan is made under; 0 is
    /// left out.
    ///
    /// # Errors
    /// The store's.
    pub async fn charged_today(&self, id: WorkspaceId) -> Result<Vec<(Date, u64)>, EngineError> {
        let tenant = self.tenant(id).await?;
        let today = tenant.settings().calendar.zone.day_of(self.timestamp());
        let used = tenant.budget.used(today);
        Ok(if used > 0 { vec![(today, used)] } else { Vec::new() })
    }

    async fn charge_ended(&self, id: WorkspaceId, tenant: &Tenant) -> Result<(), EngineError> {
        let today = tenant.settings().calendar.zone.day_of(self.timestamp());
        let statuses = [Status::Done, Status::Cancelled, Status::Failed, Status::Expired];
        let mut after = None;
        loop {
            let statuses = statuses.iter().map(Status::to_string).collect();
            let query = Query { kind: Kind::Campaign, statuses, parent: None, after, limit: MAX_PAGE };
            let page = self.0.catalog.list(Scope::Workspace(id), query).await?;
            for entity in page.items {
                let Entity::Campaign(campaign) = entity else { continue };
                for (day, count) in campaign.charged.into_iter().filter(|(day, _)| *day >= today) {
                    tenant.budget.charge(day, count);
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Reads a workspace again and applies what has changed to its running campaigns: zone, quiet hours, daily limit,
    /// weight, rates, the rates of its senders, and the channels that it is granted. A running campaign loses a channel
    /// at once and gets it back at once; one that it did not begin with it uses when the engine starts anew.
    ///
    /// # Errors
    /// The store's; nothing has changed then.
    pub async fn workspace_changed(&self, id: WorkspaceId) -> Result<(), EngineError> {
        let workspace = self.read_workspace(id).await?;
        let tenant = self.tenant(id).await?;
        let now_ns = self.now_ns();
        let (before, zone) = (tenant.settings(), calendar_of(&workspace).zone);
        if zone != before.calendar.zone {
            let (first, last) = days_of_change(&before.calendar.zone, &zone, self.timestamp());
            tenant.budget.join_days(first, last);
            let campaigns = self.campaigns();
            let of_it = campaigns.values().filter(|running| running.campaign.workspace_id == id);
            of_it.for_each(|running| running.purse.own().join_days(first, last));
        }
        tenant.change(&workspace, now_ns);
        let senders: Vec<SenderId> = {
            let campaigns = self.campaigns();
            let of = campaigns.values().filter(|r| r.campaign.workspace_id == id);
            of.map(|r| r.campaign.content.sender_id).collect()
        };
        for sender in senders {
            let rate_per_s = self.read_sender_rate(id, sender).await?;
            change_rate(self.senders().entry(sender).or_insert((0, None)), rate_per_s, now_ns);
        }
        self.apply_to_running(id).await
    }

    /// The bucket of a campaign's sender, if its rate is limited; shared by all campaigns that use it.
    pub(super) async fn sender_rate(&self, campaign: &Campaign) -> Result<Option<Arc<Bucket>>, EngineError> {
        let id = campaign.content.sender_id;
        let known = self.senders().get(&id).cloned();
        if let Some((_, bucket)) = known {
            return Ok(bucket);
        }
        let rate_per_s = self.read_sender_rate(campaign.workspace_id, id).await?;
        Ok(self.senders().entry(id).or_insert_with(|| rate(rate_per_s, self.now_ns())).1.clone())
    }

    fn now_ns(&self) -> u64 {
        self.0.env.clock.now().mono_us.saturating_mul(1_000)
    }

    async fn read_sender_rate(&self, workspace: WorkspaceId, id: SenderId) -> Result<u32, EngineError> {
        match self.0.catalog.get(Scope::Workspace(workspace), Kind::Sender, id.into()).await {
            Ok(Entity::Sender(sender)) => Ok(sender.rate_per_s),
            Ok(_) | Err(StoreError::NotFound) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    fn senders(&self) -> MutexGuard<'_, BTreeMap<SenderId, Rate>> {
        self.0.tenants.senders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn read_workspace(&self, id: WorkspaceId) -> Result<Workspace, EngineError> {
        match self.0.catalog.get(Scope::Platform, Kind::Workspace, id.into()).await? {
            Entity::Workspace(workspace) => Ok(workspace),
            _ => Err(StoreError::NotFound.into()),
        }
    }
}

/// Days that share one limit when the zone of a workspace changes at this moment: those whose charges may lie within
/// the present local day of either zone. What was charged keeps the day that it had.
fn days_of_change(before: &Zone, zone: &Zone, now: Timestamp) -> (Date, Date) {
    let (was, is) = (before.day_of(now), zone.day_of(now));
    let first = was.min(is).min(before.day_of(zone.day_start(is)));
    let end = before.day_end(was);
    // A day of the new zone that begins when the old one's ends has its own limit.
    let last_moment = end.checked_sub(SignedDuration::from_millis(1)).unwrap_or(end);
    (first, was.max(is).max(zone.day_of(last_moment)))
}

/// The calendar of a workspace; in UTC where nobody knows its zone, which the border refuses.
pub(crate) fn calendar_of(workspace: &Workspace) -> Calendar {
    let utc = || Workspace { time_zone: "UTC".to_owned(), ..workspace.clone() };
    Calendar::of(workspace)
        .or_else(|error| {
            tracing::error!(workspace = %workspace.id, %error, "its days are those of UTC");
            Calendar::of(&utc())
        })
        .expect("UTC is in the bundled data")
}
