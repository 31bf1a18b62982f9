//! A campaign is large from a number of recipients on that its workspace sets: it starts only after its pre-flight says
//! go (R188). Whoever starts it is told what is missing; what starts by itself waits for it, and says so.

use super::looks::bound;
use super::*;
use crate::api::testing::code;
use crate::demo::simulator::Simulator;
use engine::intake::ListHasher;
use engine::model::Status;

/// From here on a campaign is large; [`NUMBERS`] are.
const LARGE: u64 = 2;

async fn stage() -> Stage {
    let stage = Stage::open().await;
    let policies = Policies { large_campaign_threshold: Some(LARGE), ..Policies::default() };
    stage.govern(policies, Terms::default()).await;
    bound(&stage).await;
    stage
}

/// Approved and built.
async fn pending(stage: &Stage, change: Value) -> CampaignId {
    let id = stage.create(change).await;
    assert_eq!(stage.approve(id, 1).await.0, 200);
    stage.until(id, |campaign| campaign["status"] == "Pending").await;
    id
}

/// Ends the SMSC for good: its binds go down.
async fn cut(stage: &mut Stage) {
    let unused = Simulator::start(true).unwrap();
    std::mem::replace(&mut stage.house.smsc, unused).stop();
    while stage.house.api.engine.channels().iter().any(|channel| channel.up.contains(&true)) {
        tokio::task::yield_now().await;
    }
}

async fn job_errors(stage: &Stage, id: CampaignId) -> Vec<(String, String)> {
    let (status, body) = stage.author.get(&path(id, "/errors/job")).await;
    assert_eq!(status, 200, "{body}");
    let text = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
    let items = body["items"].as_array().unwrap();
    items.iter().map(|item| (text(item, "code"), text(item, "detail"))).collect()
}

#[tokio::test]
async fn the_start_of_a_large_campaign_is_refused_with_what_is_missing() {
    let mut stage = stage().await;
    let large = pending(&stage, json!({})).await;
    let later = pending(&stage, json!({"mode": "OnTime", "start_at": "2099-01-01T18:00"})).await;
    let small = pending(&stage, json!({"recipients": [{"number": NUMBERS[0]}]})).await;
    cut(&mut stage).await;
    for id in [large, later] {
        let before = stage.stored(id).await;
        let (status, body) = stage.author.post(&path(id, "/start"), json!({})).await;
        assert_eq!((status, code(&body)), (409, "preflight_failed"), "{body}");
        let (_, told) = stage.author.get(&path(id, "/preflight")).await;
        let failing: Vec<_> =
            told["checks"].as_array().unwrap().iter().filter(|c| c["ok"] == false).collect();
        assert_eq!(body["checks"].as_array().unwrap().iter().collect::<Vec<_>>(), failing, "{told}");
        assert_eq!((failing.len(), &failing[0]["name"], &told["go"]), (1, &json!("channels"), &json!(false)));
        assert!(body["detail"].as_str().unwrap().contains("channels"), "{body}");
        assert_eq!(stage.stored(id).await, before, "a refusal changes nothing");
    }
    // Below the threshold nobody is asked: it waits for the channel while it sends, as ever.
    let (status, body) = stage.author.post(&path(small, "/start"), json!({})).await;
    assert_eq!((status, &body["status"]), (200, &json!("Sending")), "{body}");
    stage.house.close().await;
}

#[tokio::test]
async fn a_large_campaign_whose_preflight_says_go_starts_as_every_other() {
    let stage = stage().await;
    let by_hand = pending(&stage, json!({})).await;
    let (status, body) = stage.author.post(&path(by_hand, "/start"), json!({})).await;
    assert_eq!((status, &body["status"]), (200, &json!("Sending")), "{body}");
    let by_itself = stage.create(json!({"auto_start": true})).await;
    assert_eq!(stage.approve(by_itself, 1).await.0, 200);
    for id in [by_hand, by_itself] {
        let done = stage.until(id, |campaign| campaign["counts"]["delivered"] == 2).await;
        assert_eq!((&done["hold_reason"], &done["reason"]), (&Value::Null, &Value::Null));
        assert!(!stage.events(id).await.iter().any(|event| event.action == "campaign.hold"));
    }
    stage.house.close().await;
}

#[tokio::test]
async fn a_large_campaign_that_starts_by_itself_is_held_without_a_channel_and_says_so() {
    let mut stage = stage().await;
    cut(&mut stage).await;
    let id = stage.create(json!({"auto_start": true})).await;
    assert_eq!(stage.approve(id, 1).await.0, 200);
    let held = stage.until(id, |campaign| campaign["hold_reason"] == "no_channel").await;
    assert_eq!((&held["status"], &held["started_at"]), (&json!("Pending"), &Value::Null), "{held}");
    assert_eq!(held["reason"], "its pre-flight says no: channels");
    let events = stage.events(id).await;
    let last = events.last().unwrap();
    assert_eq!((last.action.as_str(), last.by.role.as_str()), ("campaign.hold", "Engine"));
    assert_eq!(
        (&last.before["hold_reason"], &last.after["hold_reason"]),
        (&json!("awaiting_start"), &json!("no_channel"))
    );
    // Asked about again and again, it is recorded and told once.
    for _ in 0..3 {
        stage.house.api.engine.campaign_changed(stage.workspace.id, id);
        let (status, body) = stage.author.post(&path(id, "/start"), json!({})).await;
        assert_eq!((status, code(&body)), (409, "preflight_failed"), "{body}");
    }
    assert_eq!(stage.events(id).await.len(), events.len());
    // It is told behind the record.
    stage.until_at(&path(id, "/errors/job"), |body| body["items"] != json!([])).await;
    let errors = job_errors(&stage, id).await;
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(errors[0].0, "preflight");
    assert!(errors[0].1.starts_with("channels: none of main"), "{errors:?}");
    let (status, body) = stage.author.post(&path(id, "/cancel"), json!({})).await;
    let told = (&body["status"], &body["reason"], &body["hold_reason"]);
    assert_eq!(
        (status, told),
        (200, (&json!("Cancelled"), &Value::Null, &Value::Null)),
        "it can be withdrawn: {body}"
    );
    stage.house.close().await;
}

#[tokio::test]
async fn a_held_campaign_goes_on_by_itself_once_nothing_is_missing() {
    let stage = stage().await;
    // Armed for a moment that comes while its list is away.
    let start = (Timestamp::now() + jiff::SignedDuration::from_secs(4)).to_string();
    let id = pending(&stage, json!({"mode": "OnTime", "start_at": start, "auto_start": true})).await;
    // It is armed behind the record that it is built.
    stage.until(id, |campaign| campaign["hold_reason"] == "scheduled").await;
    let campaign = stage.stored(id).await;
    assert_eq!((campaign.status, campaign.started), (Status::Pending, true), "it was armed in time");
    stage.house.store.remove(campaign.no).await.unwrap();
    let held = stage.until(id, |campaign| campaign["reason"].is_string()).await;
    assert_eq!(
        (&held["status"], &held["hold_reason"]),
        (&json!("Pending"), &json!("awaiting_start")),
        "{held}"
    );
    // It is told behind the record.
    stage.until_at(&path(id, "/errors/job"), |body| body["items"] != json!([])).await;
    assert_eq!(
        job_errors(&stage, id).await,
        [("preflight".to_owned(), "recipients: the list is missing".to_owned())]
    );
    assert_eq!(stage.house.smsc.stats().submits, 0);
    let numbers = [491_511_234_567, 491_511_234_568];
    let mut hasher = ListHasher::new();
    hasher.chunk(&numbers, &[]);
    assert_eq!(hasher.finish().to_string(), campaign.content.recipients_digest, "the very list");
    let mut writer = stage.house.store.write_recipients(campaign.no, 2).unwrap();
    writer.chunk(&numbers, &[]).unwrap();
    writer.finish().unwrap();
    stage.house.api.engine.campaign_changed(stage.workspace.id, id);
    let done = stage.until(id, |campaign| campaign["counts"]["delivered"] == 2).await;
    assert_eq!((&done["hold_reason"], &done["reason"]), (&Value::Null, &Value::Null), "{done}");
    stage.house.close().await;
}
