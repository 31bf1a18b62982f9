//! The IT maintenance message of the corporate document: written, scheduled, approved, sent on time and on record; and
//! the one that is withdrawn before its time.

use super::people::{self, Address, Team};
use super::trail::Trail;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tests::service::{Service, Setting};

const ADDRESS: Address = Address { saddr: "CorpIT", ston: 5, snpi: 0 };
const FIRST_NUMBER: u64 = 491_702_000_000;
const RECIPIENTS: u64 = 40;
const TEXT: &str = "Planned maintenance tonight 22:00-02:00. Internal systems will be unavailable.";
/// From the submission to the scheduled moment; approval has to fit in.
const AHEAD: SignedDuration = SignedDuration::from_secs(6);
/// How much later than planned a message may leave on a busy machine.
const LATE: SignedDuration = SignedDuration::from_secs(30);

async fn scheduled(team: &Team, at: Timestamp) -> anyhow::Result<Value> {
    let fields = json!({
        "name": "Maintenance", "mode": "OnTime", "text": TEXT, "start_at": at.to_string(),
        "window": null,
    });
    people::submitted(team, &team.author, fields, FIRST_NUMBER..FIRST_NUMBER + RECIPIENTS).await
}

/// An instant that a message carries.
fn instant(value: &Value) -> Timestamp {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_default()
}

async fn department() -> anyhow::Result<(Service, tests::service::Client, Team)> {
    let receipts = Some(bench::smsc::ReceiptConfig::default());
    let smsc = bench::smsc::Config { receipts, ..bench::smsc::Config::default() };
    let service = Service::start(Setting { smsc, ..Setting::default() }).await?;
    let root = service.set_up().await?;
    let team = people::team(&service, &root, "it", ADDRESS).await?;
    Ok((service, root, team))
}

#[tokio::test]
async fn a_maintenance_message_leaves_on_time_and_the_audit_says_who_and_when() -> anyhow::Result<()> {
    let (service, root, team) = department().await?;
    let at = Timestamp::now() + AHEAD;
    let campaign = scheduled(&team, at).await?;
    let id = people::id(&campaign);
    let approved = people::approve(&team, &team.moderator, &campaign).await?.expect(200)?;
    let path = team.path(&format!("/campaigns/{id}"));
    let done = |it: &Value| it["status"] == "Done" && it["counts"]["delivered"] == RECIPIENTS;
    let done = team.author.until(&path, done).await?;

    let recipients = team.author.all(&format!("{path}/recipients")).await?;
    assert_eq!(recipients.len() as u64, RECIPIENTS);
    for recipient in &recipients {
        assert_eq!(recipient["status"], "delivered", "{recipient}");
        let left = instant(&recipient["submitted_at"]);
        assert!(left >= at - SignedDuration::from_secs(1) && left <= at + LATE, "{at}: {recipient}");
        assert!(instant(&recipient["final_at"]) >= left, "{recipient}");
    }
    assert_eq!(people::accepted_from(&service, ADDRESS).len() as u64, RECIPIENTS);

    assert_eq!(
        (&done["created_by"], &done["approved_by"]),
        (&team.author.id.clone().into(), &team.moderator.id.clone().into())
    );
    let trail = Trail::read(&root, team.slug).await?;
    trail.assert_left(&approved, (&team.email("moderator"), "Moderator"), &["campaign.approve"]);
    let created = trail.about(id, "campaign.create");
    assert_eq!(created["actor"]["email"], team.email("author"), "{created}");
    let started = instant(&done["started_at"]);
    assert!(started <= at + LATE, "{done}");
    trail.about(id, "campaign.complete");
    Ok(())
}

#[tokio::test]
async fn a_maintenance_message_that_is_withdrawn_before_its_time_never_leaves() -> anyhow::Result<()> {
    let (service, root, team) = department().await?;
    let at = Timestamp::now() + AHEAD;
    let campaign = scheduled(&team, at).await?;
    let id = people::id(&campaign);
    people::approve(&team, &team.moderator, &campaign).await?.expect(200)?;
    let path = team.path(&format!("/campaigns/{id}"));
    team.author.until(&path, |it| it["status"] != "Building" && it["status"] != "New").await?;
    let withdrawn = team.admin.post(&format!("{path}/cancel-and-archive"), Value::Null).await?.expect(200)?;
    assert_eq!(withdrawn.text("status"), "Cancelled", "{}", withdrawn.body);
    assert!(Timestamp::now() < at, "the machine was too slow to withdraw it in time");

    // A later campaign goes through the same channel: when it has arrived, the withdrawn one would have, too.
    let later = json!({
        "name": "Later", "mode": "OnTime", "text": "Later",
        "start_at": (at + SignedDuration::from_secs(2)).to_string(),
    });
    let other = FIRST_NUMBER + 1_000_000;
    let later = people::submitted(&team, &team.author, later, [other]).await?;
    people::approve(&team, &team.moderator, &later).await?.expect(200)?;
    let later = team.path(&format!("/campaigns/{}", people::id(&later)));
    team.author.until(&later, |it| it["status"] == "Done").await?;
    assert_eq!(people::accepted_from(&service, ADDRESS), [other].into());

    let archived = team.admin.get("/w/archive/campaigns").await?.expect(200)?;
    assert_eq!(archived.body["items"][0]["id"], id, "{}", archived.body);
    assert_eq!(archived.body["items"][0]["counts"]["cancelled"], RECIPIENTS, "{}", archived.body);
    let trail = Trail::read(&root, team.slug).await?;
    let events = trail.of(&withdrawn);
    assert!(!events.is_empty());
    assert!(events.iter().all(|event| event["actor"]["email"] == team.email("admin")), "{events:?}");
    Ok(())
}
