//! Members: roles, flags, reviewers on loan, and the last admin.

#![expect(clippy::unwrap_used, reason = "tests")]

use crate::api::testing::{Client, House, code};
use engine::model::{KeyScope, Workspace};
use engine::store::{Catalog, Scope};
use serde_json::{Value, json};

fn one(client: &Client, slug: &str) -> String {
    format!("/w/{slug}/members/{}", client.user)
}

async fn ids(admin: &Client, slug: &str) -> Vec<String> {
    let (status, page) = admin.get(&format!("/w/{slug}/members")).await;
    assert_eq!(status, 200, "{page}");
    let items = page["items"].as_array().unwrap().iter();
    items.map(|item| item["user_id"].as_str().unwrap().to_owned()).collect()
}

async fn changed(house: &House, workspace: &Workspace) -> Vec<String> {
    house.actions(Scope::Workspace(workspace.id)).await
}

#[tokio::test]
async fn members_are_listed_without_super_admins_and_strangers() {
    let house = House::open().await;
    let (root, here) = (house.super_admin().await, house.workspace("here").await);
    let admin = house.member(&here, "Admin").await;
    let author = house.member(&here, "Author").await;
    let expected = vec![author.user.to_string(), admin.user.to_string()];
    assert_eq!(ids(&admin, "here").await, expected);
    assert_eq!(ids(&root, "here").await, expected, "a super admin sees them and is none");
    assert_eq!(author.get("/w/here/members").await.0, 403);
    house.close().await;
}

#[tokio::test]
async fn a_role_and_a_flag_change_together_as_they_must() {
    let house = House::open().await;
    let here = house.workspace("here").await;
    let (admin, author) = (house.member(&here, "Admin").await, house.member(&here, "Author").await);
    let path = one(&author, "here");
    let table: [(Value, u16, &str, bool); 6] = [
        (json!({"is_moderator": true}), 200, "Author", true),
        (json!({}), 200, "Author", true),
        (json!({"role": "Moderator"}), 200, "Moderator", false),
        (json!({"is_moderator": true}), 422, "Moderator", false),
        (json!({"role": "Author"}), 200, "Author", false),
        (json!({"role": "Admin", "is_moderator": true}), 422, "Author", false),
    ];
    for (body, status, role, flag) in table {
        let (found, answer) = admin.patch(&path, body.clone()).await;
        assert_eq!(found, status, "{body}: {answer}");
        let (_, page) = admin.get("/w/here/members").await;
        let item =
            page["items"].as_array().unwrap().iter().find(|item| item["user_id"] == author.user.to_string());
        let item = item.unwrap();
        assert_eq!((&item["role"], &item["is_moderator"]), (&json!(role), &json!(flag)), "{body}");
    }
    assert_eq!(changed(&house, &here).await, ["member.change", "member.change", "member.change"]);
    let events = house.store.audit(Scope::Workspace(here.id), 0).await.unwrap();
    let cleared = events.iter().find(|event| event.after["role"] == "Moderator").unwrap();
    assert_eq!(
        (&cleared.before["is_moderator"], &cleared.after["is_moderator"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(cleared.by.role, "Admin");
    for role in ["SuperAdmin", "admin", ""] {
        assert_eq!(admin.patch(&path, json!({"role": role})).await.0, 422, "{role}");
    }
    assert_eq!(author.patch(&path, json!({"role": "Admin"})).await.0, 403, "nobody lifts themselves");
    house.close().await;
}

#[tokio::test]
async fn the_last_admin_stays() {
    let house = House::open().await;
    let (root, here) = (house.super_admin().await, house.workspace("here").await);
    let first = house.member(&here, "Admin").await;
    let path = one(&first, "here");
    let platform = format!("/workspaces/here/members/{}", first.user);
    for (status, answer) in [
        first.delete(&path).await,
        first.patch(&path, json!({"role": "Author"})).await,
        root.put(&platform, json!({"role": "Moderator"})).await,
        root.put(&platform, json!({"role": "Admin", "expires_at": "2099-01-01T00:00:00Z"})).await,
    ] {
        assert_eq!((status, code(&answer)), (409, "last_admin"), "{answer}");
    }
    let second = house.member(&here, "Author").await;
    let loan = json!({"role": "Admin", "expires_at": "2099-01-01T00:00:00Z"});
    assert_eq!(root.put(&format!("/workspaces/here/members/{}", second.user), loan).await.0, 200);
    assert_eq!(first.delete(&path).await.0, 409, "an admin on loan does not stay");
    let full = json!({"role": "Admin"});
    assert_eq!(root.put(&format!("/workspaces/here/members/{}", second.user), full).await.0, 200);
    assert_eq!(first.delete(&path).await, (204, Value::Null));
    assert_eq!(second.delete(&one(&second, "here")).await.0, 409);
    assert_eq!(changed(&house, &here).await, ["member.change", "member.change", "member.remove"]);
    house.close().await;
}

/// Goal: of admins who all go at the same moment one is left, round after round.
#[tokio::test]
async fn one_of_several_admins_who_go_at_once_stays() {
    let house = House::open().await;
    for round in 0..10 {
        let here = house.workspace(&format!("here-{round}")).await;
        let mut admins = Vec::new();
        for _ in 0..4 {
            admins.push(house.member(&here, "Admin").await);
        }
        let leaving = admins.iter().map(|admin| {
            let (admin, path) = (admin.clone(), one(admin, &here.slug));
            tokio::spawn(async move { admin.delete(&path).await })
        });
        let mut ends = Vec::new();
        for end in leaving.collect::<Vec<_>>() {
            let (status, answer) = end.await.unwrap();
            ends.push((status, code(&answer).to_owned()));
        }
        let gone = ends.iter().filter(|(status, _)| *status == 204).count();
        let others = ends.iter().filter(|(status, _)| *status != 204);
        assert_eq!(gone, 3, "{ends:?}");
        assert!(
            others.clone().all(|(status, code)| (*status, code.as_str()) == (409, "last_admin")),
            "{ends:?}"
        );
        assert_eq!(changed(&house, &here).await, ["member.remove"; 3]);
    }
    house.close().await;
}

#[tokio::test]
async fn who_is_removed_in_one_workspace_stays_in_the_other_and_loses_their_keys() {
    let house = House::open().await;
    let (here, there) = (house.workspace("here").await, house.workspace("there").await);
    let (admin, author) = (house.member(&here, "Admin").await, house.member(&here, "Author").await);
    house.join(&there, &author, "Admin").await;
    let program = house.key(&here, &author, &[KeyScope::AuditRead]).await;
    assert_eq!(admin.delete(&one(&author, "here")).await.0, 204);
    assert_eq!(ids(&admin, "here").await, [admin.user.to_string()]);
    assert_eq!(ids(&author, "there").await, [author.user.to_string()]);
    assert_eq!(author.get("/w/here/api-keys").await.0, 404);
    assert_eq!(program.get("/w/here/audit").await.0, 401);
    assert_eq!(changed(&house, &here).await, ["member.remove", "api_key.revoke"]);
    assert!(changed(&house, &there).await.is_empty());
    let (status, absent) = admin.delete(&one(&author, "here")).await;
    assert_eq!((status, code(&absent)), (404, "not_found"));
    house.close().await;
}

#[tokio::test]
async fn a_super_admin_lends_a_reviewer_for_a_time() {
    let house = House::open().await;
    let (root, here) = (house.super_admin().await, house.workspace("here").await);
    let reviewer = house.user("reviewer@example.com").await;
    let path = format!("/workspaces/here/members/{}", reviewer.user);
    let loan = json!({"role": "Moderator", "expires_at": "2099-01-01T00:00:00Z"});
    let (status, lent) = root.put(&path, loan.clone()).await;
    assert_eq!((status, &lent["expires_at"]), (201, &json!("2099-01-01T00:00:00.000Z")), "{lent}");
    assert_eq!(root.put(&path, loan).await.0, 200, "the same again changes nothing");
    assert_eq!(reviewer.get("/w/here/audit").await.0, 200);
    let (status, again) = root.put(&path, json!({"role": "Author", "is_moderator": true})).await;
    assert_eq!((status, &again["expires_at"]), (200, &json!(null)));
    assert_eq!(changed(&house, &here).await, ["member.add", "member.change"]);
    let events = house.store.audit(Scope::Workspace(here.id), 0).await.unwrap();
    assert!(events.iter().filter(|event| event.action != "test.create").all(|e| e.by.role == "SuperAdmin"));
    for body in [
        json!({"role": "Moderator", "is_moderator": true}),
        json!({"role": "Moderator", "expires_at": "2020-01-01T00:00:00Z"}),
        json!({"role": "SuperAdmin"}),
        json!({}),
    ] {
        assert_eq!(root.put(&path, body.clone()).await.0, 422, "{body}");
    }
    let nobody = format!("/workspaces/here/members/{}", uuid::Uuid::now_v7());
    assert_eq!(root.put(&nobody, json!({"role": "Author"})).await.0, 404);
    assert_eq!(root.put("/workspaces/here/members/x", json!({"role": "Author"})).await.0, 404);
    let elsewhere = format!("/workspaces/nowhere/members/{}", reviewer.user);
    assert_eq!(root.put(&elsewhere, json!({"role": "Author"})).await.0, 404);
    assert_eq!(reviewer.put(&path, json!({"role": "Admin"})).await.0, 403);
    house.close().await;
}
