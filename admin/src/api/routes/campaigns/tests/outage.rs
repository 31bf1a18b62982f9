//! The store is away: whoever was known a moment ago still stops a campaign, and that is on record; nothing else changes.

use super::*;
use crate::api::testing::{Outages, code};
use reqwest::Method;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Longer than any test.
const OUTAGE: Duration = Duration::from_secs(3_600);

/// A campaign that takes minutes and is sending.
async fn sending() -> (Stage, Arc<Outages>, CampaignId) {
    let (house, outages) = House::open_with_outages().await;
    let stage = Stage::within(house).await;
    let root = stage.house.super_admin().await;
    assert_eq!(root.patch("/workspaces/mine", json!({"rate_per_s": 50})).await.0, 200);
    let id = stage.pending(Like::of(Mode::OnDemand, 20_000)).await;
    assert_eq!(stage.author.post(&path(id, "/start"), Value::Null).await.0, 200);
    stage.until_submits(1).await;
    (stage, outages, id)
}

impl Stage {
    /// Waits for so many more messages; how many there are then.
    async fn until_submits(&self, more: u64) -> u64 {
        let before = self.house.smsc.stats().submits;
        let waiting = async {
            while self.house.smsc.stats().submits < before + more {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap();
        self.house.smsc.stats().submits
    }

    /// Has the store's notes replayed until none waits.
    async fn replayed(&self) {
        let replay = tokio::spawn(self.house.api.audit.clone().keep_replaying());
        let waiting = async {
            while self.house.api.audit.state().octets > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap();
        replay.abort();
    }
}

#[tokio::test]
async fn a_campaign_is_stopped_while_the_store_is_away_and_that_is_on_record() {
    for verb in ["pause", "cancel"] {
        let (stage, outages, id) = sending().await;
        outages.fail_calls_for(OUTAGE);
        let (status, body) = stage.author.post(&path(id, &format!("/{verb}")), Value::Null).await;
        assert_eq!((status, code(&body)), (503, "stopped_not_recorded"), "{body}");
        assert!(stage.house.api.audit.state().octets > 0, "the note is in the fallback");
        let told = stage.author.patch(&path(id, ""), json!({"version": 1, "name": "Other"})).await;
        assert_eq!((told.0, code(&told.1)), (503, "store_unavailable"), "{}", told.1);
        // The simulator has counted by now what was on its way at the answer.
        let submits = stage.house.smsc.stats().submits;
        outages.fail_calls_for(Duration::ZERO);
        stage.replayed().await;
        let events = stage.events(id).await;
        let note = events.iter().find(|event| event.action == format!("campaign.{verb}_unrecorded")).unwrap();
        assert_eq!((note.by.user_id, note.by.role.as_str()), (Some(stage.author.user), "Author"));
        assert_eq!(note.by.request_id.as_deref(), body["request_id"].as_str());
        // The store still says that it sends: whoever asks again has it recorded, and nothing was sent meanwhile.
        assert_eq!(stage.author.get(&path(id, "")).await.1["status"], "Sending");
        let (status, body) = stage.author.post(&path(id, &format!("/{verb}")), Value::Null).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(stage.house.smsc.stats().submits, submits);
        stage.house.close().await;
    }
}

#[tokio::test]
async fn only_who_might_stop_it_a_moment_ago_stops_it_while_the_store_is_away() {
    let (stage, outages, id) = sending().await;
    let foreign = format!("/w/foreign/campaigns/{}/pause", id.0);
    let guest = stage.house.member(&stage.workspace, "Admin").await;
    let gone = stage.house.member(&stage.workspace, "Admin").await;
    let out = stage.house.member(&stage.workspace, "Admin").await;
    assert_eq!(gone.get(&path(id, "")).await.0, 200);
    let removed = stage.admin.delete(&format!("/w/mine/members/{}", gone.user)).await;
    assert_eq!(removed.0 / 100, 2, "{}", removed.1);
    for (somebody, expected) in
        [(&stage.other, 200), (&stage.moderator, 200), (&out, 200), (&stage.stranger, 404)]
    {
        assert_eq!(somebody.get(&path(id, "")).await.0, expected);
    }
    assert_eq!(stage.stranger.get("/w/foreign/campaigns").await.0, 200);
    assert_eq!(out.post("/logout", Value::Null).await.0 / 100, 2);
    outages.fail_calls_for(OUTAGE);
    let pause = path(id, "/pause");
    let table = [
        ("another author", &stage.other, &pause, (403, "not_yours")),
        ("a role that must not", &stage.moderator, &pause, (403, "forbidden")),
        ("a stranger", &stage.stranger, &pause, (404, "not_found")),
        ("through another workspace", &stage.stranger, &foreign, (503, "store_unavailable")),
        ("somebody who was not seen yet", &guest, &pause, (503, "store_unavailable")),
        ("somebody who was removed", &gone, &pause, (503, "store_unavailable")),
        ("somebody who has logged out", &out, &pause, (503, "store_unavailable")),
    ];
    for (who, client, at, expected) in table {
        let (status, body) = client.post(at, Value::Null).await;
        assert_eq!((status, code(&body)), expected, "{who}: {body}");
    }
    stage.until_submits(1).await;
    outages.fail_calls_for(Duration::ZERO);
    assert_eq!(stage.author.post(&pause, Value::Null).await.0, 200);
    stage.house.close().await;
}

#[tokio::test]
async fn numbers_that_are_refused_in_the_engine_alone_are_on_record() {
    let (house, outages) = House::open_with_outages().await;
    let stage = Stage::within(house).await;
    assert_eq!(stage.admin.get("/w/mine/suppressions").await.0, 200);
    outages.fail_calls_for(OUTAGE);
    let body = json!({"numbers": ["+4915112345678"], "reason": "asked for it"});
    let (status, answer) = stage.admin.send(Method::POST, "/w/mine/suppressions", Some(body)).await;
    assert_eq!((status, code(&answer)), (503, "stopped_not_recorded"), "{answer}");
    outages.fail_calls_for(Duration::ZERO);
    stage.replayed().await;
    let events = stage.events(stage.workspace.id).await;
    let note = events.iter().find(|event| event.action == "suppression.add_unrecorded").unwrap();
    assert_eq!((note.by.user_id, &note.after["numbers"]), (Some(stage.admin.user), &json!(1)), "{note:?}");
    assert!(!format!("{note:?}").contains("15112345678"), "a number is never in full in the log");
    stage.house.close().await;
}
