//! The day of the channels: what was sent is in it, and nobody learns what other tenants send.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::super::overview::tests::{seeded, sent};
use crate::api::testing::{Client, House, code};
use engine::Now;
use serde_json::Value;

/// Later than any look of the running API.
fn later(house: &House, seconds: u64) -> Now {
    let now = house.api.clock.now();
    Now { mono_us: now.mono_us + seconds * 1_000_000, wall_ms: now.wall_ms + seconds * 1_000 }
}

async fn channel(client: &Client, path: &str) -> Value {
    let (status, body) = client.get(path).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["channels"].as_array().unwrap().len(), 1, "{body}");
    body["channels"][0].clone()
}

#[tokio::test]
async fn what_was_sent_is_in_the_series_and_shared_channels_show_health_alone() {
    let house = House::open().await;
    let (seed, workspace) = seeded(&house, "shop").await;
    let admin = house.member(&workspace, "Admin").await;
    let monitor = &house.api.monitor;
    monitor.look(&house.api.engine, later(&house, 1_000));
    sent(&house, &seed).await;
    for second in [1_010, 1_020, 1_040] {
        monitor.look(&house.api.engine, later(&house, second));
    }
    let alone = channel(&admin, "/w/shop/monitoring?minutes=1").await;
    assert_eq!((&alone["name"], &alone["shared"]), (&"main".into(), &false.into()));
    let series = alone["series"].as_object().unwrap();
    assert_eq!(series.len(), 9);
    let submitted: f64 = series["submitted_per_s"].as_array().unwrap().iter().filter_map(Value::as_f64).sum();
    assert!((submitted * 10.0 - 120.0).abs() < 15.0, "{series:?}");
    assert!(
        series["p99_ms"].as_array().unwrap().iter().any(|point| point.as_f64() > Some(0.0)),
        "{series:?}"
    );
    assert!(series["submitted_per_s"].as_array().unwrap().iter().any(Value::is_null), "a hole: {series:?}");

    let (_, other) = seeded(&house, "other").await;
    let stranger = house.member(&other, "Admin").await;
    let shared = channel(&stranger, "/w/other/monitoring").await;
    let names: Vec<&String> = shared["series"].as_object().unwrap().keys().collect();
    assert_eq!((&shared["shared"], names.len()), (&true.into(), 3), "{names:?}");
    let root = house.super_admin().await;
    assert_eq!(channel(&root, "/w/other/monitoring").await["series"].as_object().unwrap().len(), 9);

    let author = house.member(&workspace, "Author").await;
    assert_eq!(author.get("/w/shop/monitoring").await.0, 403);
    assert_eq!(stranger.get("/w/shop/monitoring").await.0, 404);
    for minutes in ["0", "1441", "x"] {
        let (status, body) = admin.get(&format!("/w/shop/monitoring?minutes={minutes}")).await;
        assert_eq!((status, code(&body)), (400, "bad_parameter"), "{minutes}");
    }
    house.close().await;
}
