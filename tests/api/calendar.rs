//! Messages at a time of day, around the days on which clocks change: a reminder on the day before a shift, pay at the
//! minute that was announced. What is planned must be that very moment by the clock on the wall; that a campaign leaves
//! at its moment is shown by the maintenance message.

use super::people::{self, Address, Team};
use anyhow::Context;
use jiff::civil::{Date, Time, time};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde_json::{Value, json};
use tests::service::{Service, Setting};

const ZONE: &str = "Europe/Berlin";
const NUMBER: u64 = 491_705_000_000;

/// The next two days on which clocks change, each with what they show before and afterwards.
fn changes() -> anyhow::Result<Vec<(Date, Offset, Offset)>> {
    let zone = TimeZone::get(ZONE)?;
    let changes = zone.following(Timestamp::now()).take(2).map(|change| {
        let at = change.timestamp();
        let before = zone.to_offset(at - SignedDuration::from_secs(1));
        (change.offset().to_datetime(at).date(), before, change.offset())
    });
    Ok(changes.collect())
}

/// When a draft that starts at this time of this day would leave.
async fn planned(team: &Team, draft: &str, day: Date, at: Time) -> anyhow::Result<Timestamp> {
    let start = format!("{day}T{:02}:{:02}", at.hour(), at.minute());
    team.author.patch(draft, json!({"start_at": start, "time_zone": ZONE})).await?.expect(200)?;
    let preview = team.author.post(&format!("{draft}/preview"), Value::Null).await?.expect(200)?;
    assert_eq!(preview.body["refusal"], Value::Null, "{}", preview.body);
    Ok(preview.text("first_at").parse()?)
}

#[tokio::test]
async fn reminders_and_pay_leave_by_the_clock_on_the_wall_also_when_clocks_change() -> anyhow::Result<()> {
    let service = Service::start(Setting::default()).await?;
    let root = service.set_up().await?;
    let team = people::team(&service, &root, "plant", Address { saddr: "Plant", ston: 5, snpi: 0 }).await?;
    let fields = json!({"name": "Shift", "mode": "OnTime", "text": "Your shift begins at 6", "sender_id": team.sender});
    let draft = team.author.post(&team.path("/drafts"), fields).await?.expect(201)?;
    let draft = team.path(&format!("/drafts/{}", draft.text("id")));
    team.author.upload(&format!("{draft}/recipients"), people::file([NUMBER])).await?.expect(200)?;
    let changes = changes()?;
    assert_eq!(changes.len(), 2);
    for (day, before, after) in changes {
        assert_eq!(after.duration_since(before).unsigned_abs().as_secs(), 3_600);
        let eve = day.checked_sub(1.day()).context("the day before")?;
        let evening = time(18, 0, 0, 0);
        // For the shift of the day of the change, for that of the day behind it, and pay in its first minute.
        assert_eq!(
            planned(&team, &draft, eve, evening).await?,
            before.to_timestamp(eve.to_datetime(evening))?
        );
        assert_eq!(
            planned(&team, &draft, day, evening).await?,
            after.to_timestamp(day.to_datetime(evening))?
        );
        let first = time(0, 1, 0, 0);
        assert_eq!(planned(&team, &draft, day, first).await?, before.to_timestamp(day.to_datetime(first))?);
        // What the wall shows twice is the first of the two; what it never shows is the moment at which clocks change.
        let between = if after > before { time(2, 0, 0, 0) } else { time(2, 30, 0, 0) };
        assert_eq!(
            planned(&team, &draft, day, time(2, 30, 0, 0)).await?,
            before.to_timestamp(day.to_datetime(between))?
        );
    }
    Ok(())
}
