//! Templates and their versions: the whole life, every refusal, and what the moderation queue says about a campaign.

#![expect(clippy::unwrap_used, reason = "tests")]

use crate::api::templates::{MAX_OF_ONE, MAX_PENDING, MAX_TEMPLATES, MAX_VERSIONS};
use crate::api::testing::{Client, House, code};
use engine::model::{
    MessageTemplate, Principal, RevisionStatus, TemplateId, TemplateVersion, UserId, Workspace,
};
use engine::store::{Catalog, Change, Entity, Expect, Scope};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

const TEXT: &str = "Your code is 4711.";

/// A template's path, made by this client.
async fn template(by: &Client, slug: &str, name: &str) -> String {
    let (status, body) = by.post(&format!("/w/{slug}/templates"), json!({ "name": name })).await;
    assert_eq!((status, &body["status"]), (201, &json!("Draft")), "{body}");
    format!("/w/{slug}/templates/{}", body["id"].as_str().unwrap())
}

/// A version's path.
async fn version(by: &Client, template: &str, text: &str, submit: bool) -> String {
    let body = json!({ "text": text, "submit": submit });
    let (status, body) = by.post(&format!("{template}/versions"), body).await;
    assert_eq!((status, &body["text"]), (201, &json!(text)), "{body}");
    format!("{template}/versions/{}", body["n"])
}

async fn approve(by: &Client, version: &str) -> (u16, Value) {
    by.post(&format!("{version}/approve"), json!({})).await
}

async fn reject(by: &Client, version: &str) -> (u16, Value) {
    by.post(&format!("{version}/reject"), json!({ "note": "no" })).await
}

/// How often each action about templates was done.
async fn actions(house: &House, workspace: &Workspace) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for action in house.actions(Scope::Workspace(workspace.id)).await {
        if action.starts_with("template") {
            *times.entry(action).or_default() += 1;
        }
    }
    times
}

fn times(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    expected.iter().map(|(action, times)| ((*action).to_owned(), *times)).collect()
}

async fn store(house: &House, workspace: &Workspace, entities: Vec<Entity>) {
    let scope = Scope::Workspace(workspace.id);
    let change = |entity| Change { scope, expect: Expect::Absent, entity, action: "test.create" };
    let changes = entities.into_iter().map(change).collect();
    house.store.apply(changes, &Principal::engine(), house.api.now()).await.unwrap();
}

/// The workspace `acme` with an author, a moderator and an admin.
struct Scene {
    house: House,
    acme: Workspace,
    author: Client,
    moderator: Client,
    admin: Client,
}

async fn scene() -> Scene {
    let house = House::open().await;
    let acme = house.workspace("acme").await;
    let (author, moderator) = (house.member(&acme, "Author").await, house.member(&acme, "Moderator").await);
    let admin = house.member(&acme, "Admin").await;
    Scene { house, acme, author, moderator, admin }
}

#[tokio::test]
async fn a_template_goes_from_draft_to_approved_and_a_newer_version_takes_its_place() {
    let Scene { house, acme, author, moderator, .. } = scene().await;
    let path = template(&author, "acme", " Code ").await;
    let first = version(&author, &path, TEXT, false).await;
    assert_eq!(code(&approve(&moderator, &first).await.1), "state_conflict");
    let (status, body) = author.post(&format!("{first}/submit"), json!({})).await;
    assert_eq!((status, &body["status"]), (200, &json!("PendingApproval")));
    assert_eq!(code(&author.post(&format!("{first}/submit"), json!({})).await.1), "state_conflict");
    let (status, body) = approve(&moderator, &first).await;
    assert_eq!(
        (status, &body["status"], &body["decided_by"]),
        (200, &json!("Approved"), &json!(moderator.user))
    );
    let second = version(&author, &path, "Code: {code}", true).await;
    let (_, body) = author.get(&path).await;
    assert_eq!(
        (&body["name"], &body["status"], &body["active"]["n"]),
        (&json!("Code"), &json!("Approved"), &json!(1))
    );
    assert_eq!(approve(&moderator, &second).await.0, 200);
    let third = version(&author, &path, "Code", true).await;
    let (status, body) = reject(&moderator, &third).await;
    assert_eq!((status, &body["status"], &body["note"]), (200, &json!("Rejected"), &json!("no")));
    let (_, body) = author.get(&path).await;
    let statuses: Vec<_> = body["versions"].as_array().unwrap().iter().map(|v| v["status"].clone()).collect();
    assert_eq!(statuses, ["Rejected", "Approved", "Archived"]);
    assert_eq!(body["active"], body["versions"][1]);
    for method in [Method::PATCH, Method::PUT] {
        let (status, _) = author.send(method, &second, Some(json!({ "text": "Else" }))).await;
        assert!([404, 405].contains(&status), "{status}");
    }
    let expected = [
        ("template.create", 1),
        ("template_version.create", 1),
        ("template_version.submit", 3),
        ("template_version.approve", 2),
        ("template_version.reject", 1),
        ("template_version.archive", 1),
        ("template.activate", 2),
    ];
    assert_eq!(actions(&house, &acme).await, times(&expected));
    house.close().await;
}

#[tokio::test]
async fn every_wrong_name_text_and_note_is_refused_with_its_field_and_keeps_nothing() {
    let Scene { house, acme, author, moderator, .. } = scene().await;
    for name in ["", " ", "a\nb", &"x".repeat(201)] {
        let (status, body) = author.post("/w/acme/templates", json!({ "name": name })).await;
        assert_eq!((status, &body["errors"][0]["field"]), (422, &json!("name")), "{body}");
    }
    let path = template(&author, "acme", "Code").await;
    assert_eq!(code(&author.post("/w/acme/templates", json!({ "name": "CODE" })).await.1), "taken");
    let (long, parts) = ("x".repeat(4_097), "x".repeat(2_449));
    for (text, word) in [
        ("", "text_invalid"),
        ("a\u{0}b", "text_invalid"),
        ("Hello {name} {", "text_invalid"),
        ("{name}", "text_invalid"),
        (&parts, "text_invalid"),
        (&long, "too_long"),
    ] {
        let (status, body) = author.post(&format!("{path}/versions"), json!({ "text": text })).await;
        let error = &body["errors"][0];
        assert_eq!((status, &error["field"], &error["code"]), (422, &json!("text"), &json!(word)), "{body}");
    }
    for body in [json!({}), json!({ "text": 1 }), json!({ "text": TEXT, "n": 2 })] {
        let (status, _) = author.post(&format!("{path}/versions"), body).await;
        assert!([400, 422].contains(&status), "{status}");
    }
    let pending = version(&author, &path, TEXT, true).await;
    for note in ["", " ", &"x".repeat(1_001)] {
        let (status, body) = moderator.post(&format!("{pending}/reject"), json!({ "note": note })).await;
        assert_eq!((status, &body["errors"][0]["field"]), (422, &json!("note")), "{body}");
    }
    for wrong in ["limit=0", "limit=201", "cursor=x", "status=PendingApproval", "what=1"] {
        assert_eq!(author.get(&format!("/w/acme/templates?{wrong}")).await.0, 400, "{wrong}");
    }
    let expected = [("template.create", 1), ("template_version.submit", 1)];
    assert_eq!(actions(&house, &acme).await, times(&expected));
    house.close().await;
}

#[tokio::test]
async fn nobody_decides_about_their_own_version_and_roles_hold() {
    let Scene { house, acme, author, moderator, admin } = scene().await;
    let flagged = house.member(&acme, "Author+").await;
    assert_eq!(moderator.post("/w/acme/templates", json!({ "name": "Mine" })).await.0, 403);
    let path = template(&author, "acme", "Code").await;
    let draft = version(&author, &path, TEXT, false).await;
    // Another author neither writes to it nor archives it.
    for (step, body) in [("versions", json!({ "text": TEXT })), ("archive", json!({}))] {
        assert_eq!(code(&flagged.post(&format!("{path}/{step}"), body).await.1), "not_yours", "{step}");
    }
    assert_eq!(code(&flagged.post(&format!("{draft}/submit"), json!({})).await.1), "not_yours");
    // A draft of one, submitted by another: neither decides about it.
    assert_eq!(admin.post(&format!("{draft}/submit"), json!({})).await.0, 200);
    assert_eq!(code(&approve(&author, &draft).await.1), "forbidden");
    for (status, body) in [approve(&admin, &draft).await, reject(&admin, &draft).await] {
        assert_eq!((status, code(&body)), (403, "self_approval_forbidden"));
    }
    assert_eq!(approve(&flagged, &draft).await.0, 200);
    let own = version(&admin, &path, "Hello", true).await;
    assert_eq!(code(&approve(&admin, &own).await.1), "self_approval_forbidden");
    let mut granted = acme.clone();
    // Creating the template has counted the workspace up.
    (granted.terms.allow_self_approval, granted.version) = (true, 2);
    house.change(Entity::Workspace(granted), 1).await;
    assert_eq!(approve(&admin, &own).await.0, 200);
    house.close().await;
}

#[tokio::test]
async fn of_twenty_decisions_at_once_exactly_one_is_made() {
    let Scene { house, acme, author, .. } = scene().await;
    let path = template(&author, "acme", "Code").await;
    let pending = version(&author, &path, TEXT, true).await;
    let mut tries = tokio::task::JoinSet::new();
    for n in 0..20 {
        let (by, pending) = (house.member(&acme, "Moderator").await, pending.clone());
        tries.spawn(async move {
            if n % 2 == 0 { approve(&by, &pending).await } else { reject(&by, &pending).await }
        });
    }
    let answers = tries.join_all().await;
    let won: Vec<_> = answers.iter().filter(|(status, _)| *status == 200).collect();
    assert_eq!(won.len(), 1, "{won:?}");
    let decision = won[0].1["status"].as_str().unwrap().to_lowercase();
    for (status, body) in answers.iter().filter(|(status, _)| *status != 200) {
        assert_eq!((*status, code(body), &body["decision"]), (409, "already_decided", &json!(decision)));
    }
    let made = actions(&house, &acme).await;
    let of = |action: &str| made.get(action).copied().unwrap_or(0);
    assert_eq!(of("template_version.approve") + of("template_version.reject"), 1, "{made:?}");
    house.close().await;
}

#[tokio::test]
async fn of_versions_approved_at_once_all_are_and_one_stays_active() {
    let Scene { house, author, moderator, .. } = scene().await;
    let path = template(&author, "acme", "Code").await;
    let mut tries = tokio::task::JoinSet::new();
    for n in 0..6 {
        let (pending, by) = (version(&author, &path, &format!("Text {n}"), true).await, moderator.clone());
        tries.spawn(async move { approve(&by, &pending).await });
    }
    let answers = tries.join_all().await;
    assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
    let (_, body) = author.get(&path).await;
    let mut statuses = BTreeMap::<String, usize>::new();
    for version in body["versions"].as_array().unwrap() {
        *statuses.entry(version["status"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert_eq!(statuses, times(&[("Approved", 1), ("Archived", 5)]));
    assert_eq!(body["active"]["status"], "Approved");
    house.close().await;
}

/// A campaign of this text that waits in the workspace, with an approved sender of its own.
async fn campaign(house: &House, by: &Client, slug: &str, text: &str) -> Value {
    let root = house.another_super_admin().await;
    let saddr = format!("Shop{slug}");
    let new = json!({ "name": "Shop", "saddr": saddr, "ston": 5, "snpi": 0, "registration_ref": "DE 1" });
    let (status, sender) = root.post(&format!("/workspaces/{slug}/senders/provision"), new).await;
    assert_eq!(status, 201, "{sender}");
    let new = json!({
        "name": "Winter", "mode": "OnDemand", "text": text, "sender_id": sender["id"],
        "recipients": [{ "number": "+491701234567" }],
    });
    let (status, body) = by.post(&format!("/w/{slug}/campaigns"), new).await;
    assert_eq!(status, 201, "{body}");
    body
}

/// What the queue and the campaign's own page say that it matches, which is the same but for the lengths of values.
async fn matched(by: &Client, slug: &str, campaign: &Value) -> Value {
    let (_, queue) = by.get(&format!("/w/{slug}/moderation/campaigns")).await;
    let item = queue["items"].as_array().unwrap().iter().find(|item| item["id"] == campaign["id"]).unwrap();
    let (_, one) = by.get(&format!("/w/{slug}/campaigns/{}", campaign["id"].as_str().unwrap())).await;
    let [mut in_queue, alone] =
        [item.clone(), one].map(|answer| answer.get("matches_template").unwrap().clone());
    assert_eq!(in_queue, alone);
    in_queue.as_object_mut().map(|found| found.remove("longest_values"));
    in_queue
}

#[tokio::test]
async fn a_campaign_is_marked_while_its_text_is_an_approved_one_and_still_decided_about() {
    let Scene { house, author, moderator, .. } = scene().await;
    let sent = campaign(&house, &author, "acme", TEXT).await;
    let path = template(&author, "acme", "Code").await;
    let id = path.rsplit('/').next().unwrap();
    let first = version(&author, &path, TEXT, true).await;
    assert_eq!(matched(&moderator, "acme", &sent).await, Value::Null, "not approved yet");
    assert_eq!(approve(&moderator, &first).await.0, 200);
    let mark = json!({ "template_id": id, "name": "Code", "n": 1 });
    assert_eq!(matched(&moderator, "acme", &sent).await, mark);
    let one = format!("/w/acme/campaigns/{}", sent["id"].as_str().unwrap());
    let mut at = sent["version"].as_u64().unwrap();
    for (text, expected) in [
        ("Your code is 4711", Value::Null),
        ("Your code is 4711. ", Value::Null),
        ("your code is 4711.", Value::Null),
        (TEXT, mark.clone()),
    ] {
        let (status, body) = author.patch(&one, json!({ "version": at, "text": text })).await;
        assert_eq!(status, 200, "{body}");
        at = body["version"].as_u64().unwrap();
        assert_eq!(matched(&moderator, "acme", &sent).await, expected, "{text:?}");
    }
    // A rejected version changes nothing; an approved one takes the mark with it.
    assert_eq!(reject(&moderator, &version(&author, &path, "Else", true).await).await.0, 200);
    assert_eq!(matched(&moderator, "acme", &sent).await, mark);
    assert_eq!(approve(&moderator, &version(&author, &path, "Else", true).await).await.0, 200);
    assert_eq!(matched(&moderator, "acme", &sent).await, Value::Null, "version 1 is archived");
    assert_eq!(approve(&moderator, &version(&author, &path, TEXT, true).await).await.0, 200);
    assert_eq!(matched(&moderator, "acme", &sent).await["n"], 4);
    // Of two templates with one text the version that was written first is named.
    let twin = template(&author, "acme", "Twin").await;
    assert_eq!(approve(&moderator, &version(&author, &twin, TEXT, true).await).await.0, 200);
    assert_eq!(matched(&moderator, "acme", &sent).await["name"], "Code");
    assert_eq!(author.post(&format!("{path}/archive"), json!({})).await.0, 200);
    assert_eq!(matched(&moderator, "acme", &sent).await["name"], "Twin");
    let (_, still) = author.get(&one).await;
    assert_eq!((&still["status"], &still["approvals"]), (&json!("New"), &json!([])), "trust decides nothing");
    let (status, body) = moderator.post(&format!("{one}/approve"), json!({ "version": at })).await;
    assert_eq!((status, &body["approved_by"]), (200, &json!(moderator.user)), "{body}");
    assert_eq!(author.post(&format!("{twin}/archive"), json!({})).await.0, 200);
    assert_eq!(author.get(&one).await.1["matches_template"], Value::Null);
    house.close().await;
}

#[tokio::test]
async fn a_template_of_another_workspace_never_matches_and_is_as_absent_as_none() {
    let Scene { house, acme, author, moderator, .. } = scene().await;
    let other = house.workspace("other").await;
    let foreign = house.member(&other, "Admin").await;
    let path = template(&author, "acme", "Code").await;
    let first = version(&author, &path, TEXT, true).await;
    assert_eq!(approve(&moderator, &first).await.0, 200);
    let sent = campaign(&house, &foreign, "other", TEXT).await;
    assert_eq!(matched(&foreign, "other", &sent).await, Value::Null);
    let before = actions(&house, &acme).await;
    let id = path.rsplit('/').next().unwrap();
    for path in [format!("/w/other/templates/{id}"), path.clone(), "/w/other/templates/x".to_owned()] {
        assert_eq!(foreign.get(&path).await.0, 404);
        for (step, body) in [
            ("archive", json!({})),
            ("versions", json!({ "text": TEXT })),
            ("versions/1/submit", json!({})),
            ("versions/1/approve", json!({})),
            ("versions/1/reject", json!({ "note": "no" })),
        ] {
            assert_eq!(foreign.post(&format!("{path}/{step}"), body).await.0, 404, "{path} {step}");
        }
    }
    assert_eq!(author.post(&format!("{path}/versions/9/submit"), json!({})).await.0, 404);
    assert_eq!(foreign.get("/w/other/templates").await.1["items"], json!([]));
    assert_eq!(foreign.get("/w/other/moderation/templates").await.1["items"], json!([]));
    assert_eq!(actions(&house, &acme).await, before);
    house.close().await;
}

#[tokio::test]
async fn an_archived_template_is_closed_and_its_name_is_free() {
    let Scene { house, acme, author, moderator, .. } = scene().await;
    let path = template(&author, "acme", "Code").await;
    assert_eq!(approve(&moderator, &version(&author, &path, TEXT, true).await).await.0, 200);
    let waiting = version(&author, &path, "Else", true).await;
    let (status, body) = author.post(&format!("{path}/archive"), json!({})).await;
    assert_eq!((status, &body["status"], &body["active"]), (200, &json!("Archived"), &Value::Null), "{body}");
    assert_eq!(body["versions"][1]["status"], "Archived");
    for (step, body) in [("archive", json!({})), ("versions", json!({ "text": TEXT }))] {
        assert_eq!(code(&author.post(&format!("{path}/{step}"), body).await.1), "state_conflict", "{step}");
    }
    assert_eq!(code(&approve(&moderator, &waiting).await.1), "state_conflict");
    let (_, queue) = moderator.get("/w/acme/moderation/templates").await;
    let item = &queue["items"][0];
    assert_eq!((&item["template_archived"], &item["refusal"]), (&json!(true), &json!("state_conflict")));
    assert_eq!((&item["may_decide"], &item["may_reject"]), (&json!(false), &json!(true)));
    assert_eq!(reject(&moderator, &waiting).await.0, 200);
    assert_ne!(template(&author, "acme", "code").await, path);
    let made = actions(&house, &acme).await;
    assert_eq!((made["template.archive"], made["template_version.archive"]), (1, 1));
    house.close().await;
}

#[tokio::test]
async fn templates_and_what_waits_of_them_are_listed_in_pages() {
    let Scene { house, author, moderator, admin, .. } = scene().await;
    for n in 0..5 {
        let path = template(&author, "acme", &format!("Code {n}")).await;
        let pending = version(&author, &path, &format!("Text {n}"), true).await;
        if n % 2 == 0 {
            assert_eq!(approve(&moderator, &pending).await.0, 200);
        }
        if n == 4 {
            assert_eq!(admin.post(&format!("{path}/archive"), json!({})).await.0, 200);
        }
    }
    let names = async |query: &str| {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let (status, body) = author.get(&format!("/w/acme/templates?limit=2{query}{cursor}")).await;
            assert_eq!(status, 200, "{body}");
            let items = body["items"].as_array().unwrap();
            assert!(items.len() <= 2);
            all.extend(items.iter().map(|item| item["name"].as_str().unwrap().replace("Code ", "")));
            match body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return all.concat(),
            }
        }
    };
    assert_eq!(names("").await, "43210");
    assert_eq!(names("&status=Approved").await, "20");
    assert_eq!(names("&status=Draft").await, "31");
    assert_eq!(names("&status=Archived").await, "4");
    let (_, body) = author.get("/w/acme/templates?status=Approved").await;
    assert_eq!(body["items"][0]["active"]["text"], "Text 2");
    let (_, first) = moderator.get("/w/acme/moderation/templates?limit=1").await;
    assert_eq!(first["counts"], json!({ "campaigns": 0, "revisions": 0, "templates": 2 }));
    let item = &first["items"][0];
    assert_eq!((&item["template_name"], &item["text"]), (&json!("Code 1"), &json!("Text 1")));
    assert_eq!((&item["may_decide"], &item["may_reject"]), (&json!(true), &json!(true)));
    let cursor = first["next_cursor"].as_str().unwrap();
    let (_, second) = moderator.get(&format!("/w/acme/moderation/templates?cursor={cursor}")).await;
    assert_eq!(
        (&second["items"][0]["template_name"], &second["next_cursor"]),
        (&json!("Code 3"), &Value::Null)
    );
    for wrong in ["cursor=x", "limit=0"] {
        assert_eq!(moderator.get(&format!("/w/acme/moderation/templates?{wrong}")).await.0, 400, "{wrong}");
    }
    house.close().await;
}

fn stored_template(workspace: &Workspace, name: String) -> MessageTemplate {
    MessageTemplate {
        id: TemplateId(Uuid::now_v7()),
        workspace_id: workspace.id,
        name,
        created_by: UserId(Uuid::from_u128(1)),
        version: 0,
        created_at: jiff::Timestamp::UNIX_EPOCH,
        archived_at: None,
        active: None,
    }
}

fn stored_version(of: &MessageTemplate, n: usize, status: RevisionStatus) -> Entity {
    Entity::TemplateVersion(TemplateVersion {
        id: Uuid::now_v7(),
        template_id: of.id,
        workspace_id: of.workspace_id,
        n: u32::try_from(n).unwrap(),
        text: TEXT.to_owned(),
        status,
        state_version: 0,
        created_by: of.created_by,
        submitted_by: None,
        decided_by: None,
        self_approved: false,
        note: None,
        created_at: of.created_at,
        decided_at: None,
        archived_at: None,
    })
}

#[tokio::test]
async fn of_those_who_take_the_last_place_at_once_one_gets_it() {
    let Scene { house, acme, author, admin, .. } = scene().await;
    let all: Vec<_> = (1..MAX_TEMPLATES).map(|n| stored_template(&acme, format!("Code {n}"))).collect();
    let full = all[0].clone();
    let mut entities: Vec<_> = all.into_iter().map(Entity::Template).collect();
    entities.extend((1..MAX_VERSIONS).map(|n| stored_version(&full, n, RevisionStatus::Rejected)));
    store(&house, &acme, entities).await;
    let versions = format!("/w/acme/templates/{}/versions", full.id);
    let calls = [("/w/acme/templates", "name"), (versions.as_str(), "text")];
    for (path, field) in calls {
        let mut tries = tokio::task::JoinSet::new();
        for n in 0..8 {
            let (by, path) = (admin.clone(), path.to_owned());
            tries.spawn(async move { by.post(&path, json!({ field: format!("Last {n}") })).await });
        }
        let answers = tries.join_all().await;
        let made = answers.iter().filter(|(status, _)| *status == 201).count();
        assert_eq!(made, 1, "{path}: {answers:?}");
        let refused =
            answers.iter().filter(|(status, body)| (*status, code(body)) == (409, "state_conflict"));
        assert_eq!(refused.count(), 7, "{path}: {answers:?}");
    }
    let (_, body) = admin.get(&format!("/w/acme/templates/{}", full.id)).await;
    assert_eq!(body["versions"].as_array().unwrap().len(), MAX_VERSIONS);
    // Who archives one has room for another.
    assert_eq!(admin.post(&format!("/w/acme/templates/{}/archive", full.id), json!({})).await.0, 200);
    template(&author, "acme", "Another").await;
    house.close().await;
}

#[tokio::test]
async fn no_more_versions_wait_than_a_moderator_is_shown() {
    let Scene { house, acme, author, moderator, .. } = scene().await;
    let crowd = stored_template(&acme, "Crowd".to_owned());
    let waiting = (1..=MAX_PENDING).map(|n| stored_version(&crowd, n, RevisionStatus::PendingApproval));
    let entities = std::iter::once(Entity::Template(crowd.clone())).chain(waiting).collect();
    store(&house, &acme, entities).await;
    let path = template(&author, "acme", "Code").await;
    let draft = version(&author, &path, TEXT, false).await;
    let refused = [
        author.post(&format!("{draft}/submit"), json!({})).await,
        author.post(&format!("{path}/versions"), json!({ "text": TEXT, "submit": true })).await,
    ];
    assert!(
        refused.iter().all(|(status, body)| (*status, code(body)) == (409, "state_conflict")),
        "{refused:?}"
    );
    assert_eq!(reject(&moderator, &format!("/w/acme/templates/{}/versions/1", crowd.id)).await.0, 200);
    assert_eq!(author.post(&format!("{draft}/submit"), json!({})).await.0, 200);
    house.close().await;
}

#[tokio::test]
async fn one_author_takes_a_share_of_the_places_and_leaves_the_others_theirs() {
    let Scene { house, acme, author, moderator, .. } = scene().await;
    let other = house.member(&acme, "Author").await;
    let of_author = |n: usize| {
        let stored = stored_template(&acme, format!("Code {n}"));
        MessageTemplate { created_by: author.user, ..stored }
    };
    let mut entities: Vec<_> = (1..MAX_OF_ONE).map(|n| Entity::Template(of_author(n))).collect();
    let crowd = MessageTemplate { archived_at: Some(jiff::Timestamp::UNIX_EPOCH), ..of_author(MAX_OF_ONE) };
    entities.push(Entity::Template(crowd.clone()));
    let waiting = 1..MAX_OF_ONE;
    entities.extend(waiting.map(|n| stored_version(&crowd, n, RevisionStatus::PendingApproval)));
    store(&house, &acme, entities).await;
    let path = template(&author, "acme", "Last").await;
    let (status, body) = author.post("/w/acme/templates", json!({ "name": "More" })).await;
    assert_eq!((status, code(&body)), (409, "state_conflict"), "{body}");
    assert!(body["detail"].as_str().unwrap().contains("archive"), "{body}");
    let last = version(&author, &path, TEXT, true).await;
    let draft = version(&author, &path, TEXT, false).await;
    for refused in [
        author.post(&format!("{draft}/submit"), json!({})).await,
        author.post(&format!("{path}/versions"), json!({ "text": TEXT, "submit": true })).await,
    ] {
        assert_eq!((refused.0, code(&refused.1)), (409, "state_conflict"), "{refused:?}");
    }
    version(&other, &template(&other, "acme", "Others").await, TEXT, true).await;
    assert_eq!(reject(&moderator, &last).await.0, 200);
    assert_eq!(author.post(&format!("{draft}/submit"), json!({})).await.0, 200);
    assert_eq!(author.post(&format!("{path}/archive"), json!({})).await.0, 200);
    template(&author, "acme", "Again").await;
    house.close().await;
}

/// Goal: who approved the text did not approve what stands in its gaps, and a moderator sees how much that can be.
#[tokio::test]
async fn a_match_tells_how_long_the_values_are_that_nobody_approved() {
    let Scene { house, author, moderator, .. } = scene().await;
    let path = template(&author, "acme", "Code").await;
    let text = "Your code is {code}, {name}.";
    assert_eq!(approve(&moderator, &version(&author, &path, text, true).await).await.0, 200);
    let sent = campaign(&house, &author, "acme", TEXT).await;
    let variables = json!({ "code": "x".repeat(70), "name": "Ann" });
    let body = json!({
        "name": "Spring", "mode": "OnDemand", "text": text, "sender_id": sent["sender_id"],
        "recipients": [{ "number": "+491701234567", "variables": variables }],
    });
    let (status, made) = author.post("/w/acme/campaigns", body).await;
    assert_eq!(status, 201, "{made}");
    let (_, queue) = moderator.get("/w/acme/moderation/campaigns").await;
    let of = |id: &Value| {
        let item = queue["items"].as_array().unwrap().iter().find(|item| item["id"] == *id).unwrap();
        item["matches_template"].clone()
    };
    let mut longest = of(&made["id"])["longest_values"].as_array().unwrap().clone();
    longest.sort_by_key(|value| value["name"].to_string());
    let expected = [json!({ "name": "code", "max_chars": 70 }), json!({ "name": "name", "max_chars": 3 })];
    assert_eq!(longest, expected);
    assert_eq!((&of(&made["id"])["name"], of(&sent["id"])), (&json!("Code"), Value::Null));
    house.close().await;
}
