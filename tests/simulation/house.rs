//! A house of several workspaces, campaigns of all modes and channels on virtual time, and everything that goes wrong
//! in it by seed; judged by the invariants and by the promise that everything ends once nothing goes wrong any more.

use super::chance::Chance;
use super::guests;
use super::world::Digest;
use bench::smsc::{Fault, FaultRule};
use engine::Push;
use engine::model::{CampaignId, Mode, Status, SuppressionKind};
use engine::seed::Seed;
use engine::store::{Journal, Scope};
use std::collections::BTreeMap;
use std::time::Duration;
use tempfile::TempDir;
use tests::invariants;
use tests::outfit::pass;
use tests::stage::{Disturbance, Hushed, Stage, place};
use tokio::time::Instant;

/// Virtual time from one look to the next, once the faults are over.
const LOOK: Duration = Duration::from_secs(120);
const DAY: Duration = Duration::from_secs(86_400);

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) trace: u64,
    pub(super) simulated_s: u64,
    pub(super) summary: String,
}

/// Numbers handed to a Trigger campaign.
#[derive(Default)]
struct Pushed {
    tried: u64,
    acknowledged: Vec<u64>,
}

/// A campaign as the house knows it.
#[derive(Clone, Copy)]
struct Guest {
    id: CampaignId,
    owner: usize,
    mode: Mode,
    first: u64,
    recipients: u64,
}

pub(super) struct House {
    stage: Stage,
    directory: TempDir,
    chance: Chance,
    people: Vec<Seed>,
    guests: Vec<Guest>,
    pushed: BTreeMap<CampaignId, Pushed>,
    /// Until when lines are down or out of sorts, milliseconds since 1970; 0 for well.
    trouble_until: Vec<u64>,
    usual: Vec<bench::smsc::Config>,
    begun: Instant,
    /// What happened, for people.
    story: Vec<String>,
}

/// Runs one seed on a runtime of its own.
pub(super) fn run(seed: u64) -> anyhow::Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(async {
        let mut house = House::build(seed).await?;
        let ended = Box::pin(house.live()).await;
        if asked_for_story() {
            house.tell();
        }
        ended?;
        Box::pin(house.reckon()).await
    })
}

fn asked_for_story() -> bool {
    std::env::var("MC_SIM_STORY").is_ok()
}

impl House {
    async fn build(seed: u64) -> anyhow::Result<Self> {
        let mut chance = Chance(seed ^ 0x5eed_4005_e000_0000);
        let directory = place()?;
        let at = guests::beginning(&mut chance)?;
        let lines = guests::lines(seed, &mut chance)?;
        let usual = usual(&lines);
        let trouble_until = vec![0; lines.len()];
        let begun = Instant::now();
        let mut stage = Stage::new(directory.path(), at, lines).await?;
        let mut people = Vec::new();
        for n in 0..=chance.below(4) {
            let seed = stage.workspace(&format!("house-{n}"), |w| guests::settle_in(w, &mut chance)).await?;
            stage.sender_rate(&seed, guests::rate(&mut chance)).await?;
            people.push(seed);
        }
        let disturbance = Disturbance {
            delay: Duration::from_millis(chance.below(60)),
            seed,
            faults_per_mille: u16::try_from(chance.below(20))?,
        };
        stage.rearrange(seed, disturbance, |at, channel| {
            if at > 0 && chance.one_in(3) {
                channel.workspaces = vec![chance.pick(&people).workspace];
            }
        });
        stage.restart().await?;
        let (guests, pushed, story) = (Vec::new(), BTreeMap::new(), Vec::new());
        Ok(Self { stage, directory, chance, people, guests, pushed, trouble_until, usual, begun, story })
    }

    /// Everything up to the last shutdown.
    async fn live(&mut self) -> anyhow::Result<()> {
        let campaigns = self.chance.within(2, 10);
        for _ in 0..campaigns.div_ceil(2) {
            self.invite().await?;
        }
        for _ in 0..self.chance.within(15, 50) {
            let scale = *self.chance.pick(&[100, 1_000, 10_000, 60_000, 600_000, 3_600_000]);
            pass(Duration::from_millis(1 + self.chance.below(2 * scale))).await;
            self.mend(false).await?;
            if (self.guests.len() as u64) < campaigns && self.chance.one_in(4) {
                self.invite().await?;
            }
            self.push().await?;
            self.trouble().await?;
        }
        self.calm().await?;
        self.come_to_an_end().await?;
        self.stage.engine.settle().await?;
        self.stage.engine.clone().shutdown().await;
        Ok(())
    }

    fn note(&mut self, what: impl Into<String>) {
        self.story.push(format!("{} {}", self.stage.now(), what.into()));
    }

    #[expect(clippy::print_stdout, reason = "asked for")]
    fn tell(&self) {
        for line in &self.story {
            println!("  {line}");
        }
    }

    /// A campaign more; one that cannot be built is `Failed` and stays what it is.
    async fn invite(&mut self) -> anyhow::Result<()> {
        let place = self.stage.campaigns.len();
        let owner = usize::try_from(self.chance.below(self.people.len() as u64))?;
        let first = guests::first_number(place, &mut self.chance);
        let script = guests::script(self.stage.now(), &self.stage.lines, first, &mut self.chance);
        let seed = self.people[owner].clone();
        let built = self.stage.campaign(&seed, &script).await;
        let id = self.stage.campaigns[place].0;
        self.guests.push(Guest { id, owner, mode: script.mode, first, recipients: script.recipients });
        self.note(format!(
            "campaign {place} of {owner} {:?} {} recipients {} octets {:?} receipts {} from {first}: {:?} {:?}",
            script.mode,
            script.recipients,
            script.text.len(),
            script.policy,
            script.receipts,
            script.rules,
            built.as_ref().err().map(|error| format!("{error:#}")),
        ));
        if script.mode != Mode::OnTime || self.chance.one_in(2) {
            // It may be started, or not be built.
            let _ = self.stage.engine.start_campaign(seed.workspace, id, &seed.author()).await;
        }
        Ok(())
    }

    async fn push(&mut self) -> anyhow::Result<()> {
        for guest in self.guests.clone().into_iter().filter(|guest| guest.mode == Mode::Trigger) {
            if self.chance.one_in(3) {
                continue;
            }
            let pushed = self.pushed.entry(guest.id).or_default();
            let from = guest.first + pushed.tried;
            let count = *self.chance.pick(&[1, 1, 2, 10, 60]);
            pushed.tried += count;
            let numbers: Vec<u64> = (from..from + count).collect();
            let items = numbers.iter().map(|number| Push { number: *number, values: Vec::new() }).collect();
            let seed = &self.people[guest.owner];
            if self.stage.engine.push(seed.workspace, guest.id, items, &seed.author()).await.is_ok() {
                pushed.acknowledged.extend(numbers);
            }
        }
        Ok(())
    }

    async fn trouble(&mut self) -> anyhow::Result<()> {
        let line = usize::try_from(self.chance.below(self.stage.lines.len() as u64))?;
        let guest = *self.chance.pick(&self.guests);
        let seed = self.people[guest.owner].clone();
        let what = self.chance.below(21);
        self.note(format!("trouble {what} line {line} {}", guest.id));
        match what {
            0 | 1 => self.stage.lines[line].smsc.drop_connections(),
            2 => self.fail_line(line, true).await?,
            3 | 4 => self.fail_line(line, false).await?,
            5 => self.stage.restart().await?,
            6 => self.crash().await?,
            7 => drop(self.stage.pause(&seed, guest.id).await),
            8 | 9 => drop(self.stage.resume(&seed, guest.id).await),
            10 if self.chance.one_in(3) => drop(self.stage.cancel(&seed, guest.id).await),
            11 | 12 => self.suppress(guest, &seed).await,
            13 => self.change(&seed).await?,
            14 => {
                if let Some(faults) = &self.stage.faults {
                    faults.fail_calls_for(Duration::from_millis(self.chance.below(20_000)));
                }
            }
            10 | 15 | 16 => self.pause_and_resume(&seed, guest.id).await,
            17 => self.begin_or_finish(&seed, guest).await,
            _ => self.race(&seed, guest).await?,
        }
        Ok(())
    }

    async fn pause_and_resume(&mut self, seed: &Seed, id: CampaignId) {
        if self.stage.pause(seed, id).await.is_ok() {
            pass(Duration::from_millis(self.chance.below(5_000))).await;
            // The campaign may have ended meanwhile.
            let _ = self.stage.resume(seed, id).await;
        }
    }

    /// Whatever its status allows; the others refuse.
    async fn begin_or_finish(&self, seed: &Seed, guest: Guest) {
        let (engine, by) = (&self.stage.engine, seed.author());
        if engine.start_campaign(seed.workspace, guest.id, &by).await.is_err() {
            let _ = engine.finish(seed.workspace, guest.id, &by).await;
        }
    }

    /// A command is under way while something else happens; what it promised holds when it says that it was done.
    async fn race(&mut self, seed: &Seed, guest: Guest) -> anyhow::Result<()> {
        let (engine, workspace, id, by) =
            (self.stage.engine.clone(), seed.workspace, guest.id, seed.author());
        let (asked, asked_ms) = (Instant::now(), self.stage.now_ms());
        let what = self.chance.below(4);
        self.note(format!("race {what}"));
        let known = self.pushed.entry(id).or_default();
        let from = guest.first + if guest.mode == Mode::Trigger { known.tried } else { 0 };
        let numbers: Vec<u64> = (from..from + self.chance.within(1, 40)).collect();
        if what == 2 && guest.mode == Mode::Trigger {
            known.tried += numbers.len() as u64;
        }
        let items = numbers.iter().map(|number| Push { number: *number, values: Vec::new() }).collect();
        let (list, scope) = (numbers.clone(), Scope::Workspace(workspace));
        let kind = SuppressionKind::Block;
        let command = tokio::spawn(async move {
            let done = match what {
                0 => engine.pause(workspace, id, &by).await.is_ok(),
                1 => engine.cancel(workspace, id, &by).await.is_ok(),
                2 => engine.push(workspace, id, items, &by).await.is_ok(),
                _ => engine.suppress(scope, list, (kind, "race"), &by).await.is_ok(),
            };
            (done, Instant::now())
        });
        match self.chance.one_in(2) {
            true => pass(Duration::from_millis(self.chance.below(30))).await,
            false => tokio::task::yield_now().await,
        }
        match self.chance.below(3) {
            0 => self.stage.restart().await?,
            1 => self.stage.lines.iter().for_each(|line| line.smsc.drop_connections()),
            _ => self.change(seed).await?,
        }
        let (done, at) = command.await?;
        let at_ms = asked_ms + u64::try_from((at - asked).as_millis())?;
        match what {
            _ if !done => {}
            0 | 1 => self.stage.stops.push((id, at_ms)),
            2 => self.pushed.entry(id).or_default().acknowledged.extend(numbers),
            _ => self.stage.hushed.push(Hushed { scope, numbers, kind, at_ms }),
        }
        Ok(())
    }

    async fn crash(&mut self) -> anyhow::Result<()> {
        let directory = place()?;
        self.stage.crash(directory.path(), self.directory.path()).await?;
        self.directory = directory;
        self.mend(true).await
    }

    /// A line is down, or its SMSC out of sorts, for a while.
    async fn fail_line(&mut self, line: usize, down: bool) -> anyhow::Result<()> {
        let for_s = *self.chance.pick(&[5, 60, 600, 7_200, 20_000]);
        let until = self.stage.now_ms() + self.chance.below(for_s * 1000);
        self.trouble_until[line] = self.trouble_until[line].max(until);
        let smsc = self.stage.lines[line].smsc.clone();
        if down {
            return Ok(smsc.set_down(true).await?);
        }
        let fault =
            *self.chance.pick(&[Fault::Throttled, Fault::SysErr, Fault::QueueFull, Fault::NoResponse]);
        let share = *self.chance.pick(&[0.3, 0.7]);
        let latency_us = *self.chance.pick(&[5_000, 1_000_000, 10_000_000, 40_000_000]);
        let rate_per_s = *self.chance.pick(&[0, 0, 1, 5]);
        smsc.update(|config| {
            config.faults = vec![FaultRule::new(fault, share)];
            config.latency_us = latency_us;
            config.rate_per_s = rate_per_s;
        })?;
        Ok(())
    }

    /// Lines whose trouble is over, or all of them.
    async fn mend(&mut self, all: bool) -> anyhow::Result<()> {
        let now_ms = self.stage.now_ms();
        for (at, until) in self.trouble_until.iter_mut().enumerate() {
            if *until > 0 && (all || *until <= now_ms) {
                *until = 0;
                self.stage.lines[at].smsc.set_down(false).await?;
                let usual = self.usual[at].clone();
                self.stage.lines[at].smsc.update(|config| *config = usual)?;
            }
        }
        Ok(())
    }

    async fn suppress(&mut self, guest: Guest, seed: &Seed) {
        let known = guest.recipients + self.pushed.get(&guest.id).map_or(0, |pushed| pushed.tried);
        let count = self.chance.within(1, 30);
        let numbers = (0..count).map(|_| guest.first + self.chance.below(known + 5)).collect();
        let kind = *self.chance.pick(&SuppressionKind::ALL);
        let everywhere = self.chance.one_in(4);
        let scope = if everywhere { Scope::Platform } else { Scope::Workspace(seed.workspace) };
        // What was not acknowledged promises nothing.
        let _ = self.stage.suppress(seed, scope, numbers, kind).await;
    }

    async fn change(&mut self, seed: &Seed) -> anyhow::Result<()> {
        let chance = &mut self.chance;
        let what = chance.below(4);
        self.stage
            .change(seed, |workspace| match what {
                0 => workspace.quiet_hours = guests::quiet_hours(chance),
                1 => workspace.daily_limit = guests::daily_limit(chance),
                2 => workspace.rate_per_s = guests::rate(chance),
                _ => workspace.weight = chance.few(1, 5),
            })
            .await
    }

    /// Nothing goes wrong any more, and nothing waits for a person.
    async fn calm(&mut self) -> anyhow::Result<()> {
        self.note("calm");
        for config in &mut self.usual {
            config.faults.clear();
        }
        self.trouble_until.fill(1);
        self.mend(true).await?;
        self.stage.heal();
        for line in &self.stage.lines {
            line.smsc.drop_connections();
        }
        pass(Duration::from_secs(30)).await;
        for guest in self.guests.clone() {
            let seed = self.people[guest.owner].clone();
            if self.stage.stored(guest.id).await?.status == Status::Building {
                // The store was away when it was to be built; one that cannot be sent is `Failed` now.
                let _ = self.stage.engine.build(seed.workspace, guest.id, &seed.author()).await;
            }
            let campaign = self.stage.stored(guest.id).await?;
            if campaign.status == Status::Pending && !campaign.started {
                // Its time may be over: the calendar ends it then.
                let _ = self.stage.engine.start_campaign(seed.workspace, guest.id, &seed.author()).await;
            }
            if campaign.status == Status::Paused {
                self.stage.resume(&seed, guest.id).await?;
            }
            if guest.mode == Mode::Trigger && !campaign.status.is_final() && !campaign.finished {
                self.stage.engine.finish(seed.workspace, guest.id, &seed.author()).await?;
            }
        }
        Ok(())
    }

    /// I18: in the time that the longest window and the tightest daily limit take, and three days.
    async fn come_to_an_end(&mut self) -> anyhow::Result<()> {
        let people: u64 = self.guests.iter().map(|g| g.recipients).sum::<u64>()
            + self.pushed.values().map(|p| p.tried).sum::<u64>();
        let days = 3 + 3 + people / 40;
        let end = Instant::now() + DAY * u32::try_from(days)?;
        for guest in &self.guests {
            loop {
                let campaign = self.stage.stored(guest.id).await?;
                if campaign.status.is_final() && campaign.counts.is_some() {
                    break;
                }
                anyhow::ensure!(
                    Instant::now() < end,
                    "I18: {} {:?} is {} {:?} {days} days after the last fault: {:?} {:?}",
                    campaign.name,
                    campaign.mode,
                    campaign.status,
                    self.stage.engine.hold_reason(guest.id),
                    self.stage.counts(guest.id),
                    self.stage.engine.channels()
                );
                pass(LOOK).await;
            }
        }
        for line in &self.stage.lines {
            while line.smsc.stats().receipts_open() > 0 {
                anyhow::ensure!(Instant::now() < end, "I18: receipts are open: {:?}", line.smsc.stats());
                pass(LOOK).await;
            }
        }
        Ok(())
    }

    /// Judges and hashes what was seen.
    async fn reckon(self) -> anyhow::Result<Report> {
        let simulated_s = self.begun.elapsed().as_secs();
        let (mut hash, mut statuses) = (Digest::default(), BTreeMap::<_, u32>::new());
        for (ledger, _) in self.stage.ledgers() {
            hash.ledger(&ledger);
        }
        for guest in &self.guests {
            let campaign = self.stage.stored(guest.id).await?;
            *statuses.entry(campaign.status.to_string()).or_default() += 1;
            hash.line(format_args!("{:?} {:?}", campaign.status, campaign.counts));
            if let Some(pushed) = self.pushed.get(&guest.id).filter(|_| guest.mode == Mode::Trigger) {
                let stored = self.stage.store.header(campaign.no).await?.recipients;
                let (least, most) = (pushed.acknowledged.len() as u64, pushed.tried);
                anyhow::ensure!((least..=most).contains(&stored), "push: {stored} of {least} to {most}");
            }
        }
        invariants::check(&self.stage).await?;
        let submits: usize = self.stage.ledgers().iter().map(|(ledger, _)| ledger.submits().len()).sum();
        Ok(Report { trace: hash.done(), simulated_s, summary: format!("{submits} submits {statuses:?}") })
    }
}

fn usual(lines: &[tests::stage::Line]) -> Vec<bench::smsc::Config> {
    let mut configs = Vec::new();
    for line in lines {
        // Setting them to what they are tells them.
        let _ = line.smsc.update(|config| configs.push(config.clone()));
    }
    configs
}
