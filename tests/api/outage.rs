//! The store takes nothing for a while: what people do that must be on record is on record all the same, each thing once
//! and in order; what cannot be recorded as a change is refused; and a power cut in between changes nothing of it.

use super::people::{self, Address, Team};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tests::service::{Client, DEADLINE, Service, Setting};
use tests::{SmallDisk, skip};

/// Room for the store and what happens in the test.
const DISK: &str = "24m";
/// People who act at the same time.
const PEOPLE: usize = 4;
/// What each of them does while the store takes nothing.
const ACTIONS: usize = 60;
const RECIPIENTS: u64 = 600;
const FIRST_NUMBER: u64 = 491_705_000_000;

/// An installation whose store is on a small disk and whose fallback is not.
struct House {
    service: Service,
    disk: SmallDisk,
    team: Team,
    /// Where a file lies that can be fetched, each time on record.
    file: String,
    fallback: PathBuf,
}

impl House {
    async fn open(disk: SmallDisk) -> anyhow::Result<Self> {
        let elsewhere = "[audit]\nfallback_path = \"audit-fallback\"\n".to_owned();
        let store = disk.path().join("data").display().to_string();
        let setting = Setting { store: Some(store), more: elsewhere, rate_per_s: 200, ..Setting::default() };
        let service = Service::start(setting).await?;
        let root = service.set_up().await?;
        let team = people::team(&service, &root, "acme", Address { saddr: "ACME", ston: 5, snpi: 0 }).await?;
        let fields = json!({"name": "First", "mode": "OnDemand", "text": "Hello"});
        let campaign = people::submitted(&team, &team.author, fields, [FIRST_NUMBER - 1]).await?;
        people::approve(&team, &team.moderator, &campaign).await?.expect(200)?;
        let path = team.path(&format!("/campaigns/{}", people::id(&campaign)));
        team.author.until(&path, |it| it["status"] == "Done").await?;
        let export =
            team.admin.post(&format!("{path}/exports"), json!({"format": "csv"})).await?.expect(202)?;
        let export = team.path(&format!("/exports/{}", export.text("id")));
        team.admin.until(&export, |it| it["status"] == "ready").await?;
        let fallback = service.folder().join("audit-fallback");
        Ok(Self { service, disk, team, file: format!("{export}/file"), fallback })
    }

    /// Several people fetch the file, again and again; the request ids of each in the order of the answers.
    async fn act(&self, times: usize) -> anyhow::Result<Vec<Vec<String>>> {
        let mut all = Vec::new();
        let mut people = Vec::new();
        for _ in 0..PEOPLE {
            let (client, path) = (self.team.admin.clone(), self.file.clone());
            people.push(tokio::spawn(fetches(client, path, times)));
        }
        for somebody in people {
            all.push(somebody.await??);
        }
        Ok(all)
    }

    /// Acts until notes go to the fallback, then a good while longer.
    async fn act_through_an_outage(&self) -> anyhow::Result<Vec<Vec<String>>> {
        let mut done = self.act(5).await?;
        self.disk.fill()?;
        let end = Instant::now() + DEADLINE;
        while self.waiting() == 0 {
            // The store may still have room in pages of its own.
            extend(&mut done, self.act(5).await?);
            self.disk.fill()?;
            assert!(Instant::now() < end, "the store never became unwritable");
        }
        extend(&mut done, self.act(ACTIONS).await?);
        self.refuse_a_change().await?;
        extend(&mut done, self.act(1).await?);
        assert!(self.waiting() > 0);
        Ok(done)
    }

    /// A change is refused once the store has no room for it: a log that was folded meanwhile may have left it some.
    async fn refuse_a_change(&self) -> anyhow::Result<()> {
        let end = Instant::now() + DEADLINE;
        for number in 491_705_999_000_u64.. {
            self.disk.fill()?;
            let change = json!({"numbers": [format!("+{number}")], "reason": "asked for it"});
            let answer = self.team.admin.post(&self.team.path("/suppressions"), change).await?;
            if answer.status != 201 {
                answer.expect(503)?;
                break;
            }
            assert!(Instant::now() < end, "the store takes everything");
        }
        Ok(())
    }

    /// Octets of the fallback file.
    fn waiting(&self) -> u64 {
        std::fs::metadata(&self.fallback).map_or(0, |file| file.len())
    }

    async fn until_replayed(&self) {
        let end = Instant::now() + DEADLINE;
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        while self.waiting() > 0 {
            looks.tick().await;
            assert!(Instant::now() < end, "{} octets are still in the fallback", self.waiting());
        }
    }

    /// Every answered request is on record exactly once, those of each person in order.
    async fn judge(&self, done: &[Vec<String>]) -> anyhow::Result<()> {
        let admin = self.team.admin.at(&self.service);
        let events = people::audit(&admin, &self.team.path("/audit?action=export.download")).await?;
        let mut places: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for event in &events {
            let id = event["request_id"].as_str().unwrap_or_default();
            places.entry(id).or_default().push(event["seq"].as_u64().unwrap_or_default());
        }
        for somebody in done {
            let mut last = 0;
            for id in somebody {
                let places = places.get(id.as_str()).map(Vec::as_slice);
                let Some([place]) = places else { panic!("{id} is on record at {places:?}") };
                assert!(*place > last, "{id} is out of order");
                last = *place;
            }
        }
        assert_eq!(events.len(), done.iter().map(Vec::len).sum::<usize>());
        Ok(())
    }
}

async fn fetches(client: Client, path: String, times: usize) -> anyhow::Result<Vec<String>> {
    let mut ids = Vec::new();
    for _ in 0..times {
        ids.push(client.get(&path).await?.expect(200)?.request_id().to_owned());
    }
    Ok(ids)
}

fn extend(all: &mut [Vec<String>], more: Vec<Vec<String>>) {
    for (somebody, more) in all.iter_mut().zip(more) {
        somebody.extend(more);
    }
}

async fn through_an_outage(disk: SmallDisk) -> anyhow::Result<()> {
    let house = House::open(disk).await?;
    let team = &house.team;
    let fields = json!({"name": "Long", "mode": "OnDemand", "text": "Hello"});
    let campaign =
        people::submitted(team, &team.author, fields, FIRST_NUMBER..FIRST_NUMBER + RECIPIENTS).await?;
    people::approve(team, &team.moderator, &campaign).await?.expect(200)?;
    let done = house.act_through_an_outage().await?;
    house.disk.free()?;
    house.until_replayed().await;
    house.judge(&done).await?;
    let path = team.path(&format!("/campaigns/{}", people::id(&campaign)));
    let ended = team.author.until(&path, |it| it["status"] == "Done").await?;
    assert_eq!(ended["counts"]["sent"], RECIPIENTS, "{ended}");
    assert_eq!(people::accepted_from(&house.service, team.address).len() as u64, RECIPIENTS + 1);
    Ok(())
}

async fn through_a_power_cut(disk: SmallDisk) -> anyhow::Result<()> {
    let mut house = House::open(disk).await?;
    let done = house.act_through_an_outage().await?;
    let newest = house.team.path("/audit?limit=1");
    let before = house.team.admin.get(&newest).await?.expect(200)?.body["items"][0]["seq"].clone();
    house.disk.free()?;
    house.team.admin.until(&newest, |page| page["items"][0]["seq"] != before).await?;
    house.service.kill()?;
    house.service.restart()?;
    house.until_replayed().await;
    house.judge(&done).await
}

#[tokio::test]
async fn what_people_do_while_the_store_takes_nothing_is_on_record_once_and_in_order() {
    let Some(disk) = SmallDisk::mount(DISK) else { skip!("a small disk needs the right to mount one") };
    through_an_outage(disk).await.expect("an outage");
}

#[tokio::test]
async fn a_power_cut_while_the_record_is_caught_up_neither_loses_nor_repeats_anything() {
    let Some(disk) = SmallDisk::mount(DISK) else { skip!("a small disk needs the right to mount one") };
    through_a_power_cut(disk).await.expect("an outage");
}
