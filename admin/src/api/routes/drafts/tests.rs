//! The wizard over real HTTP: fields, uploads whole and cut, preview, submit.

#![expect(clippy::unwrap_used, reason = "tests")]

use crate::api::testing::{Client, House, code, read};
use engine::model::{
    CampaignNo, Draft, EntityId, KeyScope, Policies, Principal, Revision, RevisionStatus, Sender, SenderId,
    Terms, UserId, Workspace,
};
use engine::store::{Catalog, Change, Entity, Expect, Journal, Kind, Scope, StoreError};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use uuid::Uuid;

/// A sender of the workspace whose first revision stands so.
pub(in crate::api::routes) async fn sender(
    house: &House,
    workspace: &Workspace,
    saddr: &str,
    status: RevisionStatus,
) -> SenderId {
    let id = SenderId(Uuid::now_v7());
    let sender = Sender {
        id,
        workspace_id: workspace.id,
        name: format!("{saddr} {}", Uuid::now_v7()),
        rate_per_s: 0,
        version: 0,
        created_at: Timestamp::now(),
        archived_at: None,
        active: None,
    };
    house.put(Entity::Sender(sender)).await;
    revision(house, workspace, (id, 1, saddr), status).await;
    id
}

/// Another revision of a sender.
pub(in crate::api::routes) async fn revision(
    house: &House,
    workspace: &Workspace,
    (sender_id, n, saddr): (SenderId, u32, &str),
    status: RevisionStatus,
) {
    let person = UserId(Uuid::now_v7());
    let revision = Revision {
        id: Uuid::now_v7(),
        sender_id,
        workspace_id: workspace.id,
        n,
        saddr: saddr.to_owned(),
        ston: 5,
        snpi: 0,
        status,
        version: 0,
        created_by: person,
        submitted_by: None,
        decided_by: (status == RevisionStatus::Approved).then_some(person),
        self_approved: false,
        registration_ref: None,
        note: None,
        created_at: Timestamp::now(),
        decided_at: None,
        archived_at: None,
    };
    house.put(Entity::Revision(revision)).await;
}

/// Stores another version of a workspace.
pub(in crate::api::routes) async fn set_workspace(
    house: &House,
    workspace: &Workspace,
    policies: Policies,
    terms: Terms,
) {
    let next = Workspace { policies, terms, version: workspace.version + 1, ..workspace.clone() };
    let (expect, entity) = (Expect::Version(workspace.version), Entity::Workspace(next));
    let change = Change { scope: Scope::Platform, expect, entity, action: "test.update" };
    house.store.apply(vec![change], &Principal::engine(), Timestamp::now()).await.unwrap();
}

pub(in crate::api::routes) async fn put(
    client: &Client,
    path: &str,
    media: &str,
    body: impl Into<reqwest::Body>,
) -> (u16, Value) {
    let request = client.request(Method::PUT, path).header("content-type", media).body(body);
    read(request.send().await.unwrap()).await
}

async fn draft(house: &House, workspace: &Workspace, id: &str) -> Draft {
    let id = EntityId(id.parse().unwrap());
    match house.store.get(Scope::Workspace(workspace.id), Kind::Draft, id).await.unwrap() {
        Entity::Draft(draft) => draft,
        other => panic!("{other:?}"),
    }
}

async fn actions(house: &House, workspace: &Workspace) -> Vec<String> {
    let events = house.store.audit(Scope::Workspace(workspace.id), 0).await.unwrap();
    events.into_iter().map(|event| event.action).filter(|action| !action.starts_with("test.")).collect()
}

/// Files in the store's directory that belong to lists or to uploads under way.
pub(in crate::api::routes) fn list_files(house: &House) -> Vec<String> {
    let directory = house.api.intakes.scratch.parent().unwrap().to_owned();
    let names = |path| {
        std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap())
    };
    let mut found: Vec<String> = names(directory)
        .filter(|name| name.starts_with("upload-") || name.starts_with("campaign-") && name.ends_with(".db"))
        .chain(names(house.api.intakes.scratch.clone()))
        .collect();
    found.sort();
    found
}

/// So many different numbers, a line each.
pub(in crate::api::routes) fn lines(count: u64) -> String {
    (0..count).map(|n| format!("+49151{n:08}\n")).collect()
}

async fn begin(client: &Client, slug: &str, fields: Value) -> String {
    let (status, body) = client.post(&format!("/w/{slug}/drafts"), fields).await;
    assert_eq!(status, 201, "{body}");
    body["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_draft_is_filled_in_step_by_step_and_becomes_a_campaign_of_its_id() {
    let house = House::open().await;
    let workspace = house.workspace("shop").await;
    let author = house.member(&workspace, "Author").await;
    let sender = sender(&house, &workspace, "Shop", RevisionStatus::Approved).await;
    let id = begin(&author, "shop", json!({"name": " Sale ", "mode": "On-demand"})).await;
    let path = format!("/w/shop/drafts/{id}");
    let (status, body) = author.patch(&path, json!({"text": "Hello {name}", "sender_id": sender})).await;
    assert_eq!((status, body["mode"].as_str(), body["version"].as_u64()), (200, Some("OnDemand"), Some(1)));
    let file = "phone;name\n+49 170 1234567;Ann\n0049-170-1234567;Bob\nx;Cid\n+491707654321;Dan\n";
    let (status, body) =
        put(&author, &format!("{path}/recipients?delimiter=;&header=true"), "text/csv", file).await;
    assert_eq!(status, 200, "{body}");
    let counts =
        ["accepted", "duplicate", "invalid", "lines", "bytes"].map(|name| body[name].as_u64().unwrap());
    assert_eq!(counts, [2, 1, 1, 5, file.len() as u64]);
    assert_eq!(body["invalid_by_reason"], json!({"line_not_a_number": 1}));
    assert_eq!((&body["columns"], &body["variables"]), (&json!(["phone", "name"]), &json!(["name"])));
    assert!(
        body["sample"][0].as_str().unwrap().ends_with("4567") && !body.to_string().contains("1701234567")
    );
    let (status, csv) = author.get(&format!("{path}/recipients/rejects")).await;
    let csv = csv.as_str().unwrap().to_owned();
    assert!(
        status == 200 && csv.contains("\r\n4,line_not_a_number,x,") && csv.contains("\r\n3,line_duplicate,"),
        "{csv}"
    );
    assert!(!csv.contains("1701234567"));
    let (status, preview) = author.send(Method::POST, &format!("{path}/preview"), None).await;
    assert_eq!(
        (status, &preview["refusal"], preview["encoding"].as_str()),
        (200, &Value::Null, Some("gsm7"))
    );
    assert_eq!(preview["samples"][1]["text"], "Hello Dan");
    assert_eq!(
        (preview["segments_max"].as_u64(), preview["per_day"][0]["recipients"].as_u64()),
        (Some(1), Some(2))
    );
    let request = author.request(Method::POST, &format!("{path}/submit")).send().await.unwrap();
    let location = request.headers()["location"].to_str().unwrap().to_owned();
    let (status, body) = read(request).await;
    assert_eq!((status, location), (201, format!("/api/v1/w/shop/campaigns/{id}")), "{body}");
    assert_eq!((body["id"].as_str(), body["status"].as_str()), (Some(id.as_str()), Some("New")));
    assert_eq!(
        (&body["name"], &body["saddr"], &body["auto_start"]),
        (&json!("Sale"), &json!("Shop"), &json!(false))
    );
    assert_eq!(body["counts"]["total"], 2);
    let expected = ["draft.create", "draft.update", "recipients.upload", "draft.submit", "campaign.create"];
    assert_eq!(actions(&house, &workspace).await, expected);
    let campaign = engine::model::CampaignId(id.parse().unwrap());
    let errors = house.store.job_errors(Scope::Workspace(workspace.id), campaign, 0, 10).await.unwrap();
    assert_eq!(errors.noted, 2);
    for (method, path) in [(Method::POST, format!("{path}/submit")), (Method::PATCH, path.clone())] {
        let (status, body) = author.send(method, &path, Some(json!({}))).await;
        assert_eq!((status, code(&body)), (409, "state_conflict"));
    }
    house.close().await;
}

#[tokio::test]
async fn only_its_author_and_admins_get_at_a_draft_and_a_foreign_one_is_not_there() {
    let house = House::open().await;
    let (shop, other) = (house.workspace("shop").await, house.workspace("other").await);
    let (author, second) = (house.member(&shop, "Author").await, house.member(&shop, "Author").await);
    let (admin, stranger) = (house.member(&shop, "Admin").await, house.member(&other, "Admin").await);
    let moderator = house.member(&shop, "Moderator").await;
    let id = begin(&author, "shop", json!({"name": "a"})).await;
    let before = draft(&house, &shop, &id).await;
    let calls = |slug: &str| {
        let path = format!("/w/{slug}/drafts/{id}");
        [
            (Method::GET, path.clone()),
            (Method::PATCH, path.clone()),
            (Method::DELETE, path.clone()),
            (Method::DELETE, format!("{path}/recipients")),
            (Method::GET, format!("{path}/recipients/rejects")),
            (Method::POST, format!("{path}/preview")),
            (Method::POST, format!("{path}/submit")),
        ]
    };
    let refused = [
        (&second, "shop", 403),
        (&moderator, "shop", 403),
        (&stranger, "shop", 404),
        (&stranger, "other", 404),
    ];
    for (client, slug, expected) in refused {
        for (method, path) in calls(slug) {
            let body = (method == Method::PATCH).then(|| json!({"name": "b"}));
            let (status, body) = client.send(method.clone(), &path, body).await;
            assert_eq!(status, expected, "{method} {path}: {body}");
        }
        let upload = format!("/w/{slug}/drafts/{id}/recipients");
        assert_eq!(put(client, &upload, "text/plain", "+491701234567").await.0, expected);
    }
    assert_eq!(draft(&house, &shop, &id).await, before);
    assert_eq!(second.get("/w/shop/drafts").await.1["items"], json!([]));
    assert_eq!(admin.get("/w/shop/drafts").await.1["items"][0]["id"], id.as_str());
    let (status, body) =
        admin.patch(&format!("/w/shop/drafts/{id}"), json!({"version": 9, "name": "b"})).await;
    assert_eq!((status, code(&body)), (409, "version_changed"));
    assert_eq!(admin.delete(&format!("/w/shop/drafts/{id}")).await.0, 204);
    assert_eq!(author.get(&format!("/w/shop/drafts/{id}")).await.0, 404);
    house.close().await;
}

#[tokio::test]
async fn unknown_fields_and_wrong_values_of_a_draft_are_refused() {
    let house = House::open().await;
    let workspace = house.workspace("shop").await;
    let author = house.member(&workspace, "Author").await;
    let table = [
        (json!({"nome": "a"}), 400, "malformed"),
        (json!({"recipients": []}), 400, "malformed"),
        (json!({"mode": "Sometimes"}), 422, "invalid"),
        (json!({"dton": 300}), 422, "invalid"),
        (json!({"name": "a\nb"}), 422, "invalid"),
        (json!({"sender_id": "x"}), 422, "invalid"),
        (json!({"window": {"from": "2026-01-01T00:00", "until": ""}}), 400, "malformed"),
    ];
    for (body, status, expected) in table {
        let (found, answer) = author.post("/w/shop/drafts", body.clone()).await;
        assert_eq!((found, code(&answer)), (status, expected), "{body}: {answer}");
    }
    house.close().await;
}

#[tokio::test]
async fn a_submit_tells_everything_that_is_wrong_at_once() {
    let house = House::open().await;
    let workspace = house.workspace("shop").await;
    let author = house.member(&workspace, "Author").await;
    let pending = sender(&house, &workspace, "Later", RevisionStatus::PendingApproval).await;
    let approved = sender(&house, &workspace, "Shop", RevisionStatus::Approved).await;
    let whole = json!({"name": "a", "mode": "OnDemand", "text": "Hello", "sender_id": approved});
    let with = |change: Value| {
        let mut fields = whole.clone();
        fields.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        fields
    };
    let far = json!({"from": "2099-01-01T10:00", "to": "2099-01-01T10:30"});
    let table = [
        (with(json!({"sender_id": pending})), "sender_not_approved", vec!["sender_id"]),
        (with(json!({"sender_id": Uuid::now_v7()})), "sender_not_approved", vec!["sender_id"]),
        (with(json!({"sender_id": null})), "sender_missing", vec!["sender_id"]),
        (with(json!({"saddr": "Later"})), "sender_not_approved", vec!["saddr"]),
        (with(json!({"ston": 1})), "sender_not_approved", vec!["ston"]),
        (with(json!({"text": "{name}"})), "invalid", vec!["text"]),
        (with(json!({"text": "Hello {name}"})), "invalid", vec!["text"]),
        (with(json!({"channel": "none"})), "invalid", vec!["channel"]),
        (with(json!({"dton": 7, "dnpi": 2})), "invalid", vec!["dton", "dnpi"]),
        (with(json!({"time_zone": "Mars/Base"})), "invalid", vec!["time_zone"]),
        (with(json!({"mode": "OnTime"})), "invalid", vec!["start_at"]),
        (with(json!({"start_at": "2099-01-01T10:00"})), "invalid", vec!["start_at"]),
        (with(json!({"mode": "OnTime", "start_at": "2001-01-01T10:00"})), "invalid", vec!["start_at"]),
        (with(json!({"ignore_daily_window": true})), "invalid", vec!["ignore_daily_window"]),
        (with(json!({"mode": "Trigger"})), "invalid", vec!["recipients"]),
        (
            with(json!({"mode": "Spread", "window": far, "daily_limit": 1})),
            "plan_infeasible",
            vec!["daily_limit"],
        ),
        (json!({}), "invalid", vec!["name", "mode", "text", "sender_id"]),
    ];
    for (fields, expected, wrong) in table {
        let id = begin(&author, "shop", fields.clone()).await;
        let path = format!("/w/shop/drafts/{id}");
        // No column of this file has a name, so that a text with a variable is uploaded for with another text.
        let upload = author.patch(&path, json!({"text": "Hello"})).await;
        assert_eq!(upload.0, 200);
        assert_eq!(put(&author, &format!("{path}/recipients"), "text/plain", lines(2)).await.0, 200);
        let text = fields["text"].clone();
        assert_eq!(author.patch(&path, json!({"text": text})).await.0, 200);
        let (status, body) = author.send(Method::POST, &format!("{path}/submit"), None).await;
        let found: Vec<_> =
            body["errors"].as_array().unwrap().iter().map(|e| e["field"].as_str().unwrap()).collect();
        assert_eq!((status, code(&body), found), (422, expected, wrong), "{fields}: {body}");
        let (status, preview) = author.send(Method::POST, &format!("{path}/preview"), None).await;
        assert_eq!((status, preview["refusal"].is_string()), (200, true), "{preview}");
        assert_eq!(author.delete(&path).await.0, 204);
    }
    let id = begin(&author, "shop", whole).await;
    let (status, body) = author.send(Method::POST, &format!("/w/shop/drafts/{id}/submit"), None).await;
    assert_eq!((status, code(&body)), (422, "no_recipients"));
    house.close().await;
}

#[tokio::test]
async fn of_many_submits_at_once_one_makes_the_campaign() {
    let house = House::open().await;
    let workspace = house.workspace("shop").await;
    let author = house.member(&workspace, "Author").await;
    let sender = sender(&house, &workspace, "Shop", RevisionStatus::Approved).await;
    let fields = json!({"name": "a", "mode": "Trigger", "text": "Code {code}", "sender_id": sender});
    let id = begin(&author, "shop", fields).await;
    let path = format!("/w/shop/drafts/{id}/submit");
    let calls = (0..8).map(|_| {
        let (author, path) = (author.clone(), path.clone());
        tokio::spawn(async move { author.send(Method::POST, &path, None).await.0 })
    });
    let mut statuses = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        statuses.push(call.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
    let created = actions(&house, &workspace).await.into_iter().filter(|action| action == "campaign.create");
    assert_eq!(created.count(), 1);
    house.close().await;
}

#[tokio::test]
async fn a_column_that_the_text_no_longer_names_is_left_out_of_the_list() {
    let house = House::open().await;
    let workspace = house.workspace("shop").await;
    let author = house.member(&workspace, "Author").await;
    let sender = sender(&house, &workspace, "Shop", RevisionStatus::Approved).await;
    let fields = json!({"name": "a", "mode": "OnDemand", "text": "{city}: {name}!", "sender_id": sender});
    let id = begin(&author, "shop", fields).await;
    let path = format!("/w/shop/drafts/{id}");
    let file: String = (0..5_000).map(|n| format!("+49151{n:08},Ann {n},Rome\n")).collect();
    let file = format!("phone,name,city\n{file}");
    assert_eq!(put(&author, &format!("{path}/recipients"), "text/csv", file).await.0, 200);
    assert_eq!(author.patch(&path, json!({"text": "Hello {name}"})).await.0, 200);
    let former = draft(&house, &workspace, &id).await.no;
    let (status, body) = author.send(Method::POST, &format!("{path}/submit"), None).await;
    assert_eq!(status, 201, "{body}");
    let gone = house.store.header(former).await;
    assert!(matches!(gone, Err(StoreError::NotFound)), "{gone:?}");
    let id = EntityId(id.parse().unwrap());
    let Entity::Campaign(campaign) =
        house.store.get(Scope::Workspace(workspace.id), Kind::Campaign, id).await.unwrap()
    else {
        panic!("no campaign")
    };
    assert_eq!(campaign.content.variables[0].max_chars, 8);
    let second = house.store.recipients(campaign.no, 1).await.unwrap();
    let values = engine::model::Values::index(&second.values, 1).unwrap();
    assert_eq!((second.numbers.len(), values.row(903).get(0)), (904, Some("Ann 4999")));
    house.close().await;
}

#[tokio::test]
async fn a_body_of_another_kind_or_size_is_refused_and_leaves_the_former_list() {
    let house = House::open().await;
    let workspace = house.workspace("shop").await;
    let author = house.member(&workspace, "Author").await;
    let id = begin(&author, "shop", json!({"name": "a"})).await;
    let path = format!("/w/shop/drafts/{id}/recipients");
    assert_eq!(put(&author, &path, "text/plain", lines(5_000)).await.0, 200);
    let (before, files) = (draft(&house, &workspace, &id).await, list_files(&house));
    assert_eq!(files.len(), 1);
    let table = [
        (path.clone(), "application/json", 415, "unsupported_media_type"),
        (format!("{path}?delimiter=x"), "text/csv", 400, "bad_parameter"),
        (format!("{path}?number_column=0"), "text/csv", 400, "bad_parameter"),
        (format!("{path}?wrong=1"), "text/csv", 400, "bad_parameter"),
        (format!("{path}?variables=city"), "text/csv", 422, "invalid"),
    ];
    for (path, media, status, expected) in table {
        let (found, body) = put(&author, &path, media, "phone,name\n+491701234567,Ann\n").await;
        assert_eq!((found, code(&body)), (status, expected), "{path}: {body}");
    }
    let quota = before.upload.as_ref().unwrap().bytes + 14;
    let terms = Terms { storage_quota_bytes: Some(quota), ..Terms::default() };
    set_workspace(&house, &workspace, Policies::default(), terms).await;
    let exact = "+491701234567\n";
    let (status, body) = put(&author, &path, "text/plain", format!("{exact}\n")).await;
    assert_eq!((status, code(&body)), (413, "quota_exceeded"));
    // Without a length it is only known while it comes.
    let piecewise = reqwest::Body::wrap(http_body_util::Full::new(bytes::Bytes::from(format!("{exact}\n"))));
    let (status, body) = put(&author, &path, "text/plain", piecewise).await;
    assert_eq!((status, code(&body)), (413, "quota_exceeded"));
    assert_eq!((draft(&house, &workspace, &id).await, list_files(&house)), (before, files));
    assert_eq!(put(&author, &path, "text/plain", exact).await.0, 200);
    assert_eq!(list_files(&house), Vec::<String>::new());
    house.close().await;
}

#[tokio::test]
async fn what_says_that_it_is_too_long_is_refused_before_it_is_sent_and_a_key_may_send_more() {
    let house = House::open().await;
    let workspace = house.workspace("shop").await;
    let author = house.member(&workspace, "Author").await;
    let key = house.key(&workspace, &author, &[KeyScope::CampaignsWrite]).await;
    let id = begin(&author, "shop", json!({"name": "a"})).await;
    let path = format!("/api/v1/w/shop/drafts/{id}/recipients");
    for (client, limit) in [(&author, 50_u64 << 20), (&key, 1 << 30)] {
        let mut stream = raw(client, &path, limit + 1).await;
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, b"HTTP/1.1 413");
    }
    house.close().await;
}

/// A connection on which the head of an upload was sent.
pub(in crate::api::routes) async fn raw(client: &Client, path: &str, length: u64) -> tokio::net::TcpStream {
    let request = client.request(Method::PUT, &format!("/{path}")).build().unwrap();
    let (host, port) = (request.url().host_str().unwrap(), request.url().port().unwrap());
    let mut stream = tokio::net::TcpStream::connect((host, port)).await.unwrap();
    let mut head = format!("PUT {path} HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-type: text/plain\r\n");
    for (name, value) in request.headers() {
        head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    head.push_str(&format!("content-length: {length}\r\n\r\n"));
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_cut_at_any_place_leaves_nothing_and_the_former_list_as_it_was() {
    let house = House::open().await;
    let workspace = house.workspace("shop").await;
    let author = house.member(&workspace, "Author").await;
    let id = begin(&author, "shop", json!({"name": "a"})).await;
    let path = format!("/w/shop/drafts/{id}/recipients");
    assert_eq!(put(&author, &path, "text/plain", lines(5_000)).await.0, 200);
    let (before, files) = (draft(&house, &workspace, &id).await, list_files(&house));
    let file = lines(100_000);
    for cut in [1, file.len() / 2, file.len() - 1] {
        let mut stream = raw(&author, &format!("/api/v1{path}"), file.len() as u64).await;
        stream.write_all(&file.as_bytes()[..cut]).await.unwrap();
        drop(stream);
        // Every right to write a list comes back: the cut upload is over then.
        let all = u32::try_from(crate::api::authoring::upload::MAX_INTAKES).unwrap();
        house.api.intakes.until_idle(all).await;
        assert_eq!(
            (draft(&house, &workspace, &id).await, list_files(&house)),
            (before.clone(), files.clone())
        );
        assert_eq!(house.store.header(before.no).await.unwrap().recipients, 5_000);
        // The number that the cut upload had was not used.
        let unused = house.store.header(CampaignNo(before.no.0 + 1)).await;
        assert!(matches!(unused, Err(StoreError::NotFound)), "{unused:?}");
    }
    house.close().await;
}

#[tokio::test]
async fn a_list_too_many_is_told_to_come_again() {
    let house = House::open().await;
    let workspace = house.workspace("shop").await;
    let author = house.member(&workspace, "Author").await;
    let id = begin(&author, "shop", json!({"name": "a"})).await;
    let path = format!("/w/shop/drafts/{id}/recipients");
    let permits: Vec<_> = (0..crate::api::authoring::upload::MAX_INTAKES)
        .map(|_| house.api.intakes.permit().unwrap())
        .collect();
    let request =
        author.request(Method::PUT, &path).header("content-type", "text/plain").body("+491701234567");
    let response = request.send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers().contains_key("retry-after")), (429, true));
    drop(permits);
    assert_eq!(put(&author, &path, "text/plain", "+491701234567").await.0, 200);
    house.close().await;
}

#[tokio::test]
async fn whoever_had_a_hand_in_a_draft_does_not_approve_what_becomes_of_it() {
    let house = House::open().await;
    let workspace = house.workspace("shop").await;
    let (author, dan, eve) = (
        house.member(&workspace, "Author").await,
        house.member(&workspace, "Admin").await,
        house.member(&workspace, "Admin").await,
    );
    let sender = sender(&house, &workspace, "Shop", RevisionStatus::Approved).await;
    let fields = json!({"name": "a", "mode": "OnDemand", "text": "Hello", "sender_id": sender});
    let id = begin(&author, "shop", fields).await;
    let path = format!("/w/shop/drafts/{id}");
    assert_eq!(dan.patch(&path, json!({"text": "Call 0900"})).await.0, 200);
    assert_eq!(put(&eve, &format!("{path}/recipients"), "text/plain", lines(2)).await.0, 200);
    assert_eq!(author.send(Method::POST, &format!("{path}/submit"), None).await.0, 201);
    let campaign = format!("/w/shop/campaigns/{id}");
    for (version, editor) in [(1, &eve), (2, &author)] {
        for own in [&author, &dan, &eve] {
            let (status, body) = own.post(&format!("{campaign}/approve"), json!({"version": version})).await;
            let refusal = (status, code(&body));
            assert!(
                matches!(refusal, (403, "self_approval_forbidden" | "forbidden")),
                "{version}: {refusal:?} {body}"
            );
        }
        // A later edit by another one frees nobody.
        assert_eq!(editor.patch(&campaign, json!({"version": version, "name": "b"})).await.0, 200);
    }
    let moderator = house.member(&workspace, "Moderator").await;
    assert_eq!(moderator.post(&format!("{campaign}/approve"), json!({"version": 3})).await.0, 200);
    house.close().await;
}

#[tokio::test]
async fn names_that_differ_in_case_mean_the_column_that_the_samples_show() {
    let house = House::open().await;
    let workspace = house.workspace("shop").await;
    let author = house.member(&workspace, "Author").await;
    let sender = sender(&house, &workspace, "Shop", RevisionStatus::Approved).await;
    let fields = json!({"name": "a", "mode": "OnDemand", "text": "{name}, {Name}", "sender_id": sender});
    let id = begin(&author, "shop", fields).await;
    let path = format!("/w/shop/drafts/{id}");
    let file = "phone,name,city\n+4915100000001,Ann,Rome\n";
    let (status, body) =
        put(&author, &format!("{path}/recipients?variables=name,city"), "text/csv", file).await;
    assert_eq!(status, 200, "{body}");
    let (_, preview) = author.send(Method::POST, &format!("{path}/preview"), None).await;
    assert_eq!(preview["samples"][0]["text"], "Ann, Ann");
    let (status, body) = author.send(Method::POST, &format!("{path}/submit"), None).await;
    assert_eq!(status, 201, "{body}");
    let id = EntityId(id.parse().unwrap());
    let Entity::Campaign(campaign) =
        house.store.get(Scope::Workspace(workspace.id), Kind::Campaign, id).await.unwrap()
    else {
        panic!("no campaign")
    };
    let list = house.store.recipients(campaign.no, 0).await.unwrap();
    let values = engine::model::Values::index(&list.values, campaign.content.variables.len()).unwrap();
    let sent: Vec<_> = (0..campaign.content.variables.len()).map(|at| values.row(0).get(at)).collect();
    assert!(sent.iter().all(|value| *value == Some("Ann")), "{sent:?}");
    house.close().await;
}
