//! What can be told before a campaign is sent: its plan, the same as the preview of the wizard, and its pre-flight.

use super::*;
use crate::api::routes::drafts::tests::{lines, put};
use engine::model::{Revision, RevisionStatus};
use engine::store::{MAX_PAGE, Query};

/// Of a plan what does not depend on the moment of asking.
fn told(plan: &Value) -> Value {
    let mut plan = plan.clone();
    // What sends at once is due now.
    plan.as_object_mut().unwrap().remove("first_at");
    plan
}

#[tokio::test]
async fn a_plan_is_what_the_preview_of_the_same_draft_was() {
    let stage = Stage::open().await;
    let days = json!({"from": "2099-01-01T10:00", "to": "2099-01-04T10:00"});
    let fields = [
        json!({"mode": "OnDemand", "text": "Hello \u{2019}you\u{2019}"}),
        json!({"mode": "OnDemand", "text": "x".repeat(200), "daily_limit": 4}),
        json!({"mode": "OnTime", "text": "Hello", "start_at": "2099-01-01T18:00", "time_zone": "Europe/Berlin"}),
        json!({"mode": "Spread", "text": "Hello", "window": days}),
    ];
    for mut body in fields {
        body["name"] = json!("Sale");
        body["sender_id"] = json!(stage.sender);
        let (status, draft) = stage.author.post("/w/shop/drafts", body.clone()).await;
        assert_eq!(status, 201, "{draft}");
        let at = format!("/w/shop/drafts/{}", draft["id"].as_str().unwrap());
        assert_eq!(put(&stage.author, &format!("{at}/recipients"), "text/plain", lines(10)).await.0, 200);
        let (_, preview) = stage.author.post(&format!("{at}/preview"), json!({})).await;
        let (status, campaign) = stage.author.post(&format!("{at}/submit"), json!({})).await;
        assert_eq!(status, 201, "{campaign}");
        let (status, plan) = stage.author.get(&path(id_of(&campaign), "/plan")).await;
        assert_eq!(status, 200);
        assert_eq!(told(&plan), told(&preview), "{body}");
        let planned =
            plan["per_day"].as_array().unwrap().iter().map(|day| day["recipients"].as_u64().unwrap());
        assert_eq!((planned.sum::<u64>(), &plan["refusal"]), (10, &Value::Null), "{plan}");
        let recipients: Vec<_> = lines(10).lines().map(|number| json!({"number": number})).collect();
        body["recipients"] = json!(recipients);
        let (_, called) = stage.author.post("/w/shop/campaigns", body).await;
        let (_, plan) = stage.author.get(&path(id_of(&called), "/plan")).await;
        assert_eq!(told(&plan), told(&preview), "one call or the wizard");
    }
    stage.house.close().await;
}

#[tokio::test]
async fn a_plan_follows_edits_and_is_decided_by_the_approval() {
    let stage = Stage::open().await;
    let window = json!({"from": "2099-01-01T00:00", "to": "2099-01-03T00:00"});
    let recipients: Vec<_> = lines(10).lines().map(|number| json!({"number": number})).collect();
    let id = stage.create(json!({"mode": "Spread", "window": window, "recipients": recipients})).await;
    let days = |plan: &Value| plan["per_day"].as_array().unwrap().clone();
    let (_, plan) = stage.moderator.get(&path(id, "/plan")).await;
    let two = [("2099-01-01", 5), ("2099-01-02", 5)].map(|(day, n)| json!({"day": day, "recipients": n}));
    assert_eq!(days(&plan), two, "{plan}");
    let window = json!({"from": "2099-01-01T00:00", "to": "2099-01-05T00:00"});
    let edit = json!({"version": 1, "window": window, "daily_limit": 3});
    assert_eq!(stage.author.patch(&path(id, ""), edit).await.0, 200);
    let (_, plan) = stage.moderator.get(&path(id, "/plan")).await;
    let spread: Vec<u64> = days(&plan).iter().map(|day| day["recipients"].as_u64().unwrap()).collect();
    assert_eq!((spread.len(), spread.iter().sum::<u64>()), (4, 10), "{plan}");
    assert!(spread.iter().max().unwrap() - spread.iter().min().unwrap() <= 1, "{plan}");
    assert_eq!(stage.approve(id, 2).await.0, 200);
    stage.until(id, |campaign| campaign["status"] == "Pending").await;
    let (_, decided) = stage.author.get(&path(id, "/plan")).await;
    assert_eq!(days(&decided), days(&plan));
    assert_eq!((&decided["first_at"], &decided["errors"]), (&plan["first_at"], &json!([])));
    stage.house.close().await;
}

#[tokio::test]
async fn a_preflight_ticks_off_everything_and_says_go() {
    let stage = Stage::open().await;
    let id = stage.create(json!({})).await;
    bound(&stage).await;
    let (status, body) = stage.author.get(&path(id, "/preflight")).await;
    let names: Vec<_> = checks(&body).into_iter().map(|(name, _)| name).collect();
    let all = ["sender", "text", "recipients", "schedule", "channels", "store", "disk", "limits", "size"];
    assert_eq!((status, names, &body["go"]), (200, all.map(str::to_owned).to_vec(), &json!(true)), "{body}");
    assert!(
        body["checks"].as_array().unwrap().iter().all(|check| !check["detail"].as_str().unwrap().is_empty())
    );
    let later = stage.create(json!({"mode": "OnTime", "start_at": "2099-01-01T18:00"})).await;
    let trigger = stage.create(json!({"mode": "Trigger", "recipients": null})).await;
    for id in [later, trigger] {
        let (_, body) = stage.moderator.get(&path(id, "/preflight")).await;
        assert_eq!(body["go"], true, "{body}");
    }
    assert_eq!(stage.events(id).await.len(), 1, "it only looks");
    stage.house.close().await;
}

#[tokio::test]
async fn a_preflight_names_each_thing_that_is_not_fit() {
    let stage = Stage::open().await;
    bound(&stage).await;
    let id = stage.create(json!({"mode": "OnTime", "start_at": "2099-01-01T18:00"})).await;
    let failing = async |id: CampaignId| {
        let (_, body) = stage.author.get(&path(id, "/preflight")).await;
        let bad: Vec<_> = checks(&body).into_iter().filter(|(_, ok)| !ok).map(|(name, _)| name).collect();
        assert_eq!(body["go"], bad.is_empty(), "{body}");
        bad
    };
    assert_eq!(failing(id).await, Vec::<String>::new());
    let late = stage.create(json!({"mode": "OnTime", "start_at": "2099-01-01T18:00"})).await;
    let past = Some("2001-01-01T18:00".parse().unwrap());
    stage.set(|campaign| campaign.content.rules.schedule.start_at = past, late).await;
    assert_eq!(failing(late).await, ["schedule"]);
    let foreign = stage.create(json!({})).await;
    stage.set(|campaign| campaign.content.rules.channel = Some("gone".to_owned()), foreign).await;
    assert_eq!(failing(foreign).await, ["channels"]);
    let long = stage.create(json!({})).await;
    stage.set(|campaign| campaign.content.text = "x".repeat(4_000), long).await;
    assert_eq!(failing(long).await, ["text"]);
    let gone = stage.create(json!({})).await;
    stage.house.store.remove(stage.stored(gone).await.no).await.unwrap();
    assert_eq!(failing(gone).await, ["recipients"]);
    withdraw(&stage).await;
    assert_eq!(failing(id).await, ["sender"]);
    stage.house.close().await;
}

/// Rejects what was approved of the sender.
async fn withdraw(stage: &Stage) {
    let (kind, parent) = (Kind::Revision, Some(stage.sender.into()));
    let query = Query { kind, statuses: Vec::new(), parent, after: None, limit: MAX_PAGE };
    let Some(Entity::Revision(approved)) =
        stage.house.store.list(stage.scope(), query).await.unwrap().items.pop()
    else {
        panic!("no revision")
    };
    let version = approved.version;
    let next = Revision { status: RevisionStatus::Rejected, version: version + 1, ..approved };
    stage.house.change(Entity::Revision(next), version).await;
}

/// Waits until the channel is bound.
pub(super) async fn bound(stage: &Stage) {
    while !stage.house.api.engine.channels().iter().any(|channel| channel.up.contains(&true)) {
        tokio::task::yield_now().await;
    }
}

fn checks(body: &Value) -> Vec<(String, bool)> {
    let checks = body["checks"].as_array().unwrap().iter();
    checks.map(|check| (check["name"].as_str().unwrap().to_owned(), check["ok"] == true)).collect()
}
