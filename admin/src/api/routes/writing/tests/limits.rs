//! The bounds of a campaign in one call, each at its last good value and one step beyond; and how numbers are read.

use super::*;
use crate::api::testing::code;
use engine::model::CHUNK_RECIPIENTS;

/// Recipients with numbers of their own.
fn many(count: u64) -> Vec<Value> {
    (0..count).map(|n| json!({"number": format!("+49151{n:08}")})).collect()
}

#[tokio::test]
async fn ten_thousand_recipients_are_taken_and_one_more_is_refused_by_name() {
    let stage = Stage::open().await;
    let (status, body) = stage.send(json!({"recipients": many(10_001)})).await;
    assert_eq!((status, code(&body), wrong(&body)), (422, "invalid", vec![("recipients", "too_many")]));
    assert!(body["errors"][0]["message"].as_str().unwrap().contains("10000"), "{body}");
    assert_eq!(stage.author.get("/w/shop/campaigns").await.1["workspace_total"], 0);
    let id = stage.create(json!({"recipients": many(10_000)})).await;
    let campaign = stage.stored(id).await;
    assert_eq!(campaign.recipients, 10_000);
    assert_eq!(stage.house.store.header(campaign.no).await.unwrap().recipients, 10_000);
    let last = stage.house.store.recipients(campaign.no, 2).await.unwrap().numbers;
    assert_eq!((last.len(), last.last()), (10_000 - 2 * CHUNK_RECIPIENTS, Some(&4_915_100_009_999)));
    // Of ten thousand with repetitions the same call counts every one.
    let mut repeated = many(9_999);
    repeated.push(json!({"number": "+4915100000000"}));
    let campaign = stage.stored(stage.create(json!({"recipients": repeated})).await).await;
    let upload = campaign.filing.upload.unwrap();
    assert_eq!((campaign.recipients, upload.lines, upload.duplicate), (9_999, 10_000, 1));
    stage.house.close().await;
}

#[tokio::test]
async fn every_bound_holds_at_its_last_value_and_not_beyond() {
    let stage = Stage::open().await;
    // Sixteen parts of 153 characters each, and of 67 in UCS-2.
    let gsm = |count: usize| json!({"text": "x".repeat(count)});
    let ucs = |count: usize| json!({"text": "\u{43f}".repeat(count)});
    let trigger = |members: Value| {
        let mut change = json!({"mode": "Trigger", "recipients": null});
        change.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        change
    };
    let table = [
        ("text", gsm(2_448), gsm(2_449)),
        ("text", ucs(1_072), ucs(1_073)),
        ("text", gsm(1), gsm(0)),
        ("text", gsm(1), gsm(4_097)),
        ("name", json!({"name": "n".repeat(200)}), json!({"name": "n".repeat(201)})),
        ("name", json!({"name": "n"}), json!({"name": "  "})),
        ("name", json!({"name": "\u{e9}\u{e9}"}), json!({"name": "two\nlines"})),
        ("daily_limit", json!({"daily_limit": 1}), json!({"daily_limit": 0})),
        ("validity_s", json!({"validity_s": 1}), json!({"validity_s": 0})),
        ("validity_s", json!({"validity_s": 2_764_799}), json!({"validity_s": 2_764_800})),
        ("dton", json!({"dton": 6}), json!({"dton": 7})),
        ("dnpi", json!({"dnpi": 18}), json!({"dnpi": 19})),
        ("dnpi", json!({"dnpi": 0}), json!({"dnpi": 2})),
        ("time_zone", json!({"time_zone": "Europe/Berlin"}), json!({"time_zone": "Europe/Atlantis"})),
        ("time_zone", json!({"time_zone": "UTC"}), json!({"time_zone": "x".repeat(65)})),
        ("channel", json!({"channel": "main"}), json!({"channel": "main2"})),
        ("text", trigger(json!({"text": "Code {code}"})), trigger(json!({"text": "{code}"}))),
    ];
    for (field, good, bad) in table {
        assert_eq!(stage.send(good.clone()).await.0, 201, "{field}: {good}");
        let (status, body) = stage.send(bad.clone()).await;
        let named: Vec<&str> = wrong(&body).into_iter().map(|(field, _)| field).collect();
        assert!(
            status == 422 && !named.is_empty() && named.iter().all(|name| *name == field),
            "{bad}: {body}"
        );
    }
    let longest = stage.send(gsm(2_448)).await.1;
    assert_eq!((&longest["segments"], &longest["encoding"]), (&json!(16), &json!("gsm7")));
    stage.house.close().await;
}

#[tokio::test]
async fn numbers_are_read_in_every_form_and_national_ones_with_the_region_of_the_workspace() {
    let stage = Stage::open().await;
    let written =
        ["+49 151 1234567", "0049-151-1234568", "491511234569", "(+49) 151/1234560", "0151 1234561"];
    let recipients = written.map(|number| json!({"number": number}));
    let id = stage.create(json!({"recipients": recipients})).await;
    let abroad = [491_511_234_567_u64, 491_511_234_568, 491_511_234_569];
    let numbers = stage.numbers(id).await;
    assert_eq!(numbers[..3], abroad);
    assert!(!numbers.contains(&491_511_234_561), "a national form means nothing without a region");
    let (_, errors) = stage.author.get(&path(id, "/errors/job")).await;
    assert!(errors.to_string().contains("line_national_without_region"), "{errors}");
    assert!(!errors.to_string().contains("1511234561"), "a number in a job error");
    let region = Policies { default_region: Some("DE".to_owned()), ..Policies::default() };
    stage.govern(region, Terms::default()).await;
    let same = ["0151 1234567", "+49 151 1234567", "00491511234567", "0151-1234568"];
    let id = stage.create(json!({"recipients": same.map(|number| json!({"number": number}))})).await;
    assert_eq!(stage.numbers(id).await, [491_511_234_567, 491_511_234_568]);
    let upload = stage.stored(id).await.filing.upload.unwrap();
    assert_eq!((upload.lines, upload.accepted, upload.duplicate, upload.invalid), (4, 2, 2, 0));
    stage.house.close().await;
}

#[tokio::test]
async fn a_recipient_that_cannot_be_used_is_told_by_its_place_and_does_not_fail_the_others() {
    let stage = Stage::open().await;
    let recipients = json!([
        {"number": NUMBERS[0], "variables": {"name": "Ann", "city": "Rome"}},
        {"number": "+49 15"},
        {"number": ""},
        {"number": NUMBERS[1], "variables": {"city": "Oslo"}},
        {"number": "+49 151 1234569", "variables": {"name": "Bob"}},
        {"number": "+49 151 1234569", "variables": {"name": "Bob again"}},
    ]);
    let id = stage.create(json!({"text": "Hello {name}", "recipients": recipients})).await;
    let campaign = stage.stored(id).await;
    assert_eq!(stage.numbers(id).await, [491_511_234_567, 491_511_234_569]);
    let values = stage.house.store.recipients(campaign.no, 0).await.unwrap().values;
    let values = engine::model::Values::index(&values, 1).unwrap();
    assert_eq!((values.row(0).get(0), values.row(1).get(0)), (Some("Ann"), Some("Bob")));
    let (status, errors) = stage.author.get(&path(id, "/errors/job")).await;
    let told: Vec<_> = errors["items"].as_array().unwrap().iter().map(|e| (&e["line"], &e["code"])).collect();
    let lines = [2, 3, 4, 6].map(|line| json!(line));
    let codes = ["line_too_short", "line_empty", "line_bad_value", "line_duplicate"].map(|code| json!(code));
    assert_eq!((status, told), (200, lines.iter().zip(&codes).collect()), "{errors}");
    stage.house.close().await;
}

#[tokio::test]
async fn the_storage_quota_of_the_workspace_holds_for_recipients_in_a_call_too() {
    let stage = Stage::open().await;
    let first = stage.create(json!({})).await;
    let octets = stage.stored(first).await.filing.upload.unwrap().bytes;
    let terms = Terms { storage_quota_bytes: Some(3 * octets - 1), ..Terms::default() };
    stage.govern(Policies::default(), terms).await;
    stage.create(json!({})).await;
    let (status, body) = stage.send(json!({})).await;
    assert_eq!((status, code(&body)), (413, "quota_exceeded"), "{body}");
    // Nobody else's is touched by it, and what needs no storage is still taken.
    assert_eq!(stage.send(json!({"mode": "Trigger", "recipients": null})).await.0, 201);
    assert_eq!(stage.author.get("/w/shop/campaigns").await.1["workspace_total"], 3);
    let admin = stage.house.member(&stage.workspace, "Admin").await;
    let root = stage.house.super_admin().await;
    assert_eq!(admin.get("/w/shop/settings").await.1["stored_bytes"], 2 * octets);
    assert_eq!(root.get("/workspaces/shop").await.1["stored_bytes"], 2 * octets);
    stage.house.close().await;
}
