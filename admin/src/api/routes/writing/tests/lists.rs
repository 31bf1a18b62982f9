//! Other recipients for a campaign that waits, and the lists that stay behind: one for each campaign, never more.

use super::*;
use crate::api::routes::drafts::tests::{lines, list_files, put as put_file};
use crate::api::testing::code;
use engine::model::{KeyScope, Mode, Values};

/// Uploads a plain file of numbers.
pub(super) async fn put(client: &Client, id: CampaignId, file: &str) -> (u16, Value) {
    put_at(client, &path(id, "/recipients"), file).await
}

/// The same at a whole path.
pub(super) async fn put_at(client: &Client, path: &str, file: &str) -> (u16, Value) {
    put_file(client, path, "text/plain", file.to_owned()).await
}

#[tokio::test]
async fn other_recipients_are_a_new_version_and_audited_with_octets_and_lines() {
    let stage = Stage::open().await;
    let id = stage.create(json!({})).await;
    let before = stage.stored(id).await;
    let file = "+49 151 1234500\n+49 151 1234500\nx\n+49 151 1234501\n";
    let (status, body) = put(&stage.author, id, file).await;
    assert_eq!(status, 200, "{body}");
    let counts =
        ["accepted", "duplicate", "invalid", "lines", "bytes"].map(|name| body[name].as_u64().unwrap());
    assert_eq!(counts, [2, 1, 1, 4, file.len() as u64]);
    let after = stage.stored(id).await;
    assert_eq!((after.version, after.recipients, after.created_at), (2, 2, before.created_at));
    assert_ne!(after.content.recipients_digest, before.content.recipients_digest);
    assert_eq!(stage.numbers(id).await, [491_511_234_500, 491_511_234_501]);
    let gone = stage.house.store.header(before.no).await;
    assert!(matches!(gone, Err(engine::store::StoreError::NotFound)), "{gone:?}");
    let event = stage.events(id).await.pop().unwrap();
    assert_eq!((event.action.as_str(), event.by.user_id), ("recipients.upload", Some(stage.author.user)));
    let upload = &event.after["filing"]["upload"];
    assert_eq!((&upload["bytes"], &upload["lines"]), (&json!(file.len()), &json!(4)));
    assert_eq!((&event.before["version"], &event.after["version"]), (&json!(1), &json!(2)));
    let (_, errors) = stage.author.get(&path(id, "/errors/job")).await;
    let told: Vec<_> = errors["items"].as_array().unwrap().iter().map(|e| e["code"].clone()).collect();
    assert_eq!(told, ["line_duplicate", "line_not_a_number"]);
    stage.house.close().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_used_leaves_campaign_and_list_as_they_were() {
    let stage = Stage::open().await;
    let id = stage
        .create(json!({"text": "Hello {name}", "recipients": [
            {"number": NUMBERS[0], "variables": {"name": "Ann"}},
        ]}))
        .await;
    let before = stage.stored(id).await;
    let at = path(id, "/recipients");
    let table = [
        (at.clone(), "application/json", "[]", 415, "unsupported_media_type"),
        (format!("{at}?delimiter=x"), "text/csv", "phone,name\n", 400, "bad_parameter"),
        (format!("{at}?nothing=1"), "text/csv", "phone,name\n", 400, "bad_parameter"),
        (at.clone(), "text/csv", "phone\n+491511234500\n", 422, "invalid"),
        (at.clone(), "text/csv", "phone,name\nx,Ann\n", 422, "no_recipients"),
        (at.clone(), "text/csv", "phone,name\n", 422, "no_recipients"),
    ];
    for (at, media, file, status, kind) in table {
        let (found, body) = put_file(&stage.author, &at, media, file).await;
        assert_eq!((found, code(&body)), (status, kind), "{at} {file:?}: {body}");
    }
    assert_eq!((stage.stored(id).await, stage.events(id).await.len()), (before, 1));
    assert_eq!(stage.numbers(id).await, [491_511_234_567]);
    let trigger = stage.create(json!({"mode": "Trigger", "recipients": null})).await;
    assert_eq!(stage.stored(trigger).await.mode, Mode::Trigger);
    let (status, body) = put(&stage.author, trigger, "+491511234500\n").await;
    assert_eq!((status, code(&body)), (409, "state_conflict"), "{body}");
    let key = stage.house.key(&stage.workspace, &stage.author, &[KeyScope::CampaignsRead]).await;
    assert_eq!(put(&key, id, "+491511234500\n").await.0, 403);
    stage.house.close().await;
}

#[tokio::test]
async fn what_the_text_does_not_name_any_more_leaves_the_list_and_no_list_is_left_over() {
    let stage = Stage::open().await;
    let id = stage
        .create(json!({"text": "Hello {name}", "recipients": [
            {"number": NUMBERS[0], "variables": {"name": "Ann"}},
        ]}))
        .await;
    let rows: String = (0..5_000).map(|n| format!("+49151{n:08},Ann {n},Rome\n")).collect();
    let file = format!("phone,name,city\n{rows}");
    let at = format!("{}?variables=city", path(id, "/recipients"));
    assert_eq!(put_file(&stage.author, &at, "text/csv", file).await.0, 200);
    let campaign = stage.stored(id).await;
    assert_eq!(campaign.content.variables.len(), 1, "the text names one");
    let second = stage.house.store.recipients(campaign.no, 1).await.unwrap();
    assert_eq!(Values::index(&second.values, 1).unwrap().row(903).get(0), Some("Ann 4999"));
    assert_eq!(list_files(&stage.house), [format!("campaign-{}.db", campaign.no.0)]);
    let (status, body) = stage.author.patch(&path(id, ""), json!({"version": 2, "text": "Hello"})).await;
    assert_eq!(status, 200, "{body}");
    let plain = stage.stored(id).await;
    assert_eq!((plain.recipients, plain.content.variables.len(), plain.version), (5_000, 0, 3));
    assert_eq!(list_files(&stage.house), [format!("campaign-{}.db", plain.no.0)]);
    let (status, body) =
        stage.author.patch(&path(id, ""), json!({"version": 3, "text": "Hello {name}"})).await;
    assert_eq!((status, wrong(&body)), (422, vec![("text", "variable_missing")]));
    stage.house.close().await;
}

#[tokio::test]
async fn a_file_that_comes_while_somebody_edits_is_refused_and_leaves_no_list() {
    let stage = Stage::open().await;
    let id = stage
        .create(json!({"text": "Hello {name}", "recipients": [
            {"number": NUMBERS[0], "variables": {"name": "Ann"}},
        ]}))
        .await;
    let (begin, rest) = tokio::sync::oneshot::channel::<()>();
    let rows = (0..5_000).map(|n| format!("+49151{n:08},Ann {n},Rome\n")).collect::<String>();
    let parts = futures_util::stream::once(async move {
        // The second half waits for the edit.
        rest.await.map_err(std::io::Error::other)?;
        Ok::<_, std::io::Error>(bytes::Bytes::from(rows))
    });
    let head = futures_util::stream::once(async { Ok(bytes::Bytes::from_static(b"phone,name,city\n")) });
    let body = reqwest::Body::wrap_stream(futures_util::StreamExt::chain(head, parts));
    let (author, at) = (stage.author.clone(), format!("{}?variables=city", path(id, "/recipients")));
    let upload = tokio::spawn(async move { put_file(&author, &at, "text/csv", body).await });
    while stage.house.api.intakes.under_way() == 0 {
        tokio::task::yield_now().await;
    }
    let (status, body) = stage.author.patch(&path(id, ""), json!({"version": 1, "name": "Other"})).await;
    assert_eq!(status, 200, "{body}");
    begin.send(()).unwrap();
    let (status, body) = upload.await.unwrap();
    assert_eq!((status, code(&body)), (409, "version_changed"), "{body}");
    let campaign = stage.stored(id).await;
    assert_eq!((campaign.name.as_str(), campaign.recipients), ("Other", 1));
    assert_eq!(stage.numbers(id).await, [491_511_234_567]);
    assert_eq!(
        list_files(&stage.house),
        Vec::<String>::new(),
        "neither the file's list nor its narrower copy"
    );
    stage.house.close().await;
}

#[tokio::test]
async fn a_list_too_many_is_told_to_come_again_on_every_way_in() {
    let stage = Stage::open().await;
    let id = stage.create(json!({})).await;
    let permits: Vec<_> = (0..crate::api::authoring::upload::MAX_INTAKES)
        .map(|_| stage.house.api.intakes.permit().unwrap())
        .collect();
    for (status, body) in [stage.send(json!({})).await, put(&stage.author, id, &lines(3)).await] {
        assert_eq!((status, code(&body)), (429, "rate_limited"), "{body}");
    }
    drop(permits);
    assert_eq!(put(&stage.author, id, &lines(3)).await.0, 200);
    stage.house.close().await;
}
