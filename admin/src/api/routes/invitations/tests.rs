//! Invitations: single use, revocable, for new people and for those who have an account.

#![expect(clippy::unwrap_used, reason = "tests")]

use crate::accounts::Secret;
use crate::api::testing::{Client, House, code};
use engine::model::{Admission, Invitation, Role, UserId, Workspace};
use engine::store::{Catalog, Change, Entity, Expect, Kind, Scope};
use jiff::SignedDuration;
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery staple";

/// Invites: the id and the token of the link.
async fn invite(admin: &Client, email: &str, role: &str) -> (String, String) {
    let (status, made) = admin.post("/w/here/invitations", json!({"email": email, "role": role})).await;
    assert_eq!(status, 201, "{made}");
    let link = made["link"].as_str().unwrap();
    let token = link.strip_prefix("/invitations/accept#").unwrap().to_owned();
    (made["id"].as_str().unwrap().to_owned(), token)
}

async fn accept(client: &Client, body: Value) -> (u16, Value) {
    client.post("/invitations/accept", body).await
}

async fn statuses(admin: &Client) -> Vec<String> {
    let (status, page) = admin.get("/w/here/invitations").await;
    assert_eq!(status, 200, "{page}");
    assert!(!page.to_string().contains("link"), "a link is told once");
    let items = page["items"].as_array().unwrap().iter();
    items.map(|item| item["status"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn somebody_new_accepts_with_a_name_and_a_password_and_is_in() {
    let house = House::open().await;
    let here = house.workspace("here").await;
    let admin = house.member(&here, "Admin").await;
    let (_, token) = invite(&admin, " New@Example.com", "Moderator").await;
    assert_eq!(statuses(&admin).await, ["Pending"]);
    let nobody = house.nobody();
    for (body, field) in [
        (json!({"token": token}), "name"),
        (json!({"token": token, "name": "New"}), "password"),
        (json!({"token": token, "name": " ", "password": PASSWORD}), "name"),
        (json!({"token": token, "name": "New", "password": "short"}), "password"),
    ] {
        let (status, refused) = accept(&nobody, body).await;
        assert_eq!((status, refused["errors"][0]["field"].as_str()), (422, Some(field)), "{refused}");
    }
    let body = json!({"token": token, "name": "New One", "password": PASSWORD});
    let (status, accepted) = accept(&nobody, body.clone()).await;
    assert_eq!(status, 200, "{accepted}");
    assert_eq!((&accepted["slug"], &accepted["role"]), (&json!("here"), &json!("Moderator")));
    assert_eq!(accepted["email"], "new@example.com");
    let found = house.store.find(Scope::Platform, Kind::User, "new@example.com".to_owned()).await.unwrap();
    let Entity::User(user) = found else { panic!("an account") };
    assert!(user.name == "New One" && user.credential.is_some() && !user.super_admin);
    assert_eq!(statuses(&admin).await, ["Accepted"]);
    let (status, again) = accept(&nobody, body).await;
    assert_eq!((status, code(&again)), (409, "already_decided"), "once");
    let actions = house.actions(Scope::Workspace(here.id)).await;
    assert_eq!(actions, ["invitation.create", "invitation.accept", "member.add"]);
    assert_eq!(house.actions(Scope::Platform).await.last().unwrap(), "user.create");
    let events = house.store.audit(Scope::Workspace(here.id), 0).await.unwrap();
    assert_eq!(events.last().unwrap().by.user_id, Some(user.id));
    assert!(events.iter().all(|event| !event.after.to_string().contains(&token)));
    house.close().await;
}

#[tokio::test]
async fn an_existing_account_accepts_logged_in_and_keeps_its_password() {
    let house = House::open().await;
    let here = house.workspace("here").await;
    let admin = house.member(&here, "Admin").await;
    let (ann, bob) = (house.user("ann@example.com").await, house.user("bob@example.com").await);
    let (_, token) = invite(&admin, "ann@example.com", "Author").await;
    let (body, with) = (json!({"token": token}), json!({"token": token, "name": "X", "password": PASSWORD}));
    for (client, body, expected) in [
        (&house.nobody(), &body, (401, "unauthenticated")),
        (&house.nobody(), &with, (401, "unauthenticated")),
        (&bob, &body, (409, "state_conflict")),
        (&ann, &with, (409, "state_conflict")),
    ] {
        let (status, refused) = accept(client, body.clone()).await;
        assert_eq!((status, code(&refused)), expected, "{refused}");
    }
    let program = house.key(&here, &admin, &[]).await;
    assert_eq!(accept(&program, body.clone()).await.0, 401);
    assert_eq!(ann.get("/w/here/api-keys").await.0, 404);
    assert_eq!(accept(&ann, body).await.0, 200);
    assert_eq!(ann.get("/w/here/api-keys").await.0, 200);
    let (status, again) =
        admin.post("/w/here/invitations", json!({"email": "ANN@example.com", "role": "Admin"})).await;
    assert_eq!((status, code(&again)), (409, "taken"), "a present member");
    house.close().await;
}

#[tokio::test]
async fn a_revoked_unknown_or_old_link_is_dead_and_an_accepted_one_cannot_be_revoked() {
    let house = House::open().await;
    let here = house.workspace("here").await;
    let admin = house.member(&here, "Admin").await;
    let (nobody, ann) = (house.nobody(), house.user("ann@example.com").await);
    let (id, token) = invite(&admin, "ann@example.com", "Author").await;
    for _ in 0..2 {
        assert_eq!(admin.delete(&format!("/w/here/invitations/{id}")).await.0, 204);
    }
    let (status, dead) = accept(&ann, json!({"token": token})).await;
    assert_eq!((status, code(&dead)), (410, "gone"));
    for token in ["", "guessed", &"0".repeat(64), &"0".repeat(10_000)] {
        let (status, unknown) = accept(&nobody, json!({"token": token})).await;
        assert_eq!((status, code(&unknown)), (404, "not_found"));
    }
    let (old, token) = invite(&admin, "ann@example.com", "Author").await;
    let scope = Scope::Workspace(here.id);
    let id = engine::model::EntityId(old.parse().unwrap());
    let Entity::Invitation(stored) = house.store.get(scope, Kind::Invitation, id).await.unwrap() else {
        panic!()
    };
    assert_eq!(stored.expires_at.duration_since(stored.created_at).as_hours(), 72);
    let past = Invitation { expires_at: stored.created_at, version: 1, ..stored };
    let entity = Entity::Invitation(past);
    let change = Change { scope, expect: Expect::Version(0), entity, action: "test.create" };
    house.store.apply(vec![change], &engine::model::Principal::engine(), house.api.now()).await.unwrap();
    assert_eq!(accept(&ann, json!({"token": token})).await.0, 410);
    let (id, token) = invite(&admin, "ann@example.com", "Author").await;
    assert_eq!(accept(&ann, json!({"token": token})).await.0, 200);
    let (status, late) = admin.delete(&format!("/w/here/invitations/{id}")).await;
    assert_eq!((status, code(&late)), (409, "already_decided"));
    assert_eq!(ann.get("/w/here/api-keys").await.0, 200, "the membership stays");
    assert_eq!(statuses(&admin).await, ["Accepted", "Expired", "Revoked"]);
    house.close().await;
}

#[tokio::test]
async fn of_many_who_accept_with_one_link_one_wins() {
    let house = House::open().await;
    let here = house.workspace("here").await;
    let admin = house.member(&here, "Admin").await;
    let (_, token) = invite(&admin, "new@example.com", "Author").await;
    let tries: Vec<_> = (0..8)
        .map(|n| {
            let body = json!({"token": token, "name": format!("Somebody {n}"), "password": PASSWORD});
            let nobody = house.nobody();
            tokio::spawn(async move { accept(&nobody, body).await })
        })
        .collect();
    let mut won = 0;
    for one in tries {
        let (status, answer) = one.await.unwrap();
        // Whoever comes when the account is there is asked to log in with it; what is accepted is not told again.
        assert!(matches!(status, 200 | 401 | 409), "{answer}");
        won += usize::from(status == 200);
    }
    assert_eq!(won, 1);
    let actions = house.actions(Scope::Workspace(here.id)).await;
    assert_eq!(actions, ["invitation.create", "invitation.accept", "member.add"]);
    house.close().await;
}

#[tokio::test]
async fn an_invitation_needs_an_email_a_role_and_an_admin() {
    let house = House::open().await;
    let here = house.workspace("here").await;
    let (admin, author) = (house.member(&here, "Admin").await, house.member(&here, "Moderator").await);
    for (body, field) in [
        (json!({"email": "nobody", "role": "Author"}), "email"),
        (json!({"email": "a@b.c\r\nBcc: d@e.f", "role": "Author"}), "email"),
        (json!({"email": "a@b.c", "role": "SuperAdmin"}), "role"),
        (json!({"email": "a@b.c"}), "role"),
    ] {
        let (status, refused) = admin.post("/w/here/invitations", body).await;
        assert_eq!((status, refused["errors"][0]["field"].as_str()), (422, Some(field)), "{refused}");
    }
    let body = json!({"email": "a@b.c", "role": "Author"});
    assert_eq!(author.post("/w/here/invitations", body).await.0, 403);
    assert!(house.actions(Scope::Workspace(here.id)).await.is_empty());
    house.close().await;
}

#[tokio::test]
async fn an_address_has_one_open_invitation_in_a_workspace() {
    let house = House::open().await;
    let (here, there) = (house.workspace("here").await, house.workspace("there").await);
    let (admin, other) = (house.member(&here, "Admin").await, house.member(&there, "Admin").await);
    let body = json!({"email": "New@example.com", "role": "Author"});
    let (id, _) = invite(&admin, "new@example.com", "Author").await;
    let (status, refused) = admin.post("/w/here/invitations", body.clone()).await;
    assert_eq!((status, code(&refused)), (409, "taken"), "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("open invitation"), "{refused}");
    assert_eq!(other.post("/w/there/invitations", body.clone()).await.0, 201, "another workspace's");
    assert_eq!(admin.delete(&format!("/w/here/invitations/{id}")).await.0, 204);
    let tries = (0..8).map(|_| {
        let (admin, body) = (admin.clone(), body.clone());
        tokio::spawn(async move { admin.post("/w/here/invitations", body).await.0 })
    });
    let mut answers = Vec::new();
    for one in tries.collect::<Vec<_>>() {
        answers.push(one.await.unwrap());
    }
    answers.sort_unstable();
    assert_eq!(answers, [201, 409, 409, 409, 409, 409, 409, 409], "of many at once");
    assert_eq!(statuses(&admin).await, ["Pending", "Revoked"]);
    house.close().await;
}

/// Invitations that were revoked, `ago` before now.
async fn revoked(house: &House, here: &Workspace, (count, ago): (usize, SignedDuration)) {
    let (scope, created_at) = (Scope::Workspace(here.id), house.api.now() - ago);
    let changes = (0..count).map(|n| {
        let entity = Entity::Invitation(Invitation {
            id: uuid::Uuid::now_v7(),
            workspace_id: here.id,
            email: format!("{n}@example.com"),
            role: Role::Author,
            credential: Secret::new().credential(),
            status: Admission::Declined,
            invited_by: UserId(uuid::Uuid::from_u128(1)),
            version: 0,
            created_at,
            expires_at: created_at + super::LIFETIME,
        });
        Change { scope, expect: Expect::Absent, entity, action: "test.create" }
    });
    let by = engine::model::Principal::engine();
    house.store.apply(changes.collect(), &by, house.api.now()).await.unwrap();
}

/// Goal: whoever invites, revokes and invites again sends no more mails than this, to however many addresses.
#[tokio::test]
async fn a_workspace_creates_a_hundred_invitations_within_an_hour_and_no_more() {
    let house = House::open().await;
    let (here, there) = (house.workspace("here").await, house.workspace("there").await);
    let (admin, other) = (house.member(&here, "Admin").await, house.member(&there, "Admin").await);
    revoked(&house, &here, (super::MAX_RECENT, SignedDuration::from_mins(61))).await;
    revoked(&house, &here, (super::MAX_RECENT - 1, SignedDuration::from_mins(59))).await;
    invite(&admin, "last@example.com", "Author").await;
    let body = json!({"email": "more@example.com", "role": "Author"});
    let request = admin.request(reqwest::Method::POST, "/w/here/invitations").json(&body);
    let response = request.send().await.unwrap();
    let wait_s: u32 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    let (status, refused) = crate::api::testing::read(response).await;
    assert_eq!((status, code(&refused)), (429, "rate_limited"), "{refused}");
    assert!((1..=60).contains(&wait_s), "{wait_s}");
    assert_eq!(other.post("/w/there/invitations", body).await.0, 201, "another workspace's");
    house.close().await;
}
