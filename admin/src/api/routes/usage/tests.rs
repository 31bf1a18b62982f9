//! The bill of a month against what was really sent.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::super::overview::tests::{seeded, sent};
use crate::api::testing::{House, code};
use engine::model::KeyScope;
use jiff::Timestamp;

#[tokio::test]
async fn a_month_sums_the_campaigns_of_one_workspace_page_by_page() {
    let house = House::open().await;
    let (seed, workspace) = seeded(&house, "shop").await;
    let (_, other) = seeded(&house, "other").await;
    let mut ids = vec![sent(&house, &seed).await.0.to_string(), sent(&house, &seed).await.0.to_string()];
    ids.sort();
    let month = Timestamp::now().to_string()[..7].to_owned();
    let (admin, stranger) = (house.member(&workspace, "Admin").await, house.member(&other, "Admin").await);
    let program = house.key(&workspace, &admin, &[KeyScope::AuditRead]).await;
    for client in [&admin, &program] {
        let (status, body) = client.get(&format!("/w/shop/usage?month={month}&limit=1")).await;
        assert_eq!(status, 200, "{body}");
        let (one, both) = (
            serde_json::json!({ "messages": 60, "segments": 120 }),
            serde_json::json!({ "messages": 120, "segments": 240 }),
        );
        assert_eq!((&body["total"]["sent_total"], &body["total"]["sent"]), (&both, &both));
        assert_eq!((&body["items"][0]["sent_total"], &body["items"][0]["name"]), (&one, &"Winter".into()));
        assert_eq!((&body["campaigns"], &body["is_over"]), (&2.into(), &false.into()));
        let cursor = body["next_cursor"].as_str().unwrap();
        let (_, next) = client.get(&format!("/w/shop/usage?month={month}&limit=1&cursor={cursor}")).await;
        assert_eq!(next["next_cursor"], serde_json::Value::Null);
        let found = [&body, &next].map(|page| page["items"][0]["campaign_id"].as_str().unwrap().to_owned());
        assert_eq!(found.to_vec(), ids);
    }
    let (_, empty) = stranger.get(&format!("/w/other/usage?month={month}")).await;
    assert_eq!((&empty["campaigns"], &empty["total"]["sent_total"]["messages"]), (&0.into(), &0.into()));
    let (_, past) = admin.get("/w/shop/usage?month=2020-02").await;
    assert_eq!((&past["is_over"], &past["campaigns"]), (&true.into(), &0.into()));
    house.close().await;
}

#[tokio::test]
async fn what_is_no_month_or_has_not_begun_is_refused() {
    let house = House::open().await;
    let workspace = house.workspace("shop").await;
    let admin = house.member(&workspace, "Admin").await;
    for (query, status, kind) in [
        ("", 400, "bad_parameter"),
        ("?month=2026-13", 400, "bad_parameter"),
        ("?month=2026-1", 400, "bad_parameter"),
        ("?month=2098-01", 422, "invalid"),
        ("?month=2026-01&limit=0", 400, "bad_parameter"),
        ("?month=2026-01&cursor=x", 400, "bad_parameter"),
        ("?month=2026-01&year=1", 400, "bad_parameter"),
    ] {
        let (found, body) = admin.get(&format!("/w/shop/usage{query}")).await;
        assert_eq!((found, code(&body)), (status, kind), "{query}: {body}");
    }
    let author = house.member(&workspace, "Author").await;
    let (status, body) = author.get("/w/shop/usage?month=2026-01").await;
    assert_eq!((status, code(&body)), (403, "forbidden"));
    let stranger = house.user("stranger@example.com").await;
    assert_eq!(stranger.get("/w/shop/usage?month=2026-01").await.0, 404);
    house.close().await;
}
