//! Diagnostics: what super admins see, and what admins see of their own tenant.

use crate::api::testing::House;
use serde_json::{Value, json};

#[tokio::test]
async fn a_super_admin_sees_the_installation_and_an_admin_what_they_use() {
    let house = House::open().await;
    let (root, here) = (house.super_admin().await, house.workspace("here").await);
    let admin = house.member(&here, "Admin").await;
    let (status, whole) = root.get("/diagnostics").await;
    assert_eq!(status, 200, "{whole}");
    assert_eq!(whole["scope"], "platform");
    assert_eq!((&whole["engine"]["up"], &whole["engine"]["storing"]), (&json!(true), &json!(true)));
    assert_eq!(
        (&whole["schema"]["matches"], &whole["schema"]["admin"]),
        (&json!(true), &whole["schema"]["core"])
    );
    assert_eq!(
        (&whole["audit"]["retention_days"], &whole["audit"]["fallback_bytes"]),
        (&json!(90), &json!(0))
    );
    assert_eq!((&whole["channels"][0]["name"], &whole["channels"][0]["binds"]), (&json!("main"), &json!(1)));
    assert!(whole["engine"]["queued"].is_number() && whole["channels"][0]["in_flight"].is_number());
    let (status, own) = admin.get("/diagnostics").await;
    assert_eq!((status, &own["scope"]), (200, &json!("workspaces")), "{own}");
    assert_eq!(own["channels"][0]["name"], "main", "it serves every workspace");
    for hidden in
        [&own["engine"]["queued"], &own["engine"]["submit_p50_us"], &own["channels"][0]["in_flight"]]
    {
        assert_eq!(*hidden, Value::Null, "sums over all tenants are nobody's");
    }
    house.close().await;
}

#[tokio::test]
async fn diagnostics_are_for_admins() {
    let house = House::open().await;
    let here = house.workspace("here").await;
    for role in ["Author", "Author+", "Moderator"] {
        assert_eq!(house.member(&here, role).await.get("/diagnostics").await.0, 403, "{role}");
    }
    assert_eq!(house.user("ann@example.com").await.get("/diagnostics").await.0, 403);
    assert_eq!(house.nobody().get("/diagnostics").await.0, 401);
    house.close().await;
}
