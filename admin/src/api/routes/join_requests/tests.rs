//! Requests to join: they reveal nothing, are decided once, and give the role that was chosen.

#![expect(clippy::unwrap_used, reason = "tests")]

use crate::api::testing::{Client, House, code};
use engine::store::Scope;
use serde_json::{Value, json};

async fn ask(client: &Client, slug: &str) -> (u16, Value) {
    client.post("/join-requests", json!({"slug": slug})).await
}

async fn waiting(admin: &Client) -> Vec<Value> {
    let (status, page) = admin.get("/w/here/join-requests").await;
    assert_eq!(status, 200, "{page}");
    page["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn asking_tells_nothing_about_workspaces_and_is_kept_once() {
    let house = House::open().await;
    let here = house.workspace("here").await;
    let admin = house.member(&here, "Admin").await;
    let ann = house.user("ann@example.com").await;
    let answers = [
        ask(&ann, "here").await,
        ask(&ann, "here").await,
        ask(&ann, "nowhere").await,
        ask(&ann, "master").await,
        ask(&ann, "No Slug!").await,
        ask(&admin, "here").await,
    ];
    assert!(answers.iter().all(|answer| *answer == (202, json!({"status": "received"}))), "{answers:?}");
    let items = waiting(&admin).await;
    assert_eq!(items.len(), 1, "{items:?}");
    assert_eq!((&items[0]["email"], &items[0]["status"]), (&json!("ann@example.com"), &json!("Pending")));
    assert_eq!(ann.get("/w/here/settings").await.0, 404, "no access meanwhile");
    assert_eq!(house.actions(Scope::Workspace(here.id)).await, ["join_request.create"]);
    assert_eq!(house.nobody().post("/join-requests", json!({"slug": "here"})).await.0, 401);
    assert_eq!(ask(&ann, &"a".repeat(64)).await.0, 422);
    house.close().await;
}

#[tokio::test]
async fn a_request_is_decided_once() {
    let house = House::open().await;
    let here = house.workspace("here").await;
    let admin = house.member(&here, "Admin").await;
    let (ann, bob) = (house.user("ann@example.com").await, house.user("bob@example.com").await);
    ask(&ann, "here").await;
    ask(&bob, "here").await;
    let items = waiting(&admin).await;
    let path =
        |at: usize, what: &str| format!("/w/here/join-requests/{}/{what}", items[at]["id"].as_str().unwrap());
    let (status, rejected) = admin.post(&path(0, "reject"), json!({})).await;
    assert_eq!((status, &rejected["status"]), (200, &json!("Rejected")), "{rejected}");
    assert_eq!(admin.post(&path(1, "approve"), json!({})).await.0, 422, "a role is chosen");
    let (status, approved) = admin.post(&path(1, "approve"), json!({"role": "Moderator"})).await;
    assert_eq!((status, &approved["status"]), (200, &json!("Approved")), "{approved}");
    for (at, what) in [(0, "approve"), (0, "reject"), (1, "approve"), (1, "reject")] {
        let (status, late) = admin.post(&path(at, what), json!({"role": "Admin"})).await;
        assert_eq!((status, code(&late)), (409, "already_decided"), "{what}");
    }
    assert_eq!((ann.get("/w/here/audit").await.0, bob.get("/w/here/audit").await.0), (200, 404));
    assert!(waiting(&admin).await.is_empty());
    assert_eq!(ask(&bob, "here").await.0, 202);
    assert_eq!(waiting(&admin).await.len(), 1, "who was rejected may ask again");
    let actions = house.actions(Scope::Workspace(here.id)).await;
    let made = ["join_request.create", "join_request.create", "join_request.reject"];
    let rest = ["join_request.approve", "member.add", "join_request.create"];
    assert_eq!(actions, [made, rest].concat());
    house.close().await;
}

#[tokio::test]
async fn of_many_decisions_at_once_one_counts() {
    let house = House::open().await;
    let here = house.workspace("here").await;
    let admin = house.member(&here, "Admin").await;
    let ann = house.user("ann@example.com").await;
    ask(&ann, "here").await;
    let id = waiting(&admin).await[0]["id"].as_str().unwrap().to_owned();
    let decisions: Vec<_> = (0..10)
        .map(|n| {
            let what = if n % 2 == 0 { "approve" } else { "reject" };
            let (admin, path) = (admin.clone(), format!("/w/here/join-requests/{id}/{what}"));
            tokio::spawn(async move { admin.post(&path, json!({"role": "Author"})).await.0 })
        })
        .collect();
    let mut statuses = Vec::new();
    for decision in decisions {
        statuses.push(decision.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![200], vec![409; 9]].concat());
    house.close().await;
}

#[tokio::test]
async fn an_account_has_a_bounded_number_of_waiting_requests() {
    let house = House::open().await;
    let ann = house.user("ann@example.com").await;
    for n in 0..=super::MAX_WAITING {
        let workspace = house.workspace(&format!("w-{n}")).await;
        assert_eq!(ask(&ann, &workspace.slug).await, (202, json!({"status": "received"})));
        let kept = house.actions(Scope::Workspace(workspace.id)).await.len();
        assert_eq!(kept, usize::from(n < super::MAX_WAITING), "{n}");
    }
    house.close().await;
}
