//! Exports: queued, complete, masked, expired, and of no use to spreadsheets' formulas.

use super::*;
use crate::api::exports::Worker;
use crate::api::testing::{code, read};
use engine::model::{EntityId, Export, ExportFormat, ExportStatus};
use reqwest::Method;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

impl Stage {
    pub(super) async fn export(&self, client: &Client, campaign: CampaignId, body: Value) -> String {
        let (status, body) = client.post(&path(campaign, "/exports"), body).await;
        assert_eq!((status, body["status"].as_str()), (202, Some("queued")), "{body}");
        body["id"].as_str().unwrap().to_owned()
    }

    pub(super) async fn until_export(&self, id: &str, status: &str) -> Value {
        for _ in 0..100_000 {
            let (_, body) = self.admin.get(&format!("/w/mine/exports/{id}")).await;
            if body["status"] == status {
                return body;
            }
            assert_ne!(body["status"], "failed", "{body}");
        }
        panic!("the export is never {status}");
    }

    pub(super) async fn fetch(&self, client: &Client, id: &str) -> (reqwest::header::HeaderMap, String) {
        let response =
            client.request(Method::GET, &format!("/w/mine/exports/{id}/file")).send().await.unwrap();
        assert_eq!(response.status(), 200);
        (response.headers().clone(), response.text().await.unwrap())
    }

    async fn stored_export(&self, id: &str) -> Export {
        let id = EntityId(id.parse().unwrap());
        match self.house.store.get(Scope::Platform, Kind::Export, id).await.unwrap() {
            Entity::Export(export) => export,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn an_export_is_queued_made_and_fetched_whole() {
    let stage = Stage::open().await;
    let id = stage.done(5_000).await;
    let csv = stage.export(&stage.author, id, json!({"format": "csv"})).await;
    let ready = stage.until_export(&csv, "ready").await;
    assert_eq!((ready["rows"].as_u64(), ready["expires_at"].is_string()), (Some(5_000), true));
    let (headers, text) = stage.fetch(&stage.author, &csv).await;
    assert_eq!(headers["content-length"], text.len().to_string());
    assert_eq!(ready["bytes"], text.len());
    assert_eq!(headers["content-disposition"], format!("attachment; filename=\"export-{csv}.csv\""));
    let lines: Vec<&str> = text.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 5_001);
    assert!(lines[0].starts_with("id,ctn_hash,number,status,"));
    assert!(lines[1..].iter().all(|line| line.contains(",••••••") && line.contains(",delivered,")));
    assert!(!text.contains("491510000"), "no full number");
    let file = stage.house.api.exports.path(csv.parse().unwrap());
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let note = stage.events(EntityId(csv.parse().unwrap())).await.pop().unwrap();
    assert_eq!((note.action.as_str(), note.by.user_id), ("export.download", Some(stage.author.user)));
    let none = stage.export(&stage.author, id, json!({"format": "txt", "status": "failed"})).await;
    assert_eq!(stage.until_export(&none, "ready").await["rows"], 0);
    assert_eq!(stage.fetch(&stage.author, &none).await.1, "");
    let wanted = json!({"format": "txt", "status": ["delivered"], "full_numbers": true});
    let full = stage.export(&stage.admin, id, wanted).await;
    stage.until_export(&full, "ready").await;
    let (_, text) = stage.fetch(&stage.admin, &full).await;
    let numbers: Vec<u64> = text.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(numbers, (FIRST..FIRST + 5_000).collect::<Vec<_>>());
    let created = stage.actions(EntityId(full.parse().unwrap())).await;
    assert_eq!(created[0], "export.create_full_numbers");
    stage.house.close().await;
}

#[tokio::test]
async fn an_export_is_handed_only_to_whom_it_is_open() {
    let stage = Stage::open().await;
    let id = stage.done(1).await;
    let at = path(id, "/exports");
    for (client, body, expected) in [
        (&stage.author, json!({"format": "csv", "full_numbers": true}), (403, "forbidden")),
        (&stage.moderator, json!({"format": "csv", "full_numbers": true}), (403, "forbidden")),
        (&stage.other, json!({"format": "csv"}), (403, "not_yours")),
        (&stage.stranger, json!({"format": "csv"}), (404, "not_found")),
        (&stage.admin, json!({"format": "pdf"}), (422, "invalid")),
        (&stage.admin, json!({"format": "csv", "status": "New"}), (422, "invalid")),
        (&stage.admin, json!({"format": "csv", "name": "../x"}), (400, "malformed")),
    ] {
        let (status, answer) = client.post(&at, body.clone()).await;
        assert_eq!((status, code(&answer)), expected, "{body}");
    }
    let masked = stage.export(&stage.author, id, json!({"format": "csv"})).await;
    let full = stage.export(&stage.admin, id, json!({"format": "csv", "full_numbers": true})).await;
    for export in [&masked, &full] {
        stage.until_export(export, "ready").await;
        for rest in ["", "/file"] {
            let at = format!("/w/mine/exports/{export}{rest}");
            assert_eq!(stage.stranger.get(&at).await.0, 404);
            assert_eq!(stage.other.get(&at).await.0, 403);
        }
        assert_eq!(stage.stranger.get(&format!("/w/foreign/exports/{export}/file")).await.0, 404);
    }
    assert_eq!(stage.moderator.get(&format!("/w/mine/exports/{masked}/file")).await.0, 200);
    let (status, body) = stage.moderator.get(&format!("/w/mine/exports/{full}/file")).await;
    assert_eq!((status, code(&body)), (403, "forbidden"));
    stage.house.close().await;
}

#[tokio::test]
async fn what_has_expired_is_gone_from_the_disk_and_says_so() {
    let stage = Stage::open().await;
    let id = stage.done(1).await;
    let export = stage.export(&stage.author, id, json!({"format": "csv"})).await;
    stage.until_export(&export, "ready").await;
    let file = stage.house.api.exports.path(export.parse().unwrap());
    assert!(file.exists());
    let stored = stage.stored_export(&export).await;
    let version = stored.version + 1;
    let past = Some(Timestamp::now() - SignedDuration::from_secs(1));
    stage.change(Entity::Export(Export { expires_at: past, version, ..stored })).await;
    let fetch = format!("/w/mine/exports/{export}/file");
    let (status, body) = stage.author.get(&fetch).await;
    assert_eq!((status, code(&body)), (410, "gone"), "also before the file is removed");
    stage.house.api.exports.ring();
    stage.until_export(&export, "expired").await;
    assert!(!file.exists());
    assert_eq!(stage.author.get(&fetch).await.0, 410);
    stage.house.close().await;
}

#[tokio::test]
async fn what_a_process_left_half_done_is_made_anew_and_strange_files_are_removed() {
    let stage = Stage::open().await;
    let id = stage.done(10).await;
    let half = Export {
        id: Uuid::now_v7(),
        workspace_id: stage.workspace.id,
        campaign_id: id,
        format: ExportFormat::Txt,
        statuses: Vec::new(),
        full_numbers: false,
        status: ExportStatus::Running,
        rows: 0,
        bytes: 0,
        reason: None,
        created_by: stage.author.user,
        version: 0,
        created_at: Timestamp::now(),
        expires_at: None,
    };
    let half_id = half.id.to_string();
    stage.house.put(Entity::Export(half)).await;
    let part = stage.house.api.exports.path(Uuid::nil()).with_file_name(format!("{half_id}.part"));
    let strange = stage.house.api.exports.path(Uuid::now_v7());
    for file in [&part, &strange] {
        std::fs::write(file, "half").unwrap();
    }
    let fetch = format!("/w/mine/exports/{half_id}/file");
    assert_eq!(code(&stage.author.get(&fetch).await.1), "state_conflict");
    let next = Worker::start(Arc::clone(&stage.house.api)).unwrap();
    let ready = stage.until_export(&half_id, "ready").await;
    assert_eq!(ready["rows"], 10);
    assert!(!part.exists() && !strange.exists());
    let actions = stage.actions(EntityId(half_id.parse().unwrap())).await;
    assert_eq!(actions, ["test.create", "export.queue_again", "export.run", "export.ready"]);
    next.end();
    stage.house.close().await;
}

#[tokio::test]
async fn no_workspace_fills_the_queue_or_the_disk() {
    let stage = Stage::open().await;
    let id = stage.new_one(Like::of(Mode::OnDemand, 1)).await;
    let mut taken = 0;
    loop {
        let request =
            stage.author.request(Method::POST, &path(id, "/exports")).json(&json!({"format": "txt"}));
        let (status, body) = read(request.send().await.unwrap()).await;
        if status != 202 {
            assert_eq!((status, code(&body)), (429, "rate_limited"));
            break;
        }
        taken += 1;
    }
    assert_eq!(taken, crate::api::exports::MAX_OF_WORKSPACE);
    stage.house.close().await;
}
