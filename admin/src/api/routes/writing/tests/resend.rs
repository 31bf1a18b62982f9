//! A new campaign to those whom an ended one did not reach: exactly those, linked, moderated like any other.

use super::super::resend::repeats;
use super::*;
use crate::api::routes::drafts::tests::{list_files, revision};
use crate::api::testing::{code, read};
use engine::model::{ChunkState, Counts, Status, UnitStatus, Values, values};
use engine::store::StateSave;
use reqwest::Method;

/// One recipient each.
const STOOD: [UnitStatus; 9] = [
    UnitStatus::Delivered,
    UnitStatus::Sent,
    UnitStatus::Undeliverable,
    UnitStatus::Rejected,
    UnitStatus::Expired,
    UnitStatus::Cancelled,
    UnitStatus::Skipped,
    UnitStatus::Failed,
    UnitStatus::Unknown,
];

fn number(at: usize) -> u64 {
    491_511_234_000 + at as u64
}

/// A campaign that is done, with a recipient in every state that one can end in.
async fn done(stage: &Stage) -> CampaignId {
    let recipients: Vec<_> = (0..STOOD.len())
        .map(|at| json!({"number": format!("+{}", number(at)), "variables": {"name": format!("Ann {at}")}}))
        .collect();
    let id = stage
        .create(json!({
            "text": "Hello {name}", "recipients": recipients, "daily_limit": 50, "delivery_policy": "at_least_once",
            "auto_start": true, "transactional": true,
        }))
        .await;
    let status = STOOD.iter().map(|status| *status as u8).collect();
    let save = StateSave {
        watermark: 1,
        chunks: vec![ChunkState { status, ..ChunkState::default() }],
        ..StateSave::default()
    };
    stage.house.store.save_state(stage.stored(id).await.no, save).await.unwrap();
    let end = |campaign: &mut Campaign| {
        campaign.status = Status::Done;
        campaign.ended_at = Some(Timestamp::now());
        let total = STOOD.len() as u64;
        campaign.counts = Some(Counts { total, delivered: total, ..Counts::default() });
        campaign.receipts_over = true;
    };
    stage.set(end, id).await;
    id
}

async fn resend(stage: &Stage, id: CampaignId, statuses: &[&str]) -> (u16, Value) {
    stage.author.post(&path(id, "/resend"), json!({"status": statuses})).await
}

#[tokio::test]
async fn exactly_those_asked_for_get_it_again_with_their_values() {
    let stage = Stage::open().await;
    let first = done(&stage).await;
    let words = ["sent", "undeliverable", "rejected", "expired", "cancelled", "skipped", "failed", "unknown"];
    for (at, word) in (1..).zip(words) {
        let (status, body) = resend(&stage, first, &[word]).await;
        assert_eq!(status, 201, "{word}: {body}");
        assert_eq!(stage.numbers(id_of(&body)).await, [number(at)], "{word}");
    }
    let (_, body) = resend(&stage, first, &words).await;
    let all: Vec<_> = (1..STOOD.len()).map(number).collect();
    assert_eq!(stage.numbers(id_of(&body)).await, all, "who has it does not get it again");
    let (_, body) = resend(&stage, first, &["unknown", "failed", "failed"]).await;
    let again = stage.stored(id_of(&body)).await;
    let list = stage.house.store.recipients(again.no, 0).await.unwrap();
    let values = Values::index(&list.values, 1).unwrap();
    assert_eq!(list.numbers, [number(7), number(8)]);
    assert_eq!((values.row(0).get(0), values.row(1).get(0)), (Some("Ann 7"), Some("Ann 8")));
    stage.house.close().await;
}

#[tokio::test]
async fn it_is_new_linked_and_not_approved_and_the_first_one_stays_as_it_was() {
    let stage = Stage::open().await;
    let first = done(&stage).await;
    let before = stage.stored(first).await;
    revision(&stage.house, &stage.workspace, (stage.sender, 2, "Shop2"), RevisionStatus::Approved).await;
    let response = stage.author.request(Method::POST, &path(first, "/resend"));
    let response = response.json(&json!({"status": ["unknown"]})).send().await.unwrap();
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let (status, body) = read(response).await;
    let id = id_of(&body);
    assert_eq!((status, location), (201, format!("/api/v1{}", path(id, ""))), "{body}");
    assert_eq!((&body["status"], &body["resent_from"]), (&json!("New"), &json!(first)));
    assert_eq!(
        (&body["approvals"], &body["auto_start"], &body["version"]),
        (&json!([]), &json!(false), &json!(1))
    );
    assert_eq!(
        (&body["mode"], &body["text"], &body["saddr"]),
        (&json!("OnDemand"), &json!("Hello {name}"), &json!("Shop2"))
    );
    let kept = [&body["daily_limit"], &body["delivery_policy"], &body["transactional"]];
    assert_eq!(kept, [&json!(50), &json!("at_least_once"), &json!(true)]);
    let (_, queue) = stage.moderator.get("/w/shop/moderation/campaigns").await;
    assert!(queue.to_string().contains(&id.to_string()), "{queue}");
    assert_eq!(stage.author.post(&path(id, "/start"), json!({})).await.0, 409);
    assert_eq!(stage.stored(first).await, before);
    let event = stage.events(id).await.pop().unwrap();
    assert_eq!((event.action.as_str(), event.by.user_id), ("campaign.resend", Some(stage.author.user)));
    assert_eq!((&event.before, &event.after["filing"]["resent_from"]), (&Value::Null, &json!(first)));
    // Its author may give it times and another text while it waits.
    let edit = json!({"version": 1, "mode": "OnTime", "start_at": "2099-01-01T10:00", "text": "Hi {name}"});
    assert_eq!(stage.author.patch(&path(id, ""), edit).await.0, 200);
    assert_eq!(stage.stored(id).await.filing.resent_from, Some(first));
    stage.house.close().await;
}

#[tokio::test]
async fn what_has_not_ended_is_not_sent_again() {
    let stage = Stage::open().await;
    for status in [Status::New, Status::Pending, Status::Sending, Status::Paused] {
        let id = stage.create(json!({})).await;
        stage.set(|campaign| campaign.status = status, id).await;
        let (found, body) = resend(&stage, id, &["failed"]).await;
        assert_eq!((found, code(&body)), (409, "state_conflict"), "{status}: {body}");
        assert!(body["detail"].as_str().unwrap().contains(&status.to_string()), "{body}");
    }
    stage.house.close().await;
}

#[tokio::test]
async fn nobody_to_send_to_and_unknown_states_are_refused_and_leave_no_list() {
    let stage = Stage::open().await;
    let first = done(&stage).await;
    let total = stage.author.get("/w/shop/campaigns").await.1["workspace_total"].clone();
    for body in [
        json!({"status": []}),
        json!({"status": ["delivered"]}),
        json!({"status": ["queued"]}),
        json!({"status": ["failed", "lost"]}),
        json!({"status": vec!["failed"; 9]}),
    ] {
        let (status, answer) = stage.author.post(&path(first, "/resend"), body.clone()).await;
        assert_eq!((status, wrong(&answer)), (422, vec![("status", "out_of_range")]), "{body}: {answer}");
    }
    for (body, expected) in [
        (json!({"status": ["failed"], "text": "Buy"}), 400),
        (json!({"status": "failed"}), 422),
        (json!({}), 422),
    ] {
        let (status, answer) = stage.author.post(&path(first, "/resend"), body.clone()).await;
        assert_eq!(status, expected, "{body}: {answer}");
    }
    stage
        .house
        .store
        .save_state(
            stage.stored(first).await.no,
            StateSave {
                watermark: 2,
                chunks: vec![ChunkState {
                    status: vec![UnitStatus::Delivered as u8; STOOD.len()],
                    ..ChunkState::default()
                }],
                ..StateSave::default()
            },
        )
        .await
        .unwrap();
    let (status, body) = resend(&stage, first, &["failed", "unknown"]).await;
    assert_eq!(
        (status, code(&body), wrong(&body)),
        (422, "no_recipients", vec![("recipients", "no_recipients")])
    );
    assert_eq!(stage.author.get("/w/shop/campaigns").await.1["workspace_total"], total);
    let next = stage.house.store.next_campaign_no().await.unwrap();
    let unused = stage.house.store.header(engine::model::CampaignNo(next.0 - 1)).await;
    assert!(matches!(unused, Err(engine::store::StoreError::NotFound)), "{unused:?}");
    assert_eq!(list_files(&stage.house), Vec::<String>::new());
    stage.house.close().await;
}

#[tokio::test]
async fn whoever_was_cancelled_before_the_start_can_get_it_later() {
    let stage = Stage::open().await;
    let rejected = stage.create(json!({})).await;
    let note = json!({"version": 1, "note": "Not on a Sunday."});
    assert_eq!(stage.moderator.post(&path(rejected, "/reject"), note).await.0, 200);
    let withdrawn = stage.create(json!({})).await;
    assert_eq!(stage.approve(withdrawn, 1).await.0, 200);
    stage.until(withdrawn, |campaign| campaign["status"] == "Pending").await;
    assert_eq!(stage.author.post(&path(withdrawn, "/cancel"), json!({})).await.0, 200);
    for id in [rejected, withdrawn] {
        let (_, shown) = stage.author.get(&path(id, "")).await;
        assert_eq!((&shown["counts"]["cancelled"], &shown["counts"]["queued"]), (&json!(2), &json!(0)));
        let (_, list) = stage.author.get(&path(id, "/recipients")).await;
        let states: Vec<_> =
            list["items"].as_array().unwrap().iter().map(|row| row["status"].clone()).collect();
        assert_eq!(states, ["cancelled", "cancelled"], "the list says what the counts say");
        assert_eq!(resend(&stage, id, &["failed"]).await.0, 422);
        let (status, body) = resend(&stage, id, &["cancelled"]).await;
        assert_eq!((status, &body["counts"]["total"]), (201, &json!(2)), "{body}");
    }
    stage.house.close().await;
}

#[tokio::test]
async fn a_key_makes_one_new_campaign_and_the_quota_and_four_eyes_hold() {
    let stage = Stage::open().await;
    let first = done(&stage).await;
    let send = async |statuses: Value| {
        let request =
            stage.author.request(Method::POST, &path(first, "/resend")).header("idempotency-key", "again");
        read(request.json(&json!({"status": statuses})).send().await.unwrap()).await
    };
    let (status, body) = send(json!(["failed"])).await;
    assert_eq!(status, 201, "{body}");
    assert_eq!(send(json!(["failed"])).await, (201, body.clone()));
    let (status, refused) = send(json!(["unknown"])).await;
    assert_eq!((status, code(&refused)), (409, "idempotency_mismatch"));
    assert_eq!(stage.author.get("/w/shop/campaigns").await.1["workspace_total"], 2);
    let (status, refused) = stage.admin.post(&path(first, "/resend"), json!({"status": ["unknown"]})).await;
    assert_eq!(status, 201, "an admin sends what others made: {refused}");
    let own = id_of(&refused);
    let (status, refused) = stage.admin.post(&path(own, "/approve"), json!({"version": 1})).await;
    assert_eq!((status, code(&refused)), (403, "self_approval_forbidden"));
    let terms = Terms { storage_quota_bytes: Some(1), ..Terms::default() };
    stage.govern(Policies::default(), terms).await;
    let (status, refused) = resend(&stage, first, &["unknown"]).await;
    assert_eq!((status, code(&refused)), (413, "quota_exceeded"), "{refused}");
    stage.house.close().await;
}

#[tokio::test]
async fn a_campaign_that_was_really_sent_is_sent_again_to_those_without_a_receipt() {
    let stage = Stage::open().await;
    let id = stage.create(json!({})).await;
    stage.run(id).await;
    stage.until(id, |campaign| campaign["counts"]["delivered"] == 2 && campaign["status"] == "Done").await;
    let (status, body) = resend(&stage, id, &["sent", "unknown", "failed"]).await;
    assert_eq!((status, code(&body)), (422, "no_recipients"), "{body}");
    stage.house.close().await;
}

/// A Trigger campaign that is over, with these rows: which number, its value, where it stands.
async fn triggered(stage: &Stage, rows: &[(usize, &str, UnitStatus)]) -> CampaignId {
    let id = stage.create(json!({"mode": "Trigger", "recipients": null, "text": "Code {code}"})).await;
    let Campaign { no, content, .. } = stage.stored(id).await;
    let (mut numbers, mut packed) = (Vec::new(), Vec::new());
    for (at, value, _) in rows {
        numbers.push(number(*at));
        values::pack_row(&mut packed, &[value]).unwrap();
    }
    let mut writer = stage.house.store.write_recipients(no, rows.len() as u64).unwrap();
    writer.chunk(&numbers, &packed).unwrap();
    writer.finish().unwrap();
    let parts = |status: UnitStatus| std::iter::repeat_n(status as u8, usize::from(content.parts));
    let status = rows.iter().flat_map(|(_, _, status)| parts(*status)).collect();
    let chunks = vec![ChunkState { status, ..ChunkState::default() }];
    let save = StateSave { watermark: 1, chunks, ..StateSave::default() };
    stage.house.store.save_state(no, save).await.unwrap();
    let end = |campaign: &mut Campaign| {
        campaign.status = Status::Done;
        campaign.ended_at = Some(Timestamp::now());
        campaign.recipients = rows.len() as u64;
        campaign.counts = Some(Counts { total: rows.len() as u64, ..Counts::default() });
        campaign.receipts_over = true;
    };
    stage.set(end, id).await;
    id
}

#[tokio::test]
async fn of_a_number_that_was_triggered_several_times_the_last_row_decides() {
    let stage = Stage::open().await;
    let first = triggered(
        &stage,
        &[
            (0, "reached at last", UnitStatus::Failed),
            (1, "old", UnitStatus::Failed),
            (0, "there", UnitStatus::Delivered),
            (1, "older", UnitStatus::Unknown),
            (2, "once", UnitStatus::Unknown),
            (1, "new", UnitStatus::Failed),
        ],
    )
    .await;
    let (status, body) = resend(&stage, first, &["failed", "unknown"]).await;
    assert_eq!(
        (status, &body["mode"], &body["counts"]["total"]),
        (201, &json!("OnDemand"), &json!(2)),
        "{body}"
    );
    let again = stage.stored(id_of(&body)).await;
    let list = stage.house.store.recipients(again.no, 0).await.unwrap();
    let values = Values::index(&list.values, 1).unwrap();
    assert_eq!(list.numbers, [number(2), number(1)], "a number stands once");
    assert_eq!((values.row(0).get(0), values.row(1).get(0)), (Some("once"), Some("new")));
    let (status, body) = resend(&stage, first, &["unknown"]).await;
    assert_eq!((status, stage.numbers(id_of(&body)).await), (201, vec![number(2)]));
    let uncounted = |campaign: &mut Campaign| (campaign.started, campaign.counts) = (true, None);
    stage.set(uncounted, first).await;
    let (status, body) = resend(&stage, first, &["failed"]).await;
    assert_eq!((status, code(&body)), (409, "state_conflict"), "its last numbers may not be in its list yet");
    stage.house.close().await;
}

#[tokio::test]
async fn a_triggered_list_that_is_too_long_is_refused_in_words() {
    let stage = Stage::open().await;
    let row = (0, "a", UnitStatus::Failed);
    let first = stage.stored(triggered(&stage, &[row, row, row]).await).await;
    assert!(repeats(&stage.house.api, &first, 3).await.unwrap().is_some());
    let refused = repeats(&stage.house.api, &first, 2).await.err().unwrap();
    assert_eq!(refused.code(), crate::api::problem::Code::StateConflict);
    stage.house.close().await;
}
