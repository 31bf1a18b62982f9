//! I1 to I14 and I20, judged from outside: the simulators' ledgers against what the store holds.
//!
//! Nothing here asks the engine or uses its calendar: hours, days and rates are worked out again, the plain way.
//! To be read once the engine has shut down or settled. I5 (a durable intent before each submit) cannot be seen
//! from outside; the kill rounds prove it. I9 is judged by the time of approval, I10 by the stops that a test noted.
//! Settings of a workspace that were changed while it ran are judged as they were at each moment (`Stage::pasts`).

use crate::evidence::{Evidence, Trace};
use anyhow::{Context, ensure};
use bench::smsc::{Accept, MessageState};
use engine::ChannelConfig;
use engine::model::record::reason;
use engine::model::{
    CHUNK_RECIPIENTS, Campaign, Counts, DeliveryPolicy, Mode, Revision, Sender, SuppressionKind, UnitStatus,
    Workspace,
};
use engine::store::{Entity, Journal, Kind, Scope};
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// Burst of a rate, as a part of a second of it; at least one.
const BURST_PER_S: u64 = 20;
/// From the engine's write to the simulator's read in memory; on the rates' side it is time that a burst may take.
const WIRE_US: u64 = 20_000;

/// One accepted or refused part as a simulator saw it.
#[derive(Clone, Copy, Debug)]
struct Seen {
    at_us: u64,
    line: usize,
    destination: u64,
    part: u8,
    accept: Accept,
}

struct Case {
    campaign: Campaign,
    /// Its counts as the engine showed them last.
    shown: Option<Counts>,
    workspace: Workspace,
    /// What its settings were until when (microseconds since 1970), in order; the present ones are not among them.
    pasts: Vec<(u64, Workspace)>,
    revision: Revision,
    sender: Sender,
    numbers: Vec<u64>,
    units: BTreeMap<(u64, u8), UnitStatus>,
    /// Units that the engine settled by itself, with a reason of its own.
    explained: BTreeSet<(u64, u8)>,
    seen: Vec<Seen>,
    /// Parts whose final receipt the engine has taken.
    receipted: BTreeSet<(u64, u8)>,
    /// What receipts have said of parts, taken or not.
    told: BTreeSet<((u64, u8), MessageState)>,
}

/// Judges everything that was sent.
///
/// # Errors
/// With the first violation of each invariant, by its number.
pub async fn check(evidence: impl Into<Evidence>) -> anyhow::Result<()> {
    let stage = &evidence.into();
    let mut cases = Vec::new();
    for (id, counts) in &stage.campaigns {
        cases.push(Case::load(stage, stage.stored(*id).await?, *counts).await?);
    }
    let mut owner = BTreeMap::new();
    for (at, case) in cases.iter().enumerate() {
        for number in &case.numbers {
            ensure!(owner.insert(*number, at).is_none(), "I13: {number} is in two lists of the stage");
        }
    }
    for (line, Trace { ledger, zero_us, .. }) in stage.traces.iter().enumerate() {
        for submit in ledger.submits() {
            let at = owner.get(&submit.destination).context("I12: a submit to nobody's number")?;
            let source = ledger.source(submit);
            let content = &cases[*at].campaign.content;
            ensure!(
                source.addr == content.saddr.as_bytes()
                    && (source.ton, source.npi) == (content.ston, content.snpi),
                "I11: source {source:?} for {}",
                content.saddr
            );
            cases[*at].seen.push(Seen {
                at_us: zero_us + submit.time_us,
                line,
                destination: submit.destination,
                part: submit.part,
                accept: submit.accept,
            });
        }
    }
    for Trace { ledger, .. } in &stage.traces {
        let taken = ledger
            .acks()
            .iter()
            .filter(|ack| ack.owed && ack.status == 0 && ack.state != MessageState::Enroute);
        let taken: BTreeSet<_> = taken.map(|ack| ack.message_id).collect();
        for submit in ledger.accepted().filter(|submit| taken.contains(&submit.message_id)) {
            let at = owner.get(&submit.destination).context("I12: a submit to nobody's number")?;
            cases[*at].receipted.insert((submit.destination, submit.part));
        }
        let parts: BTreeMap<_, _> =
            ledger.accepted().map(|submit| (submit.message_id, (submit.destination, submit.part))).collect();
        for delivery in ledger.deliveries() {
            let Some(unit) = parts.get(&delivery.message_id) else { continue };
            let at = owner.get(&unit.0).context("I12: a receipt for nobody's number")?;
            cases[*at].told.insert((*unit, delivery.state));
        }
    }
    for case in &mut cases {
        case.seen.sort_by_key(|seen| seen.at_us);
        case.check(stage).with_context(|| case.campaign.name.clone())?;
    }
    if !stage.over_sockets {
        rates(&stage.traces.iter().map(|trace| &trace.channel).collect::<Vec<_>>(), &cases)?;
    }
    days_of_workspaces(&cases)?;
    windows(&stage.traces)
}

impl Case {
    async fn load(stage: &Evidence, campaign: Campaign, counts: Option<Counts>) -> anyhow::Result<Self> {
        let (scope, catalog) = (Scope::Workspace(campaign.workspace_id), &*stage.store);
        let get = |kind, id| engine::store::Catalog::get(catalog, scope, kind, id);
        let revision = get(Kind::Revision, engine::model::EntityId(campaign.content.revision_id)).await?;
        let Entity::Revision(revision) = revision else { anyhow::bail!("I11: no revision") };
        let Entity::Sender(sender) = get(Kind::Sender, revision.sender_id.into()).await? else {
            anyhow::bail!("I11: no sender")
        };
        let platform = Scope::Platform;
        let workspace =
            engine::store::Catalog::get(catalog, platform, Kind::Workspace, campaign.workspace_id.into());
        let Entity::Workspace(workspace) = workspace.await? else { anyhow::bail!("I12: no workspace") };
        let parts = u64::from(campaign.content.parts);
        let (mut numbers, mut units, mut explained) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
        let recipients = stage.store.header(campaign.no).await?.recipients;
        let chunks = recipients.div_ceil(CHUNK_RECIPIENTS as u64);
        for chunk in 0..u32::try_from(chunks)? {
            let of_chunk = stage.store.recipients(campaign.no, chunk).await?.numbers;
            if let Some(state) = stage.store.state(campaign.no, chunk).await? {
                let key = |unit: u64| -> anyhow::Result<_> {
                    Ok((of_chunk[usize::try_from(unit / parts)?], u8::try_from(unit % parts + 1)?))
                };
                for (unit, octet) in (0u64..).zip(&state.status) {
                    units.insert(key(unit)?, UnitStatus::from_octet(*octet).context("no status")?);
                }
                for (unit, _) in state.errors.iter().filter(|(_, code)| *code >= reason::OPTED_OUT) {
                    explained.insert(key(u64::from(*unit))?);
                }
            }
            numbers.extend(of_chunk);
        }
        // What has no column is queued; one that ended before it ever sent has none at all.
        let unsent = |c: Counts| c.cancelled + c.expired + c.failed == c.total;
        if !units.is_empty() || !campaign.counts.is_some_and(unsent) {
            for unit in numbers.iter().flat_map(|n| (1..=campaign.content.parts).map(|part| (*n, part))) {
                units.entry(unit).or_insert(UnitStatus::Queued);
            }
        }
        let of = stage.pasts.iter().filter(|past| past.workspace.id == workspace.id);
        let pasts = of.map(|past| (past.until_ms * 1000, past.workspace.clone())).collect();
        Ok(Self {
            campaign,
            shown: counts,
            workspace,
            pasts,
            revision,
            sender,
            numbers,
            units,
            explained,
            seen: Vec::new(),
            receipted: BTreeSet::new(),
            told: BTreeSet::new(),
        })
    }

    /// The workspace as it was at a moment.
    fn workspace_at(&self, at_us: u64) -> &Workspace {
        self.pasts.iter().find(|(until_us, _)| at_us < *until_us).map_or(&self.workspace, |(_, past)| past)
    }

    /// Every setting that it had, each with its first moment.
    fn eras<T>(&self, setting: impl Fn(&Workspace) -> T) -> Vec<(u64, T)> {
        let starts = std::iter::once(0).chain(self.pasts.iter().map(|(until_us, _)| *until_us));
        let settings = self.pasts.iter().map(|(_, past)| past).chain([&self.workspace]).map(setting);
        starts.zip(settings).collect()
    }

    fn check(&self, stage: &Evidence) -> anyhow::Result<()> {
        self.states()?;
        self.accepted_once()?;
        self.shown()?;
        self.days()?;
        self.ways(stage)?;
        if !stage.over_sockets {
            self.hours()?;
            self.hushed(stage)?;
        }
        self.approval_and_stops(stage)?;
        self.plan()
    }

    /// I1, I2: a campaign that has ended has nothing open, and its counters add up.
    fn states(&self) -> anyhow::Result<()> {
        if !self.campaign.status.is_final() {
            return Ok(());
        }
        for (unit, status) in &self.units {
            ensure!(status.is_settled(), "I1: {unit:?} is {status:?} in a campaign that has ended");
            let waits = self.campaign.content.receipts && *status == UnitStatus::Sent;
            ensure!(!waits || !self.campaign.receipts_over, "I1: {unit:?} waits, but receipts are over");
        }
        let c = self.campaign.counts.context("I2: ended without counts")?;
        let sum: u64 = by_status(&c).iter().map(|(_, count)| count).sum();
        ensure!(sum == c.total && c.total == self.numbers.len() as u64, "I2: {c:?}");
        Ok(())
    }

    /// I2: what the engine shows of a message of one part is what its units are.
    fn shown(&self) -> anyhow::Result<()> {
        let is_plain = self.campaign.content.parts == 1 && !self.units.is_empty();
        let Some(c) = self.shown.filter(|_| is_plain) else { return Ok(()) };
        ensure!(c.total == self.numbers.len() as u64, "I2: {c:?} of {}", self.numbers.len());
        for (status, count) in by_status(&c) {
            let found = self.units.values().filter(|s| **s == status).count() as u64;
            ensure!(found == count, "I2: {found} units are {status:?}, {c:?}");
        }
        Ok(())
    }

    /// I3, I4, and the account against the ledger.
    fn accepted_once(&self) -> anyhow::Result<()> {
        let mut accepted: BTreeMap<(u64, u8), u32> = BTreeMap::new();
        let mut refused = BTreeSet::new();
        for seen in &self.seen {
            let unit = (seen.destination, seen.part);
            ensure!(self.units.contains_key(&unit), "I12: {unit:?} is no unit");
            match seen.accept {
                Accept::Accepted => *accepted.entry(unit).or_default() += 1,
                Accept::Refused => drop(refused.insert(unit)),
            }
        }
        for (unit, count) in &accepted {
            let once = self.campaign.delivery_policy == DeliveryPolicy::AtLeastOnce || *count == 1;
            ensure!(once, "I3: {unit:?} was accepted {count} times");
        }
        for (unit, status) in &self.units {
            let count = accepted.get(unit).copied().unwrap_or(0);
            let once = self.campaign.delivery_policy == DeliveryPolicy::AtMostOnce;
            let told = |state| self.told.contains(&(*unit, state));
            let fits = match status {
                UnitStatus::Sent => count >= 1,
                UnitStatus::Delivered => told(MessageState::Delivered),
                UnitStatus::Undeliverable => told(MessageState::Undeliverable),
                UnitStatus::Absent => count == 0,
                // What is sent again may have been accepted before, and be given up the second time.
                UnitStatus::Queued | UnitStatus::Cancelled | UnitStatus::Skipped | UnitStatus::Failed => {
                    count == 0 || !once
                }
                // By a receipt, by the end of its time or by an answer.
                UnitStatus::Expired => count == 0 || !once || told(MessageState::Expired),
                UnitStatus::Rejected => count == 0 || !once || told(MessageState::Rejected),
                // What is sent at least once is sent again instead, but for one whose receipt never came.
                UnitStatus::Unknown => once || (self.campaign.content.receipts && count >= 1),
                UnitStatus::Intended => true,
            };
            // By a receipt, by the answer, or by the engine, which says why.
            let has_cause = match status {
                UnitStatus::Expired => count >= 1 || self.explained.contains(unit),
                UnitStatus::Rejected | UnitStatus::Failed => {
                    count >= 1 || refused.contains(unit) || self.explained.contains(unit)
                }
                _ => true,
            };
            ensure!(fits && has_cause, "I4: {unit:?} is {status:?}, accepted {count} times");
            // Of a part that was accepted twice the receipt may be the other one's.
            let lost = *status == UnitStatus::Sent && count == 1 && self.receipted.contains(unit);
            ensure!(!lost, "I4: {unit:?} is {status:?}, but its receipt was taken");
        }
        Ok(())
    }

    /// I6: nothing outside of the campaign's window or inside of the workspace's quiet hours.
    fn hours(&self) -> anyhow::Result<()> {
        let rules = &self.campaign.content.rules;
        let own = TimeZone::get(&rules.schedule.time_zone)?;
        let house = TimeZone::get(&self.workspace.time_zone)?;
        for seen in &self.seen {
            let at = instant(seen.at_us)?;
            // A write in the last moment is read in the next.
            let before = instant(seen.at_us - WIRE_US)?;
            let local = at.to_zoned(own.clone());
            if let Some(start) = rules.schedule.start_at {
                ensure!(at >= resolved(&own, start)?, "I6: sent at {local}, starts at {start}");
            }
            if let Some(window) = rules.schedule.window {
                let (from, to) = (resolved(&own, window.from)?, resolved(&own, window.to)?);
                ensure!(at >= from && before < to, "I6: sent at {local}, window {window:?}");
            }
            let free = rules.ignore_daily_window && self.campaign.mode == Mode::Trigger;
            let is_quiet = |at: jiff::Timestamp, at_us| {
                let time = at.to_zoned(house.clone()).time();
                self.workspace_at(at_us).quiet_hours.is_some_and(|q| is_quiet(time, q.from, q.to))
            };
            let both = is_quiet(at, seen.at_us) && is_quiet(before, seen.at_us - WIRE_US);
            let quiet = self.workspace_at(seen.at_us).quiet_hours;
            ensure!(free || !both, "I6: sent at {} in quiet hours {quiet:?}", at.to_zoned(house.clone()));
        }
        Ok(())
    }

    /// I12: only channels that the workspace may use, and the one that the campaign asks for.
    fn ways(&self, stage: &Evidence) -> anyhow::Result<()> {
        let only = &self.campaign.content.rules.channel;
        for seen in &self.seen {
            let ChannelConfig { name, workspaces, .. } = &stage.traces[seen.line].channel;
            let may = workspaces.is_empty() || workspaces.contains(&self.workspace.id);
            ensure!(may && only.as_ref().is_none_or(|only| only == name), "I12: sent by way of {name}");
        }
        Ok(())
    }

    /// Nothing is begun for a number whose suppression was acknowledged.
    fn hushed(&self, stage: &Evidence) -> anyhow::Result<()> {
        let transactional = self.campaign.content.rules.transactional;
        for list in &stage.hushed {
            let concerns = list.scope == Scope::Platform || list.scope == Scope::Workspace(self.workspace.id);
            if !concerns || (transactional && list.kind == SuppressionKind::OptOut) {
                continue;
            }
            let behind = |s: &&Seen| s.at_us > list.at_ms * 1000 + WIRE_US;
            let sent = self.seen.iter().filter(behind).find(|s| list.numbers.contains(&s.destination));
            ensure!(sent.is_none(), "suppression: {sent:?} behind {}", list.at_ms);
        }
        Ok(())
    }

    /// Recipients by the local day of their first accepted part; those whose part was read so soon behind midnight
    /// that it may have been written before are counted for neither day.
    fn by_day(&self) -> anyhow::Result<BTreeMap<Date, u64>> {
        let zone = TimeZone::get(&self.workspace.time_zone)?;
        let (mut days, mut known): (BTreeMap<Date, u64>, _) = (BTreeMap::new(), BTreeSet::new());
        for seen in self.seen.iter().filter(|s| s.accept == Accept::Accepted) {
            if known.insert(seen.destination) {
                let day = instant(seen.at_us)?.to_zoned(zone.clone()).date();
                let written = instant(seen.at_us - WIRE_US)?.to_zoned(zone.clone()).date();
                *days.entry(day).or_default() += u64::from(day == written);
            }
        }
        Ok(days)
    }

    /// Recipients by the day that they count for. What is sent at least once may have been sent on a day before the
    /// SMSC saw it first, and counts for that one: then the campaign's own account tells, and must be no later.
    fn counted(&self) -> anyhow::Result<BTreeMap<Date, u64>> {
        let seen = self.by_day()?;
        if self.campaign.delivery_policy == DeliveryPolicy::AtMostOnce || self.campaign.charged.is_empty() {
            return Ok(seen);
        }
        let charged: BTreeMap<Date, u64> = self.campaign.charged.iter().copied().collect();
        for day in seen.keys() {
            let (sent, paid): (u64, u64) =
                (seen.range(..=*day).map(|d| d.1).sum(), charged.range(..=*day).map(|d| d.1).sum());
            ensure!(sent <= paid, "I8: {sent} by {day}, {paid} charged");
        }
        Ok(charged)
    }

    /// I8, for the campaign.
    fn days(&self) -> anyhow::Result<()> {
        let Some(limit) = self.campaign.content.rules.daily_limit else { return Ok(()) };
        for (day, recipients) in self.counted()? {
            ensure!(recipients <= limit, "I8: {recipients} on {day}, limit {limit}");
        }
        Ok(())
    }

    /// I9, I10, I11.
    fn approval_and_stops(&self, stage: &Evidence) -> anyhow::Result<()> {
        let content = &self.campaign.content;
        let same = (&self.revision.saddr, self.revision.ston, self.revision.snpi)
            == (&content.saddr, content.ston, content.snpi);
        ensure!(same && self.revision.workspace_id == self.campaign.workspace_id, "I11: another revision");
        let Some(first) = self.seen.first() else { return Ok(()) };
        let approved = self.campaign.approvals.iter().map(|a| a.at).max().context("I9: never approved")?;
        ensure!(self.campaign.is_approved(), "I9: what was sent is not what was approved");
        ensure!(instant(first.at_us)? >= approved, "I9: sent before its approval");
        for stop in stage.stops.iter().filter(|stop| stop.campaign == self.campaign.id) {
            let before = || self.seen.partition_point(|s| s.at_us <= stop.at_us + WIRE_US);
            let next = self.seen.get(stop.written.unwrap_or_else(before));
            let begun_us = stage.resumed_behind(stop).unwrap_or(u64::MAX);
            ensure!(next.is_none_or(|s| s.at_us >= begun_us), "I10: {next:?} behind {stop:?}");
        }
        Ok(())
    }

    /// I20: with a first plan that was kept, each row goes out on its day and not before its second.
    fn plan(&self) -> anyhow::Result<()> {
        let Some(plan) = self.campaign.plan.as_ref().filter(|_| self.campaign.mode == Mode::Spread) else {
            return Ok(());
        };
        let planned: u64 = plan.spans.iter().map(|span| span.rows).sum();
        let covered: u64 = plan.rows.iter().map(|(_, count)| count).sum();
        ensure!(planned == covered, "I20: {planned} rows planned, {covered} covered");
        if plan.version > 1 {
            return Ok(());
        }
        ensure!(planned == self.numbers.len() as u64, "I20: {planned} of {} rows", self.numbers.len());
        let mut due = 0;
        let mut firsts: Vec<u64> = first_times(&self.seen);
        firsts.sort_unstable();
        for span in &plan.spans {
            due += span.rows;
            let by_then =
                firsts.partition_point(|at_us| i128::from(*at_us) < i128::from(span.to_s) * 1_000_000);
            ensure!(by_then as u64 <= due, "I20: {by_then} by the end of {span:?}, {due} were due");
        }
        Ok(())
    }
}

fn by_status(c: &Counts) -> [(UnitStatus, u64); 11] {
    [
        (UnitStatus::Queued, c.queued),
        (UnitStatus::Intended, c.in_flight),
        (UnitStatus::Sent, c.sent),
        (UnitStatus::Delivered, c.delivered),
        (UnitStatus::Undeliverable, c.undeliverable),
        (UnitStatus::Rejected, c.rejected),
        (UnitStatus::Expired, c.expired),
        (UnitStatus::Cancelled, c.cancelled),
        (UnitStatus::Skipped, c.skipped),
        (UnitStatus::Failed, c.failed),
        (UnitStatus::Unknown, c.unknown),
    ]
}

fn first_times(seen: &[Seen]) -> Vec<u64> {
    let mut first = BTreeMap::new();
    for s in seen {
        first.entry(s.destination).or_insert(s.at_us);
    }
    first.into_values().collect()
}

/// Rates, each with the first moment from which it held.
type Eras = Vec<(u64, u32)>;

/// I7 for channels, senders and workspaces: `rate * d + burst` over every interval.
fn rates(channels: &[&ChannelConfig], cases: &[Case]) -> anyhow::Result<()> {
    let mut by_line: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    let mut by_workspace: BTreeMap<_, (Eras, Vec<u64>)> = BTreeMap::new();
    let mut by_sender: BTreeMap<_, (u32, Vec<u64>)> = BTreeMap::new();
    for case in cases {
        let of_workspace = by_workspace.entry(case.workspace.id).or_default();
        of_workspace.0 = case.eras(|workspace| workspace.rate_per_s);
        of_workspace.1.extend(case.seen.iter().map(|s| s.at_us));
        let of_sender = by_sender.entry(case.sender.id).or_default();
        of_sender.0 = case.sender.rate_per_s;
        of_sender.1.extend(case.seen.iter().map(|s| s.at_us));
        for seen in &case.seen {
            by_line.entry(seen.line).or_default().push(seen.at_us);
        }
    }
    for (line, times) in by_line {
        within(&[(0, channels[line].rate_per_s)], times).with_context(|| channels[line].name.clone())?;
    }
    for (workspace, (eras, times)) in by_workspace {
        within(&eras, times).with_context(|| format!("workspace {workspace}"))?;
    }
    for (sender, (rate, times)) in by_sender {
        within(&[(0, rate)], times).with_context(|| format!("sender {sender}"))?;
    }
    Ok(())
}

/// A bucket that gets everything that it may have got must never be overdrawn. Each era is the moment from which
/// its rate held: what was spent under one stays spent under the next, unless there was no limit.
fn within(eras: &[(u64, u32)], mut times: Vec<u64>) -> anyhow::Result<()> {
    times.sort_unstable();
    let ends = eras.iter().skip(1).map(|(from, _)| *from).chain([u64::MAX]);
    // What the era before left of its tokens, and what it could have kept at most.
    let mut left = Some((u64::MAX, 0));
    for ((from, rate_per_s), end) in eras.iter().zip(ends) {
        if *rate_per_s == 0 {
            left = None;
            continue;
        }
        let rate = u64::from(*rate_per_s);
        let full = ((rate / BURST_PER_S).max(1)) * 1_000_000 + rate * WIRE_US;
        // For so long the wire may bring what was written under the era before.
        let echo_until = from + WIRE_US;
        let most =
            |at: u64| left.map_or(full, |(_, before)| if at <= echo_until { full.max(before) } else { full });
        let mut tokens = left.map_or(full, |(left, _)| left.saturating_add(rate * WIRE_US)).min(most(*from));
        let mut last = *from;
        let first = times.partition_point(|at| at < from);
        for at in times[first..].iter().copied().take_while(|at| *at < end) {
            if left.is_none() && at <= echo_until && *from > 0 {
                continue;
            }
            tokens = (tokens + (at - last).saturating_mul(rate)).min(most(at));
            last = at;
            let upto = times.partition_point(|time| *time <= at);
            let last_ones = &times[upto.saturating_sub(8)..upto];
            ensure!(tokens >= 1_000_000, "I7: more than {rate_per_s} a second at {at}: {last_ones:?}");
            tokens -= 1_000_000;
        }
        left = Some(((tokens + end.saturating_sub(last).saturating_mul(rate)).min(full), full));
    }
    Ok(())
}

/// I8 for workspaces: on each day the greatest limit that held in it.
fn days_of_workspaces(cases: &[Case]) -> anyhow::Result<()> {
    let mut used: BTreeMap<_, (&Case, BTreeMap<Date, u64>)> = BTreeMap::new();
    for case in cases {
        let days = &mut used.entry(case.workspace.id).or_insert((case, BTreeMap::new())).1;
        for (day, recipients) in case.counted()? {
            *days.entry(day).or_default() += recipients;
        }
    }
    for (workspace, (case, days)) in used {
        let zone = TimeZone::get(&case.workspace.time_zone)?;
        let eras = case.eras(|workspace| workspace.daily_limit);
        for (day, count) in days {
            let start = day.to_zoned(zone.clone())?.timestamp().as_microsecond();
            let end = day.tomorrow()?.to_zoned(zone.clone())?.timestamp().as_microsecond();
            let (start, end) = (u64::try_from(start)?, u64::try_from(end)?);
            let until = eras.iter().skip(1).map(|(from, _)| *from).chain([u64::MAX]);
            let of_day = eras.iter().zip(until).filter(|((from, _), until)| *from < end && *until > start);
            let limit = of_day.map(|((_, limit), _)| limit.unwrap_or(u64::MAX)).max().unwrap_or(u64::MAX);
            let of_case = |case: &&Case| case.workspace.id == workspace;
            let charged =
                |case: &Case| (case.campaign.name.clone(), case.campaign.charged.clone(), case.by_day());
            let told: Vec<_> = cases.iter().filter(of_case).map(charged).collect();
            ensure!(count <= limit, "I8: {count} of workspace {workspace} on {day}, limit {limit}: {told:?}");
        }
    }
    Ok(())
}

/// I14: sequence numbers of a connection are legal and not used twice (no ledger here wraps), and never is more
/// unanswered than the window holds. What waits longer than half of the response timeout may have been given up.
fn windows(traces: &[Trace]) -> anyhow::Result<()> {
    for Trace { ledger, channel, .. } in traces {
        let patience_us = u64::try_from(channel.response_timeout.as_micros())? / 2;
        let (mut known, mut open) = (BTreeSet::new(), BTreeMap::new());
        for submit in ledger.submits() {
            ensure!((1..=0x7FFF_FFFF).contains(&submit.sequence), "I14: sequence {}", submit.sequence);
            let fresh = known.insert((submit.connection, submit.sequence));
            ensure!(fresh, "I14: sequence {} twice", submit.sequence);
            let open: &mut BinaryHeap<Reverse<u64>> = open.entry(submit.connection).or_default();
            while open.peek().is_some_and(|Reverse(end_us)| *end_us <= submit.time_us) {
                open.pop();
            }
            open.push(Reverse(submit.answer_us.min(submit.time_us + patience_us)));
            ensure!(open.len() <= channel.window as usize, "I14: {} unanswered at {submit:?}", open.len());
        }
    }
    Ok(())
}

/// The instant of a local time: of two the first, and behind a gap for one in it.
fn resolved(zone: &TimeZone, local: DateTime) -> anyhow::Result<jiff::Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(local);
    let is_gap = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
    let first = ambiguous.earlier()?;
    Ok(if is_gap { zone.following(first).next().context("I6: no change")?.timestamp() } else { first })
}

fn is_quiet(time: Time, from: Time, to: Time) -> bool {
    if from <= to { time >= from && time < to } else { time >= from || time < to }
}

fn instant(at_us: u64) -> anyhow::Result<jiff::Timestamp> {
    Ok(jiff::Timestamp::from_microsecond(i64::try_from(at_us)?)?)
}
