//! Edits while a campaign waits: each a new version, each voids what was approved, none behind the approval.

use super::*;
use crate::api::testing::code;
use engine::model::Status;

#[tokio::test]
async fn an_edit_names_the_version_that_it_saw_and_makes_the_next_one() {
    let stage = Stage::open().await;
    let id = stage.create(json!({"daily_limit": 5})).await;
    for (edit, field) in
        [(json!({"name": "a"}), "version"), (json!({"name": "a", "version": null}), "version")]
    {
        let (status, body) = stage.author.patch(&path(id, ""), edit).await;
        assert_eq!((status, wrong(&body)), (422, vec![(field, "required")]));
    }
    for seen in [0, 2] {
        let (status, body) = stage.author.patch(&path(id, ""), json!({"version": seen, "name": "a"})).await;
        assert_eq!((status, code(&body)), (409, "version_changed"));
    }
    assert_eq!(stage.author.patch(&path(id, ""), json!({"version": -1})).await.0, 422);
    let edit = json!({"version": 1, "name": " Other ", "text": "Hello you", "daily_limit": null});
    let (status, body) = stage.author.patch(&path(id, ""), edit.clone()).await;
    let told = [&body["version"], &body["name"], &body["text"], &body["daily_limit"]];
    assert_eq!((status, told), (200, [&json!(2), &json!("Other"), &json!("Hello you"), &Value::Null]));
    assert_eq!(
        (&body["mode"], &body["counts"]["total"]),
        (&json!("OnDemand"), &json!(2)),
        "what is not named stays"
    );
    let (status, body) = stage.author.patch(&path(id, ""), edit).await;
    assert_eq!((status, code(&body)), (409, "version_changed"));
    let events = stage.events(id).await;
    let [_, event] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((event.action.as_str(), event.by.user_id), ("campaign.update", Some(stage.author.user)));
    assert_eq!((&event.before["name"], &event.after["name"]), (&json!("Sale"), &json!("Other")));
    assert_eq!((&event.before["version"], &event.after["version"]), (&json!(1), &json!(2)));
    let limit = |state: &Value| state["content"]["rules"]["daily_limit"].clone();
    assert_eq!((limit(&event.before), limit(&event.after)), (json!(5), Value::Null));
    stage.house.close().await;
}

#[tokio::test]
async fn an_edit_is_judged_as_a_whole_and_a_refused_one_changes_nothing() {
    let stage = Stage::open().await;
    let id = stage
        .create(json!({"text": "Hello {name}", "recipients": [
            {"number": NUMBERS[0], "variables": {"name": "Ann"}},
        ]}))
        .await;
    let before = stage.stored(id).await;
    let table = [
        (json!({"nome": "a"}), 400, vec!["nome"]),
        (json!({"recipients": []}), 400, vec!["recipients"]),
        (json!({"status": "Pending"}), 400, vec!["status"]),
        (json!({"name": null}), 422, vec!["name"]),
        (json!({"text": null}), 422, vec!["text"]),
        (json!({"sender_id": null}), 422, vec!["sender_id"]),
        (json!({"mode": null}), 422, vec!["mode"]),
        (json!({"mode": "OnTime"}), 422, vec!["start_at"]),
        (json!({"mode": "Trigger"}), 422, vec!["recipients"]),
        (json!({"text": "Hello {city}"}), 422, vec!["text"]),
        (json!({"text": "x".repeat(4_097)}), 422, vec!["text"]),
        (json!({"name": "n".repeat(201)}), 422, vec!["name"]),
        (json!({"validity_s": 0, "dton": 9}), 422, vec!["dton", "validity_s"]),
        (json!({"saddr": "Bank"}), 422, vec!["saddr"]),
    ];
    for (mut edit, expected, fields) in table {
        edit["version"] = json!(1);
        let (status, body) = stage.author.patch(&path(id, ""), edit.clone()).await;
        let named: Vec<&str> = wrong(&body).into_iter().map(|(field, _)| field).collect();
        assert_eq!((status, named), (expected, fields), "{edit}: {body}");
    }
    assert_eq!(stage.stored(id).await, before);
    assert_eq!(stage.events(id).await.len(), 1);
    stage.house.close().await;
}

#[tokio::test]
async fn of_many_edits_of_one_version_one_is_made() {
    let stage = Stage::open().await;
    let id = stage.create(json!({})).await;
    let calls: Vec<_> = (0..8)
        .map(|n| {
            let author = stage.author.clone();
            let edit = json!({"version": 1, "name": format!("Sale {n}")});
            tokio::spawn(async move { author.patch(&path(id, ""), edit).await })
        })
        .collect();
    let mut statuses = Vec::new();
    for call in calls {
        let (status, body) = call.await.unwrap();
        assert!(status == 200 || code(&body) == "version_changed", "{body}");
        statuses.push(status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409, 409, 409, 409, 409]);
    assert_eq!((stage.stored(id).await.version, stage.events(id).await.len()), (2, 2));
    stage.house.close().await;
}

#[tokio::test]
async fn behind_the_approval_and_out_of_the_queue_nothing_can_be_edited() {
    let stage = Stage::open().await;
    let refused = async |id: CampaignId, word: &str| {
        let before = stage.stored(id).await;
        let edit = json!({"version": before.version, "text": "Buy now"});
        for (status, body) in [
            stage.author.patch(&path(id, ""), edit.clone()).await,
            stage.admin.patch(&path(id, ""), edit).await,
            lists::put(&stage.author, id, "+491511234500\n").await,
        ] {
            assert_eq!((status, code(&body)), (409, "state_conflict"), "{word}: {body}");
            assert!(body["detail"].as_str().unwrap().contains(word), "{body}");
        }
        let after = stage.stored(id).await;
        assert_eq!((after.content, after.version), (before.content, before.version));
    };
    let approved = stage.create(json!({})).await;
    assert_eq!(stage.approve(approved, 1).await.0, 200);
    stage.until(approved, |campaign| campaign["status"] == "Pending").await;
    refused(approved, "Pending").await;
    let rejected = stage.create(json!({})).await;
    let note = json!({"version": 1, "note": "No."});
    assert_eq!(stage.moderator.post(&path(rejected, "/reject"), note).await.0, 200);
    refused(rejected, "Cancelled").await;
    let archived = stage.create(json!({})).await;
    assert_eq!(stage.author.post(&path(archived, "/archive"), json!({})).await.0, 200);
    refused(archived, "archived").await;
    for status in [Status::Sending, Status::Paused, Status::Done, Status::Failed, Status::Expired] {
        let id = stage.create(json!({})).await;
        // Only its status is looked at here; it must not begin to send for that.
        stage.set(|campaign| (campaign.status, campaign.filing.rejection_note) = (status, None), id).await;
        refused(id, &status.to_string()).await;
    }
    stage.house.close().await;
}

#[tokio::test]
async fn a_change_of_text_or_recipients_voids_the_approvals_given_so_far() {
    let stage = Stage::open().await;
    stage.govern(Policies { approvals_required: 2, ..Policies::default() }, Terms::default()).await;
    let second = stage.house.member(&stage.workspace, "Moderator").await;
    let id = stage.create(json!({})).await;
    let given = |body: &Value| body["approvals"].as_array().unwrap().len();
    let (status, body) = stage.approve(id, 1).await;
    assert_eq!((status, given(&body), &body["status"]), (200, 1, &json!("New")), "{body}");
    let (status, body) = stage.author.patch(&path(id, ""), json!({"version": 1, "text": "Buy now"})).await;
    assert_eq!((status, given(&body), &body["version"]), (200, 0, &json!(2)), "{body}");
    // The version that was seen before is not there any more.
    let seen = json!({"version": 1});
    let (status, body) = second.post(&path(id, "/approve"), seen).await;
    assert_eq!((status, code(&body)), (409, "version_changed"), "{body}");
    let (status, body) = stage.approve(id, 2).await;
    assert_eq!((status, given(&body), &body["status"]), (200, 1, &json!("New")), "{body}");
    assert_eq!(lists::put(&stage.author, id, "+491511234500\n").await.0, 200);
    let (_, body) = stage.author.get(&path(id, "")).await;
    assert_eq!((given(&body), &body["version"], &body["counts"]["total"]), (0, &json!(3), &json!(1)));
    assert_eq!(stage.approve(id, 3).await.1["status"], "New");
    let (status, body) = second.post(&path(id, "/approve"), json!({"version": 3})).await;
    assert_eq!((status, given(&body), &body["status"]), (200, 2, &json!("Building")), "{body}");
    let event = stage.events(id).await.into_iter().find(|event| event.action == "campaign.update").unwrap();
    let approvals = |state: &Value| state["approvals"].as_array().unwrap().len();
    assert_eq!((approvals(&event.before), approvals(&event.after)), (1, 0));
    stage.house.close().await;
}

#[tokio::test]
async fn whoever_edited_it_last_does_not_approve_it() {
    let stage = Stage::open().await;
    let flagged = stage.house.member(&stage.workspace, "Author+").await;
    let id = stage.create(json!({})).await;
    let edit = json!({"version": 1, "text": "Buy now"});
    // A flagged author moderates, but changes only what is their own.
    let (status, body) = flagged.patch(&path(id, ""), edit.clone()).await;
    assert_eq!((status, code(&body)), (403, "not_yours"));
    assert_eq!(stage.admin.patch(&path(id, ""), edit).await.0, 200);
    for client in [&stage.admin, &stage.author] {
        let (status, body) = client.post(&path(id, "/approve"), json!({"version": 2})).await;
        assert!(status == 403 && ["self_approval_forbidden", "forbidden"].contains(&code(&body)), "{body}");
    }
    assert_eq!(flagged.post(&path(id, "/approve"), json!({"version": 2})).await.0, 200);
    stage.house.close().await;
}

#[tokio::test]
async fn only_its_author_and_admins_edit_and_a_foreign_one_is_not_there() {
    let stage = Stage::open().await;
    let second = stage.house.member(&stage.workspace, "Author").await;
    let id = stage.create(json!({})).await;
    let before = stage.stored(id).await;
    let edit = json!({"version": 1, "name": "Mine"});
    for (client, slug, status) in [
        (&second, "shop", 403),
        (&stage.moderator, "shop", 403),
        (&stage.stranger, "shop", 404),
        (&stage.stranger, "other", 404),
    ] {
        let at = format!("/w/{slug}/campaigns/{id}");
        assert_eq!(client.patch(&at, edit.clone()).await.0, status, "{at}");
        assert_eq!(lists::put_at(client, &format!("{at}/recipients"), "+491511234500\n").await.0, status);
        assert_eq!(client.post(&format!("{at}/resend"), json!({"status": ["failed"]})).await.0, status);
        if status == 404 {
            assert_eq!(client.get(&format!("{at}/plan")).await.0, 404);
            assert_eq!(client.get(&format!("{at}/preflight")).await.0, 404);
        }
    }
    assert_eq!(stage.stored(id).await, before);
    let hidden = Policies { authors_see_all: false, ..Policies::default() };
    stage.govern(hidden, Terms::default()).await;
    for rest in ["/plan", "/preflight"] {
        assert_eq!(second.get(&path(id, rest)).await.0, 404, "hidden from other authors");
        assert_eq!(stage.moderator.get(&path(id, rest)).await.0, 200);
    }
    assert_eq!(second.patch(&path(id, ""), edit).await.0, 404);
    stage.house.close().await;
}
