//! One call makes a campaign: each mode with what it needs, who may, once for each key, and what the audit log says.

use super::*;
use crate::api::testing::{code, read};
use engine::model::KeyScope;
use reqwest::Method;

/// Far enough in the future for any clock that these tests run under.
const DAY: &str = "2099-01-01T";

fn window(from: &str, to: &str) -> Value {
    json!({"from": format!("{DAY}{from}"), "to": format!("{DAY}{to}")})
}

#[tokio::test]
async fn a_campaign_of_every_mode_waits_for_its_approval_and_starts_nothing() {
    let stage = Stage::open().await;
    let start = format!("{DAY}18:00");
    let modes = [
        (json!({}), "OnDemand", 2, "normal"),
        (json!({"mode": "On-demand"}), "OnDemand", 2, "normal"),
        (json!({"mode": "OnTime", "start_at": start}), "OnTime", 2, "normal"),
        (
            json!({"mode": "Scheduled", "start_at": start, "window": window("18:00", "19:00")}),
            "OnTime",
            2,
            "normal",
        ),
        (json!({"mode": "Spread", "window": window("10:00", "10:30")}), "Spread", 2, "normal"),
        (json!({"mode": "Trigger", "recipients": null, "text": "Code {code}"}), "Trigger", 0, "otp"),
        (
            json!({"mode": "Trigger", "recipients": [], "window": window("10:00", "11:00")}),
            "Trigger",
            0,
            "otp",
        ),
    ];
    for (change, mode, recipients, lane) in modes {
        let response =
            stage.author.request(Method::POST, "/w/shop/campaigns").json(&stage.body(change.clone()));
        let response = response.send().await.unwrap();
        let location = response.headers().get("location").map(|at| at.to_str().unwrap().to_owned());
        let (status, body) = read(response).await;
        assert_eq!(status, 201, "{change}: {body}");
        assert_eq!(location, Some(format!("/api/v1{}", path(id_of(&body), ""))));
        let told = [&body["mode"], &body["status"], &body["auto_start"], &body["version"], &body["lane"]];
        assert_eq!(told, [&json!(mode), &json!("New"), &json!(false), &json!(1), &json!(lane)], "{change}");
        assert_eq!(
            (&body["counts"]["total"], &body["counts"]["queued"]),
            (&json!(recipients), &json!(recipients))
        );
        assert_eq!((&body["saddr"], &body["created_by"]), (&json!("Shop"), &json!(stage.author.user)));
        let (_, queue) = stage.moderator.get("/w/shop/moderation/campaigns").await;
        assert!(queue.to_string().contains(body["id"].as_str().unwrap()), "{queue}");
        assert_eq!(stage.author.post(&path(id_of(&body), "/start"), json!({})).await.0, 409);
    }
    assert_eq!(stage.house.smsc.stats().submits, 0);
    stage.house.close().await;
}

#[tokio::test]
async fn every_mode_asks_for_its_fields_and_refuses_those_of_others() {
    let stage = Stage::open().await;
    let (start, half) = (format!("{DAY}18:00"), window("10:00", "10:30"));
    let past = json!({"from": "2001-01-01T10:00", "to": "2001-01-01T11:00"});
    let table = [
        (json!({"mode": null}), vec![("mode", "required")]),
        (json!({"start_at": start}), vec![("start_at", "not_in_this_mode")]),
        (json!({"window": half}), vec![("window", "not_in_this_mode")]),
        (json!({"recipients": null}), vec![("recipients", "no_recipients")]),
        (json!({"recipients": []}), vec![("recipients", "no_recipients")]),
        (json!({"recipients": [{"number": "none"}]}), vec![("recipients", "no_recipients")]),
        (json!({"mode": "OnTime"}), vec![("start_at", "required")]),
        (json!({"mode": "OnTime", "start_at": "2001-01-01T10:00"}), vec![("start_at", "in_the_past")]),
        (json!({"mode": "OnTime", "start_at": start, "window": half}), vec![("start_at", "outside_window")]),
        (json!({"mode": "OnTime", "start_at": "tomorrow"}), vec![("start_at", "malformed")]),
        (json!({"mode": "Spread"}), vec![("window", "required")]),
        (
            json!({"mode": "Spread", "window": half, "start_at": start}),
            vec![("start_at", "not_in_this_mode")],
        ),
        (json!({"mode": "Spread", "window": window("10:30", "10:00")}), vec![("window", "end_before_start")]),
        (json!({"mode": "Spread", "window": window("10:00", "10:00")}), vec![("window", "end_before_start")]),
        (json!({"mode": "Spread", "window": past}), vec![("window", "in_the_past")]),
        (
            json!({"mode": "Spread", "window": half, "daily_limit": 1}),
            vec![("daily_limit", "plan_infeasible")],
        ),
        (json!({"mode": "Trigger"}), vec![("recipients", "not_in_this_mode")]),
        (
            json!({"mode": "Trigger", "recipients": null, "start_at": start}),
            vec![("start_at", "not_in_this_mode")],
        ),
    ];
    for (change, expected) in table {
        let (status, body) = stage.send(change.clone()).await;
        assert_eq!((status, wrong(&body)), (422, expected), "{change}: {body}");
    }
    for (mode, extra) in
        [("OnDemand", json!({})), ("OnTime", json!({"start_at": start})), ("Spread", json!({"window": half}))]
    {
        let mut change = json!({"mode": mode, "ignore_daily_window": true});
        change.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let (status, body) = stage.send(change).await;
        assert_eq!(
            (status, wrong(&body)),
            (422, vec![("ignore_daily_window", "not_in_this_mode")]),
            "{mode}"
        );
    }
    let change = json!({"mode": "Trigger", "recipients": null, "ignore_daily_window": true});
    assert_eq!(stage.send(change).await.1["ignore_daily_window"], true);
    assert_eq!(stage.author.get("/w/shop/campaigns").await.1["workspace_total"], 1, "only the last was made");
    stage.house.close().await;
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once_and_nothing_is_kept() {
    let stage = Stage::open().await;
    let (status, body) = stage.author.post("/w/shop/campaigns", json!({})).await;
    let all =
        vec![("name", "required"), ("mode", "required"), ("text", "required"), ("sender_id", "required")];
    assert_eq!((status, code(&body), wrong(&body)), (422, "invalid", all));
    let recipients: Vec<_> = (0..5_000).map(|n| json!({"number": format!("+49151{n:08}")})).collect();
    let change = json!({"recipients": recipients, "dton": 7, "dnpi": 2, "daily_limit": 0, "channel": "none"});
    let (status, body) = stage.send(change).await;
    let named: Vec<&str> = wrong(&body).into_iter().map(|(field, _)| field).collect();
    assert_eq!((status, named), (422, vec!["dton", "dnpi", "channel", "daily_limit"]));
    let twice = json!({"number": NUMBERS[0], "variables": {"Name": "Ann", "name": "Bob"}});
    let (status, body) = stage.send(json!({"text": "{Name} {name}", "recipients": [twice]})).await;
    assert_eq!((status, wrong(&body)), (422, vec![("text", "ambiguous_variable")]), "which value is meant?");
    assert_eq!(crate::api::routes::drafts::tests::list_files(&stage.house), Vec::<String>::new());
    let unused = stage.house.store.header(engine::model::CampaignNo(1)).await;
    assert!(matches!(unused, Err(engine::store::StoreError::NotFound)), "{unused:?}");
    stage.house.close().await;
}

#[tokio::test]
async fn a_workspace_that_is_left_no_channel_is_told_so_before_anybody_approves() {
    let stage = Stage::open().await;
    let terms = |channels: &[&str]| Terms {
        channels: channels.iter().map(|name| (*name).to_owned()).collect(),
        ..Terms::default()
    };
    stage.govern(Policies::default(), terms(&["gone"])).await;
    for change in [json!({}), json!({"channel": "main"})] {
        let (status, body) = stage.send(change).await;
        assert_eq!((status, wrong(&body)), (422, vec![("channel", "not_available")]), "{body}");
    }
    let granted = Workspace { version: 2, terms: terms(&["main", "gone"]), ..stage.workspace.clone() };
    stage.house.change(Entity::Workspace(granted), 1).await;
    assert_eq!(stage.send(json!({})).await.0, 201);
    stage.house.close().await;
}

#[tokio::test]
async fn a_body_with_anything_unknown_is_refused_as_a_whole() {
    let stage = Stage::open().await;
    let half = json!({"from": format!("{DAY}10:00"), "to": format!("{DAY}10:30"), "step": 1});
    let table = [
        (json!({"nome": "a"}), 400, "malformed"),
        (json!({"status": "Done"}), 400, "malformed"),
        (json!({"version": 1}), 400, "malformed"),
        (json!({"retry": []}), 400, "malformed"),
        (json!({"recipients": [{"number": NUMBERS[0], "name": "Ann"}]}), 400, "malformed"),
        (json!({"mode": "Spread", "window": half}), 400, "malformed"),
        (json!({"recipients": [{}]}), 422, "invalid"),
        (json!({"recipients": "all"}), 422, "invalid"),
        (json!({"mode": "Sometimes"}), 422, "invalid"),
        (json!({"lane": "fast"}), 422, "invalid"),
        (json!({"delivery_policy": "exactly_once"}), 422, "invalid"),
        (json!({"sender_id": "Shop"}), 422, "invalid"),
        (json!({"auto_start": "yes"}), 422, "invalid"),
    ];
    for (change, expected, kind) in table {
        let (status, body) = stage.send(change.clone()).await;
        assert_eq!((status, code(&body)), (expected, kind), "{change}: {body}");
    }
    assert_eq!(stage.author.get("/w/shop/campaigns").await.1["workspace_total"], 0);
    stage.house.close().await;
}

#[tokio::test]
async fn a_key_makes_one_campaign_however_often_it_is_sent() {
    let stage = Stage::open().await;
    let send = async |body: Value, key: &str| {
        let request = stage.author.request(Method::POST, "/w/shop/campaigns").header("idempotency-key", key);
        read(request.json(&body).send().await.unwrap()).await
    };
    let (status, first) = send(stage.body(json!({})), "k1").await;
    assert_eq!(status, 201, "{first}");
    assert_eq!(send(stage.body(json!({})), "k1").await, (201, first.clone()));
    let (status, body) = send(stage.body(json!({"name": "Other"})), "k1").await;
    assert_eq!((status, code(&body)), (409, "idempotency_mismatch"));
    // What was refused may be tried again under the same key.
    assert_eq!(send(stage.body(json!({"name": ""})), "k2").await.0, 422);
    let (status, second) = send(stage.body(json!({})), "k2").await;
    assert_eq!((status, second["id"] == first["id"]), (201, false));
    assert_eq!(stage.author.get("/w/shop/campaigns").await.1["workspace_total"], 2);
    stage.house.close().await;
}

#[tokio::test]
async fn authors_admins_and_their_keys_create_and_nobody_else_does() {
    let stage = Stage::open().await;
    let writes = stage.house.key(&stage.workspace, &stage.author, &[KeyScope::CampaignsWrite]).await;
    let reads = stage.house.key(&stage.workspace, &stage.author, &[KeyScope::CampaignsRead]).await;
    let root = stage.house.super_admin().await;
    let cast = [
        (&stage.author, 201, ""),
        (&stage.admin, 201, ""),
        (&writes, 201, ""),
        (&reads, 403, "key_scope"),
        (&stage.moderator, 403, "forbidden"),
        (&root, 403, "forbidden"),
        (&stage.stranger, 404, "not_found"),
        (&stage.house.nobody(), 401, "unauthenticated"),
    ];
    for (client, expected, kind) in cast {
        let (status, body) = client.post("/w/shop/campaigns", stage.body(json!({}))).await;
        assert_eq!((status, code(&body)), (expected, kind), "{body}");
    }
    let (status, body) = stage.author.post("/w/master/campaigns", stage.body(json!({}))).await;
    assert_eq!(status, 404, "{body}");
    // Its own sender is not there for the other workspace: neither found nor told apart from one that does not exist.
    let (status, body) = stage.stranger.post("/w/other/campaigns", stage.body(json!({}))).await;
    assert_eq!((status, wrong(&body)), (422, vec![("sender_id", "sender_not_approved")]));
    let unknown = stage.body(json!({"sender_id": uuid::Uuid::now_v7()}));
    let (_, told) = stage.stranger.post("/w/other/campaigns", unknown).await;
    assert_eq!((&body["detail"], &body["errors"]), (&told["detail"], &told["errors"]));
    stage.house.close().await;
}

#[tokio::test]
async fn the_audit_log_tells_who_made_what_from_how_many_lines() {
    let stage = Stage::open().await;
    let recipients =
        [NUMBERS[0], NUMBERS[1], "0049 151 1234567", "x"].map(|number| json!({"number": number}));
    let id = stage.create(json!({"recipients": recipients, "daily_limit": 7})).await;
    let events = stage.events(id).await;
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((event.action.as_str(), event.entity_kind.as_str()), ("campaign.create", "campaign"));
    assert_eq!((event.by.user_id, event.by.role.as_str()), (Some(stage.author.user), "Author"));
    assert!(event.by.address.is_some() && event.by.request_id.is_some(), "{:?}", event.by);
    assert_eq!(event.before, Value::Null);
    let after = &event.after;
    assert_eq!(
        (&after["name"], &after["status"], &after["recipients"]),
        (&json!("Sale"), &json!("New"), &json!(2))
    );
    assert_eq!(after["content"]["rules"]["daily_limit"], 7);
    let upload = &after["filing"]["upload"];
    let counts = ["lines", "accepted", "duplicate", "invalid"].map(|name| upload[name].as_u64().unwrap());
    assert_eq!(counts, [4, 2, 1, 1]);
    assert!(upload["bytes"].as_u64().unwrap() > 40, "{upload}");
    assert!(!after.to_string().contains("1511234567"), "a number in the audit log");
    // A refused one leaves no event.
    assert_eq!(stage.send(json!({"name": ""})).await.0, 422);
    let log = stage.house.store.audit(stage.scope(), 0).await.unwrap();
    assert_eq!(log.iter().filter(|event| event.action.starts_with("campaign.")).count(), 1);
    stage.house.close().await;
}
