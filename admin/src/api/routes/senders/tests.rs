//! Senders, revisions, shares of addresses: the whole life and every refusal.

#![expect(clippy::unwrap_used, reason = "tests")]

use crate::api::testing::{Client, House, code};
use engine::model::{AuditEvent, EntityId, Revision, RevisionStatus, Workspace};
use engine::store::{Catalog, Change, Entity, Expect, Kind, Scope};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;

async fn events(house: &House, scope: Scope) -> Vec<AuditEvent> {
    house.store.audit(scope, 0).await.unwrap()
}

async fn count(house: &House, workspace: &Workspace, action: &str) -> usize {
    events(house, Scope::Workspace(workspace.id)).await.iter().filter(|event| event.action == action).count()
}

/// A sender's path, made by this client.
async fn sender(by: &Client, slug: &str, name: &str) -> String {
    let (status, body) = by.post(&format!("/w/{slug}/senders"), json!({ "name": name })).await;
    assert_eq!(status, 201, "{body}");
    format!("/w/{slug}/senders/{}", body["id"].as_str().unwrap())
}

fn address(saddr: &str, submit: bool) -> Value {
    json!({ "saddr": saddr, "ston": 5, "snpi": 0, "submit": submit })
}

/// A submitted revision's path.
async fn submitted(by: &Client, sender: &str, saddr: &str) -> String {
    let (status, body) = by.post(&format!("{sender}/revisions"), address(saddr, true)).await;
    assert_eq!((status, body["status"].as_str()), (201, Some("PendingApproval")), "{body}");
    format!("{sender}/revisions/{}", body["n"])
}

async fn approve(by: &Client, revision: &str) -> (u16, Value) {
    by.send(Method::POST, &format!("{revision}/approve"), None).await
}

#[tokio::test]
async fn a_sender_goes_from_draft_to_approved_and_a_newer_revision_takes_its_place() {
    let house = House::open().await;
    let acme = house.workspace("acme").await;
    let (admin, moderator) = (house.member(&acme, "Admin").await, house.member(&acme, "Moderator").await);
    let shop = sender(&admin, "acme", " Shop ").await;
    let (status, draft) = admin.post(&format!("{shop}/revisions"), address("Shop", false)).await;
    assert_eq!((status, &draft["n"], &draft["status"]), (201, &json!(1), &json!("Draft")));
    let first = format!("{shop}/revisions/1");
    assert_eq!(code(&approve(&moderator, &first).await.1), "state_conflict");
    assert_eq!(admin.post(&format!("{first}/submit"), json!({})).await.0, 200);
    assert_eq!(code(&admin.post(&format!("{first}/submit"), json!({})).await.1), "state_conflict");
    let (status, approved) = approve(&moderator, &first).await;
    assert_eq!((status, &approved["status"]), (200, &json!("Approved")), "{approved}");
    assert_eq!(approved["decided_by"], json!(moderator.user));
    let second = submitted(&admin, &shop, "Shop2").await;
    let (_, body) = admin.get(&shop).await;
    assert_eq!((&body["active"]["n"], &body["status"]), (&json!(1), &json!("Approved")), "{body}");
    assert_eq!(approve(&moderator, &second).await.0, 200);
    let (_, body) = admin.get(&shop).await;
    let statuses: Vec<_> =
        body["revisions"].as_array().unwrap().iter().map(|r| r["status"].clone()).collect();
    assert_eq!((&body["active"]["n"], statuses), (&json!(2), vec![json!("Approved"), json!("Archived")]));
    for (action, times) in [
        ("sender.create", 1),
        ("sender_revision.create", 1),
        ("sender_revision.submit", 2),
        ("sender_revision.approve", 2),
        ("sender_revision.archive", 1),
    ] {
        assert_eq!(count(&house, &acme, action).await, times, "{action}");
    }
    house.close().await;
}

#[tokio::test]
async fn what_was_approved_cannot_be_changed_by_any_call_nor_in_the_store() {
    let house = House::open().await;
    let acme = house.workspace("acme").await;
    let (admin, moderator) = (house.member(&acme, "Admin").await, house.member(&acme, "Moderator").await);
    let shop = sender(&admin, "acme", "Shop").await;
    let revision = submitted(&admin, &shop, "Shop").await;
    let (_, approved) = approve(&moderator, &revision).await;
    for method in [Method::PATCH, Method::PUT] {
        let (status, _) = admin.send(method, &revision, Some(address("Evil", false))).await;
        assert!([404, 405].contains(&status), "{status}");
    }
    let id = EntityId(approved["id"].as_str().unwrap().parse().unwrap());
    let scope = Scope::Workspace(acme.id);
    let Entity::Revision(stored) = house.store.get(scope, Kind::Revision, id).await.unwrap() else {
        panic!("a revision")
    };
    let (expect, next) = (Expect::Version(stored.version), stored.version + 1);
    let forged = Revision { saddr: "Evil".to_owned(), version: next, ..stored.clone() };
    let change = Change { scope, expect, entity: Entity::Revision(forged), action: "test.forge" };
    let by = engine::model::Principal::engine();
    assert!(house.store.apply(vec![change], &by, house.api.now()).await.is_err());
    assert_eq!(house.store.get(scope, Kind::Revision, id).await.unwrap(), Entity::Revision(stored));
    house.close().await;
}

#[tokio::test]
async fn every_wrong_address_name_and_note_is_refused_with_its_field() {
    let house = House::open().await;
    let acme = house.workspace("acme").await;
    let (admin, moderator) = (house.member(&acme, "Admin").await, house.member(&acme, "Moderator").await);
    for name in ["", " ", "a\nb", &"x".repeat(201)] {
        let (status, body) = admin.post("/w/acme/senders", json!({ "name": name })).await;
        assert_eq!((status, &body["errors"][0]["field"]), (422, &json!("name")), "{body}");
    }
    let shop = sender(&admin, "acme", "Shop").await;
    let (status, body) = admin.post("/w/acme/senders", json!({ "name": "SHOP" })).await;
    assert_eq!((status, code(&body)), (409, "taken"));
    for (saddr, ston, snpi, field) in [
        ("", 5, 0, "saddr"),
        ("twelve chars", 5, 0, "saddr"),
        ("Caf\u{e9}", 5, 0, "saddr"),
        ("Sh\u{0}p", 5, 0, "saddr"),
        ("+49151", 1, 1, "saddr"),
        ("123456789012345678901", 1, 1, "saddr"),
        ("Shop", 9, 0, "ston"),
        ("Shop", 5, 2, "snpi"),
        ("Shop", 300, 0, "ston"),
    ] {
        let body = json!({ "saddr": saddr, "ston": ston, "snpi": snpi, "submit": true });
        let (status, body) = admin.post(&format!("{shop}/revisions"), body).await;
        assert_eq!((status, &body["errors"][0]["field"]), (422, &json!(field)), "{body}");
    }
    let (status, body) = admin
        .post(&format!("{shop}/revisions"), json!({ "saddr": "Shop", "ston": 5, "snpi": 0, "n": 7 }))
        .await;
    assert_eq!((status, code(&body)), (400, "malformed"));
    let revision = submitted(&admin, &shop, "Shop").await;
    for note in [json!({}), json!({ "note": " " }), json!({ "note": "x".repeat(1_001) })] {
        let (status, body) = moderator.post(&format!("{revision}/reject"), note).await;
        assert_eq!((status, &body["errors"][0]["field"]), (422, &json!("note")), "{body}");
    }
    let (status, body) =
        moderator.post(&format!("{revision}/reject"), json!({ "note": "Not registered" })).await;
    assert_eq!((status, &body["status"], &body["note"]), (200, &json!("Rejected"), &json!("Not registered")));
    let (status, body) = approve(&moderator, &revision).await;
    assert_eq!((status, code(&body), &body["decision"]), (409, "already_decided", &json!("rejected")));
    assert_eq!(count(&house, &acme, "sender_revision.reject").await, 1);
    house.close().await;
}

#[tokio::test]
async fn nobody_approves_their_own_revision_and_roles_hold() {
    let house = House::open().await;
    let acme = house.workspace("acme").await;
    let (admin, author) = (house.member(&acme, "Admin").await, house.member(&acme, "Author").await);
    let shop = sender(&admin, "acme", "Shop").await;
    let revision = submitted(&admin, &shop, "Shop").await;
    let (status, body) = approve(&admin, &revision).await;
    assert_eq!((status, code(&body)), (403, "self_approval_forbidden"));
    let (status, _) = admin.post(&format!("{revision}/reject"), json!({ "note": "no" })).await;
    assert_eq!(status, 403);
    assert_eq!(approve(&author, &revision).await.0, 403);
    assert_eq!(author.post("/w/acme/senders", json!({ "name": "Mine" })).await.0, 403);
    assert_eq!(author.get(&shop).await.0, 200);
    let mut open = acme.clone();
    (open.policies.authors_draft_senders, open.version) = (true, 1);
    house.change(Entity::Workspace(open), 0).await;
    let mine = sender(&author, "acme", "Mine").await;
    let mine = submitted(&author, &mine, "Mine").await;
    assert_eq!(approve(&author, &mine).await.0, 403);
    // A draft of one, submitted by another: neither approves it.
    let (_, draft) = author.post(&format!("{shop}/revisions"), address("Shop2", false)).await;
    let draft = format!("{shop}/revisions/{}", draft["n"]);
    assert_eq!(admin.post(&format!("{draft}/submit"), json!({})).await.0, 200);
    assert_eq!(code(&approve(&admin, &draft).await.1), "self_approval_forbidden");
    let other = house.member(&acme, "Author+").await;
    assert_eq!(approve(&other, &draft).await.0, 200);
    house.close().await;
}

#[tokio::test]
async fn of_a_hundred_decisions_at_once_exactly_one_is_made() {
    let house = House::open().await;
    let acme = house.workspace("acme").await;
    let admin = house.member(&acme, "Admin").await;
    let shop = sender(&admin, "acme", "Shop").await;
    let revision = submitted(&admin, &shop, "Shop").await;
    let mut moderators = Vec::new();
    for _ in 0..10 {
        moderators.push(house.member(&acme, "Moderator").await);
    }
    let mut tries = tokio::task::JoinSet::new();
    for n in 0..100 {
        let (by, revision) = (moderators[n % 10].clone(), revision.clone());
        tries.spawn(async move {
            match n % 2 {
                0 => approve(&by, &revision).await,
                _ => by.post(&format!("{revision}/reject"), json!({ "note": "no" })).await,
            }
        });
    }
    let answers = tries.join_all().await;
    let won: Vec<_> = answers.iter().filter(|(status, _)| *status == 200).collect();
    assert_eq!(won.len(), 1, "{won:?}");
    let decision = won[0].1["status"].as_str().unwrap().to_lowercase();
    for (status, body) in answers.iter().filter(|(status, _)| *status != 200) {
        assert_eq!((*status, code(body), &body["decision"]), (409, "already_decided", &json!(decision)));
    }
    let decided = count(&house, &acme, "sender_revision.approve").await
        + count(&house, &acme, "sender_revision.reject").await;
    assert_eq!(decided, 1);
    house.close().await;
}

#[tokio::test]
async fn of_two_revisions_approved_at_once_one_is_active_and_the_other_archived() {
    let house = House::open().await;
    let acme = house.workspace("acme").await;
    let (admin, moderator) = (house.member(&acme, "Admin").await, house.member(&acme, "Moderator").await);
    let shop = sender(&admin, "acme", "Shop").await;
    let mut tries = tokio::task::JoinSet::new();
    for n in 0..6 {
        let revision = submitted(&admin, &shop, &format!("Shop{n}")).await;
        let by = moderator.clone();
        tries.spawn(async move { approve(&by, &revision).await.0 });
    }
    assert!(tries.join_all().await.iter().all(|status| *status == 200));
    let (_, body) = admin.get(&shop).await;
    let mut statuses = BTreeMap::<String, usize>::new();
    for revision in body["revisions"].as_array().unwrap() {
        *statuses.entry(revision["status"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert_eq!(statuses, BTreeMap::from([("Approved".to_owned(), 1), ("Archived".to_owned(), 5)]));
    house.close().await;
}

#[tokio::test]
async fn an_address_that_looks_like_anothers_is_reserved_until_sharing_is_granted() {
    let house = House::open().await;
    let (hr, it) = (house.workspace("hr").await, house.workspace("it").await);
    let root = house.super_admin().await;
    let mut pending = Vec::new();
    for (workspace, saddr) in [(&hr, "ACME"), (&it, "A cme")] {
        let admin = house.member(workspace, "Admin").await;
        let path = sender(&admin, &workspace.slug, "Acme").await;
        let moderator = house.member(workspace, "Moderator").await;
        pending.push((moderator, submitted(&admin, &path, saddr).await));
    }
    assert_eq!(approve(&pending[0].0, &pending[0].1).await.0, 200);
    let (status, body) = approve(&pending[1].0, &pending[1].1).await;
    assert_eq!((status, code(&body)), (409, "sender_reserved"));
    assert!(!body.to_string().contains("hr"), "{body}");
    let grants = "/sender-claims/acme/grants";
    assert_eq!(pending[0].0.post(grants, json!({ "slug": "it" })).await.0, 403);
    let (status, body) = root.post("/sender-claims/nobody/grants", json!({ "slug": "it" })).await;
    assert_eq!((status, code(&body)), (404, "not_found"));
    let (status, body) = root.post(grants, json!({ "slug": "nowhere" })).await;
    assert_eq!((status, &body["errors"][0]["field"]), (422, &json!("slug")));
    assert_eq!(root.post(grants, json!({ "slug": "hr" })).await.0, 409);
    let (status, body) = root.post(grants, json!({ "slug": "it" })).await;
    assert_eq!((status, body), (200, json!({ "saddr": "ACME", "owner": "hr", "grants": ["it"] })));
    assert_eq!(root.post(grants, json!({ "slug": "it" })).await.0, 409);
    for (workspace, other) in [(&hr, &it), (&it, &hr)] {
        let own = events(&house, Scope::Workspace(workspace.id)).await;
        let told: Vec<_> = own.iter().filter(|event| event.action == "sender_claim.grant").collect();
        assert_eq!((told.len(), told[0].by.role.as_str()), (1, "SuperAdmin"));
        assert!(!serde_json::to_string(told[0]).unwrap().contains(&other.id.to_string()));
    }
    let platform = events(&house, Scope::Platform).await;
    assert_eq!(platform.iter().filter(|event| event.action == "sender_claim.grant").count(), 1);
    assert_eq!(approve(&pending[1].0, &pending[1].1).await.0, 200);
    let (status, body) = root.send(Method::DELETE, grants, Some(json!({ "slug": "it" }))).await;
    assert_eq!((status, &body["grants"]), (200, &json!([])));
    assert_eq!(root.send(Method::DELETE, grants, Some(json!({ "slug": "it" }))).await.0, 409);
    assert_eq!(root.post(grants, json!({ "slug": "it" })).await.0, 200);
    assert_eq!(count(&house, &it, "sender_claim.revoke").await, 1);
    house.close().await;
}

#[tokio::test]
async fn of_two_workspaces_that_have_one_address_approved_at_once_exactly_one_gets_it() {
    let house = House::open().await;
    for round in 0..5 {
        let mut tries = tokio::task::JoinSet::new();
        for side in ["a", "b"] {
            let workspace = house.workspace(&format!("{side}-{round}")).await;
            let admin = house.member(&workspace, "Admin").await;
            let moderator = house.member(&workspace, "Moderator").await;
            let path = sender(&admin, &workspace.slug, "Acme").await;
            let revision =
                submitted(&admin, &path, &format!("Acme{}", "XYVWK".get(round..=round).unwrap())).await;
            tries.spawn(async move { approve(&moderator, &revision).await });
        }
        let mut answers = tries.join_all().await;
        answers.sort_by_key(|(status, _)| *status);
        assert_eq!((answers[0].0, answers[1].0, code(&answers[1].1)), (200, 409, "sender_reserved"));
    }
    house.close().await;
}

#[tokio::test]
async fn an_archived_sender_is_closed_and_a_withdrawn_revision_has_a_note() {
    let house = House::open().await;
    let acme = house.workspace("acme").await;
    let (admin, moderator) = (house.member(&acme, "Admin").await, house.member(&acme, "Moderator").await);
    let shop = sender(&admin, "acme", "Shop").await;
    let revision = submitted(&admin, &shop, "Shop").await;
    assert_eq!(
        code(&moderator.post(&format!("{revision}/withdraw"), json!({ "note": "x" })).await.1),
        "state_conflict"
    );
    approve(&moderator, &revision).await;
    let waiting = submitted(&admin, &shop, "Shop2").await;
    assert_eq!(moderator.post(&format!("{shop}/archive"), json!({})).await.0, 403);
    let (status, body) = admin.post(&format!("{shop}/archive"), json!({})).await;
    assert_eq!((status, &body["status"], &body["active"]), (200, &json!("Archived"), &Value::Null));
    assert_eq!(body["revisions"][1]["status"], "Archived");
    for (method, body) in [("archive", json!({})), ("revisions", address("Shop3", true))] {
        assert_eq!(code(&admin.post(&format!("{shop}/{method}"), body).await.1), "state_conflict");
    }
    assert_eq!(code(&approve(&moderator, &waiting).await.1), "state_conflict");
    assert_eq!(count(&house, &acme, "sender.archive").await, 1);
    let news = sender(&admin, "acme", "News").await;
    let revision = submitted(&admin, &news, "News").await;
    approve(&moderator, &revision).await;
    assert_eq!(moderator.post(&format!("{revision}/withdraw"), json!({})).await.0, 422);
    let (status, body) = moderator.post(&format!("{revision}/withdraw"), json!({ "note": "stolen" })).await;
    assert_eq!((status, &body["status"], &body["note"]), (200, &json!("Rejected"), &json!("stolen")));
    let (status, body) = moderator.post(&format!("{revision}/withdraw"), json!({ "note": "again" })).await;
    assert_eq!((status, code(&body), &body["decision"]), (409, "already_decided", &json!("withdrawn")));
    assert_eq!(count(&house, &acme, "sender_revision.withdraw").await, 1);
    let (_, body) = admin.get("/w/acme/senders?status=Archived").await;
    assert_eq!(body["items"].as_array().unwrap().len(), 1);
    house.close().await;
}

#[tokio::test]
async fn senders_are_listed_in_pages_and_by_status() {
    let house = House::open().await;
    let acme = house.workspace("acme").await;
    let admin = house.member(&acme, "Admin").await;
    for n in 0..5 {
        let path = sender(&admin, "acme", &format!("Sender {n}")).await;
        if n % 2 == 0 {
            submitted(&admin, &path, &format!("Send{n}x")).await;
        }
    }
    let names = async |query: &str| {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let (status, body) = admin.get(&format!("/w/acme/senders?limit=2{query}{cursor}")).await;
            assert_eq!(status, 200, "{body}");
            let items = body["items"].as_array().unwrap();
            assert!(items.len() <= 2);
            all.extend(items.iter().map(|item| item["name"].as_str().unwrap().replace("Sender ", "")));
            match body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return all.concat(),
            }
        }
    };
    assert_eq!(names("").await, "43210");
    assert_eq!(names("&status=PendingApproval").await, "420");
    assert_eq!(names("&status=Draft").await, "31");
    assert_eq!(names("&status=Rejected").await, "");
    for wrong in ["limit=0", "limit=201", "cursor=x", "status=New", "what=1"] {
        assert_eq!(admin.get(&format!("/w/acme/senders?{wrong}")).await.0, 400, "{wrong}");
    }
    house.close().await;
}

#[tokio::test]
async fn a_provisioned_sender_is_approved_and_audited_in_its_workspace() {
    let house = House::open().await;
    let (acme, other) = (house.workspace("acme").await, house.workspace("other").await);
    let (root, admin) = (house.super_admin().await, house.member(&acme, "Admin").await);
    let path = "/workspaces/acme/senders/provision";
    let new = |saddr: &str| json!({ "name": "Shop", "saddr": saddr, "ston": 5, "snpi": 0, "registration_ref": "DE 4711" });
    assert_eq!(admin.post(path, new("Shop")).await.0, 403);
    let (status, body) =
        root.post(path, json!({ "name": "Shop", "saddr": "Shop", "ston": 5, "snpi": 0 })).await;
    assert_eq!((status, &body["errors"][0]["field"]), (422, &json!("registration_ref")));
    assert_eq!(root.post("/workspaces/nowhere/senders/provision", new("Shop")).await.0, 404);
    let (status, body) = root.post(path, new("Shop")).await;
    assert_eq!(
        (status, &body["status"], &body["active"]["saddr"]),
        (201, &json!("Approved"), &json!("Shop"))
    );
    assert_eq!(body["active"]["registration_ref"], "DE 4711");
    let told = events(&house, Scope::Workspace(acme.id)).await;
    let told: Vec<_> = told.iter().filter(|event| event.action == "sender_revision.provision").collect();
    assert_eq!(
        (told.len(), told[0].by.user_id, told[0].by.role.as_str()),
        (1, Some(root.user), "SuperAdmin")
    );
    let (status, body) = root.post(path, new("Shop 24")).await;
    assert_eq!((status, &body["active"]["n"]), (201, &json!(2)), "{body}");
    assert_eq!(body["revisions"][1]["status"], json!(RevisionStatus::Archived));
    let (status, body) = root.post("/workspaces/other/senders/provision", new("5HOP")).await;
    assert_eq!((status, code(&body)), (409, "sender_reserved"));
    assert_eq!(house.actions(Scope::Workspace(other.id)).await, Vec::<String>::new());
    house.close().await;
}

#[tokio::test]
async fn a_foreign_sender_is_as_absent_as_one_that_never_was() {
    let house = House::open().await;
    let (hr, it) = (house.workspace("hr").await, house.workspace("it").await);
    let (admin, foreign) = (house.member(&hr, "Admin").await, house.member(&it, "Admin").await);
    let path = sender(&admin, "hr", "Shop").await;
    submitted(&admin, &path, "Shop").await;
    let before = events(&house, Scope::Workspace(hr.id)).await.len();
    let id = path.rsplit('/').next().unwrap();
    let note = json!({ "note": "no" });
    for path in [format!("/w/it/senders/{id}"), path.clone(), "/w/it/senders/x".to_owned()] {
        assert_eq!(foreign.get(&path).await.0, 404);
        assert_eq!(foreign.post(&format!("{path}/archive"), json!({})).await.0, 404);
        assert_eq!(foreign.post(&format!("{path}/revisions"), address("Evil", true)).await.0, 404);
        for (step, body) in [
            ("submit", json!({})),
            ("approve", json!({})),
            ("reject", note.clone()),
            ("withdraw", note.clone()),
        ] {
            assert_eq!(foreign.post(&format!("{path}/revisions/1/{step}"), body).await.0, 404, "{step}");
        }
    }
    assert_eq!(admin.post(&format!("{path}/revisions/9/submit"), json!({})).await.0, 404);
    assert_eq!(events(&house, Scope::Workspace(hr.id)).await.len(), before);
    house.close().await;
}
