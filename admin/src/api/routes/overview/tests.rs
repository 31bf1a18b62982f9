//! The home of a workspace: numbers against what was really sent, whose they are, and how long they take.

#![expect(clippy::unwrap_used, reason = "tests")]

use crate::api::testing::{Client, House, code};
use engine::model::{
    Campaign, CampaignId, DeliveryPolicy, Mode, Policies, SendingRules, Status, Workspace, WorkspaceId,
};
use engine::seed::{CampaignSeed, Seed};
use engine::store::{Catalog, Change, Entity, Expect, Journal, Kind, Scope};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::Value;
use std::time::{Duration, Instant};
use uuid::Uuid;

const RECIPIENTS: u64 = 60;
const SOON: Duration = Duration::from_secs(120);

/// A workspace with an approved sender.
pub(crate) async fn seeded(house: &House, slug: &str) -> (Seed, Workspace) {
    let seed = Seed::create(&*house.store, slug, "Shop", Timestamp::now()).await.unwrap();
    let found = house.store.get(Scope::Platform, Kind::Workspace, seed.workspace.into()).await.unwrap();
    let Entity::Workspace(workspace) = found else { panic!("no workspace") };
    (seed, workspace)
}

/// A campaign that is ready to be started.
pub(crate) async fn ready(house: &House, seed: &Seed) -> CampaignId {
    let no = house.store.next_campaign_no().await.unwrap();
    let mut writer = house.store.write_recipients(no, RECIPIENTS).unwrap();
    let numbers: Vec<u64> = (0..RECIPIENTS).map(|n| 4_915_100_000_000 + n).collect();
    writer.chunk(&numbers, &[]).unwrap();
    writer.finish().unwrap();
    let campaign = CampaignSeed {
        name: "Winter".to_owned(),
        mode: Mode::OnDemand,
        rules: SendingRules::default(),
        text: "0123456789".repeat(20),
        receipts: false,
        delivery_policy: DeliveryPolicy::AtMostOnce,
        recipients: RECIPIENTS,
        recipients_digest: "none".to_owned(),
    };
    seed.campaign(&*house.store, no, campaign, Timestamp::now()).await.unwrap()
}

/// Sends a campaign of two segments a message until it is done.
pub(crate) async fn sent(house: &House, seed: &Seed) -> CampaignId {
    let id = ready(house, seed).await;
    house.api.engine.start_campaign(seed.workspace, id, &seed.author()).await.unwrap();
    let done = async {
        while stored(house, seed.workspace, id).await.status != Status::Done {
            house.api.engine.settle().await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, done).await.expect("it is done soon");
    id
}

async fn stored(house: &House, workspace: WorkspaceId, id: CampaignId) -> Campaign {
    match house.store.get(Scope::Workspace(workspace), Kind::Campaign, id.into()).await.unwrap() {
        Entity::Campaign(campaign) => *campaign,
        other => panic!("no campaign: {other:?}"),
    }
}

async fn overview(client: &Client, slug: &str) -> Value {
    let (status, body) = client.get(&format!("/w/{slug}/overview")).await;
    assert_eq!(status, 200, "{body}");
    body
}

fn sum(items: &Value, field: &str) -> u64 {
    items.as_array().unwrap().iter().map(|item| item[field].as_u64().unwrap()).sum()
}

#[tokio::test]
async fn the_home_tells_what_was_sent_and_nothing_of_other_workspaces() {
    let house = House::open().await;
    let (seed, workspace) = seeded(&house, "shop").await;
    let (_, other) = seeded(&house, "other").await;
    let (reader, stranger) =
        (house.member(&workspace, "Moderator").await, house.member(&other, "Admin").await);
    sent(&house, &seed).await;
    ready(&house, &seed).await;

    let body = overview(&reader, "shop").await;
    let kpi = serde_json::json!({ "total": 2, "active": 1, "completed": 1, "failed": 0 });
    assert_eq!((&body["kpi"], &body["own_only"]), (&kpi, &Value::Bool(false)));
    assert_eq!((body["funnel"].as_array().unwrap().len(), sum(&body["funnel"], "count")), (9, 2));
    let ring =
        serde_json::json!({ "total": RECIPIENTS, "delivered": 0, "in_flight": RECIPIENTS, "errors": 0 });
    assert_eq!(body["ring"], ring);
    let hours = &body["hours"];
    assert_eq!(
        (hours.as_array().unwrap().len(), sum(hours, "sent"), sum(hours, "failed")),
        (24, RECIPIENTS, 0)
    );
    assert_eq!(sum(hours, "sent_segments"), 2 * RECIPIENTS);
    assert_eq!(
        (&body["authors"][0]["campaigns"], &body["authors"][0]["messages"]),
        (&2.into(), &RECIPIENTS.into())
    );
    assert_eq!((&body["pulse"]["engine"], &body["pulse"]["in_flight"]), (&"up".into(), &0.into()));

    let body = overview(&stranger, "other").await;
    assert_eq!((&body["kpi"]["total"], sum(&body["hours"], "sent")), (&0.into(), 0));
    assert_eq!(body["authors"], serde_json::json!([]));
    assert_eq!(stranger.get("/w/shop/overview").await.0, 404);
    assert_eq!(stranger.get("/w/shop/live").await.0, 404);
    house.close().await;
}

#[tokio::test]
async fn an_author_who_does_not_see_others_is_told_own_numbers_in_every_block() {
    let house = House::open().await;
    let (seed, workspace) = seeded(&house, "shop").await;
    sent(&house, &seed).await;
    let policies = Policies { authors_see_all: false, ..workspace.policies.clone() };
    let (expect, version) = (Expect::Version(workspace.version), workspace.version + 1);
    let entity = Entity::Workspace(Workspace { policies, version, ..workspace.clone() });
    let change = Change { scope: Scope::Platform, expect, entity, action: "test.change" };
    house.store.apply(vec![change], &seed.author(), Timestamp::now()).await.unwrap();
    let author = house.member(&workspace, "Author").await;
    let body = overview(&author, "shop").await;
    assert_eq!((&body["own_only"], &body["kpi"]["total"]), (&true.into(), &0.into()));
    assert_eq!((sum(&body["hours"], "sent"), &body["authors"]), (0, &serde_json::json!([])));
    let moderator = overview(&house.member(&workspace, "Moderator").await, "shop").await;
    assert_eq!(sum(&moderator["hours"], "sent"), RECIPIENTS);
    house.close().await;
}

#[tokio::test]
async fn a_stream_shows_pulse_and_ring_and_ends_with_the_server() {
    let house = House::open().await;
    let (_, workspace) = seeded(&house, "shop").await;
    let reader = house.member(&workspace, "Author").await;
    let open = || reader.request(Method::GET, "/w/shop/live").send();
    let mut streams = Vec::new();
    for _ in 0..8 {
        streams.push(open().await.unwrap());
    }
    let (status, refused) = reader.get("/w/shop/live").await;
    assert_eq!((status, code(&refused)), (429, "rate_limited"));
    let first = &mut streams[0];
    assert_eq!(first.headers()["content-type"], "text/event-stream");
    let mut text = String::new();
    while text.matches("event: pulse").count() < 2 || !text.contains("event: ring") {
        text.push_str(std::str::from_utf8(&first.chunk().await.unwrap().expect("it goes on")).unwrap());
    }
    assert!(text.contains("\"engine\":\"up\""), "{text}");
    let began = Instant::now();
    house.close().await;
    assert!(began.elapsed() < Duration::from_secs(5), "streams do not keep the server up");
    while streams[0].chunk().await.unwrap().is_some() {}
}

#[tokio::test]
async fn the_home_of_five_thousand_campaigns_is_quick() {
    let house = House::open().await;
    let (seed, workspace) = seeded(&house, "shop").await;
    let pattern = stored(&house, seed.workspace, ready(&house, &seed).await).await;
    for chunk in 0..50_u64 {
        let mut changes = Vec::new();
        for n in 0..100_usize {
            let status = Status::ALL[n % Status::ALL.len()];
            let id = CampaignId(Uuid::now_v7());
            let no = house.store.next_campaign_no().await.unwrap();
            let campaign = Campaign { id, no, status, recipients: chunk, ..pattern.clone() };
            let (scope, entity) = (Scope::Workspace(seed.workspace), Entity::Campaign(Box::new(campaign)));
            changes.push(Change { scope, expect: Expect::Absent, entity, action: "test.create" });
        }
        house.store.apply(changes, &seed.author(), Timestamp::now()).await.unwrap();
    }
    let reader = house.member(&workspace, "Admin").await;
    let mut took: Vec<Duration> = Vec::new();
    for _ in 0..100 {
        let began = Instant::now();
        assert_eq!(overview(&reader, "shop").await["kpi"]["total"], 5_001);
        took.push(began.elapsed());
    }
    took.sort_unstable();
    assert!(took[50] < Duration::from_millis(50), "{took:?}");
    house.close().await;
}
