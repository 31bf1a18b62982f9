//! Numbers handed to Trigger campaigns: taken, refused, repeated.

use super::*;
use crate::api::testing::code;
use engine::model::KeyScope;
use serde_json::json;

#[tokio::test]
async fn numbers_are_taken_one_by_one_while_the_campaign_sends() {
    let stage = Stage::open().await;
    let variables = vec![Variable { name: "code".to_owned(), max_chars: 6 }];
    let id = stage.pending(Like { variables, ..Like::of(Mode::Trigger, 0) }).await;
    let at = path(id, "/numbers");
    let good = json!({"number": "+49 151 00000001", "variables": {"code": "1234"}});
    let (status, body) = stage.author.post(&at, json!({"items": [good]})).await;
    assert_eq!((status, code(&body)), (409, "not_started"));
    stage.author.post(&path(id, "/start"), json!({})).await;
    let keyed = |key: &str| json!({"number": "4915100000002", "variables": {"code": "1"}, "key": key});
    let items = json!([
        good,
        good,
        {"number": "hello", "variables": {"code": "1"}},
        {"number": "0151 1234567", "variables": {"code": "1"}},
        {"number": "4915100000003"},
        {"number": "4915100000003", "variables": {"code": "1234567"}},
        {"number": "4915100000003", "variables": {"code": "1", "text": "free"}},
        {"number": "4915100000003", "variables": {"code": "a\u{7}"}},
        keyed("x"),
        keyed("x"),
        keyed(""),
    ]);
    let program = stage.house.key(&stage.workspace, &stage.author, &[KeyScope::NumbersPush]).await;
    let (status, body) = program.post(&at, json!({"items": items})).await;
    assert_eq!(status, 202, "{body}");
    let counted = [&body["accepted"], &body["duplicate"], &body["invalid"]].map(|n| n.as_u64().unwrap());
    assert_eq!(counted, [3, 1, 7]);
    let results = body["results"].as_array().unwrap();
    let codes: Vec<_> = results.iter().map(|r| r["code"].as_str().unwrap_or("-")).collect();
    let expected = [
        "-",
        "-",
        "not_a_number",
        "national_without_region",
        "missing_value",
        "value_too_long",
        "unknown_variable",
        "control_character",
        "-",
        "duplicate",
        "bad_key",
    ];
    assert_eq!(codes, expected);
    assert_eq!(results[8]["recipient_id"], results[9]["recipient_id"]);
    assert_ne!(results[0]["recipient_id"], results[1]["recipient_id"], "a number may come again");
    assert!(results.iter().enumerate().all(|(at, result)| result["index"] == at));
    stage.until(id, |campaign| campaign["counts"]["delivered"] == 3).await;
    let (_, listed) = stage.author.get(&path(id, "/recipients")).await;
    assert_eq!(listed["items"][0]["id"], results[0]["recipient_id"]);
    let last = stage.events(id).await.pop().unwrap();
    assert_eq!((last.action.as_str(), last.after["accepted"].as_u64()), ("numbers.push", Some(3)));
    assert!(!serde_json::to_string(&last).unwrap().contains("4915100000"), "no number in the log");
    stage.house.close().await;
}

#[tokio::test]
async fn a_call_that_cannot_be_taken_is_refused_whole() {
    let stage = Stage::open().await;
    let id = stage.pending(Like::of(Mode::Trigger, 0)).await;
    let at = path(id, "/numbers");
    stage.author.post(&path(id, "/start"), json!({})).await;
    let one = json!({"number": "4915100000003"});
    let call = |n: usize| json!({"items": vec![one.clone(); n]});
    assert_eq!(stage.author.post(&at, call(0)).await.0, 422);
    assert_eq!(stage.author.post(&at, call(1_001)).await.0, 422);
    assert_eq!(stage.author.post(&at, json!({"items": [{"number": "1", "text": "free"}]})).await.0, 400);
    assert_eq!(stage.other.post(&at, call(1)).await.0, 403);
    assert_eq!(stage.stranger.post(&at, call(1)).await.0, 404);
    stage.author.post(&path(id, "/pause"), json!({})).await;
    let (status, body) = stage.author.post(&at, call(1)).await;
    assert_eq!((status, code(&body)), (409, "not_started"));
    let listed = stage.pending(Like::of(Mode::OnDemand, 1)).await;
    let (status, body) = stage.author.post(&path(listed, "/numbers"), call(1)).await;
    assert_eq!((status, code(&body)), (409, "state_conflict"));
    assert_eq!(stage.admin.get(&path(id, "")).await.1["counts"]["total"], 0);
    stage.house.close().await;
}
