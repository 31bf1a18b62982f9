//! How long lists and overviews take while a campaign is sent, with many workspaces and campaigns in the store.
//!
//! Times are printed beside what they should stay below, never judged: machines differ. The suite takes a small dose;
//! `MC_READS=1` makes 1,000 workspaces with 5,000 campaigns in one of them and reads for half a minute.

use super::people::{self, Address, Team, show};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tests::service::{Client, Service, Setting};

const FIRST_NUMBER: u64 = 491_800_000_000;
/// From one request to the next: twenty a second.
const BEAT: Duration = Duration::from_millis(50);
/// What 99 of 100 should stay below.
const PROMISED: Duration = Duration::from_millis(50);

/// How much of everything.
#[derive(Clone, Copy)]
struct Dose {
    workspaces: u64,
    campaigns: u64,
    /// Recipients of the campaign that tells the largest rate.
    trial: u64,
    reads: u32,
}

const SMALL: Dose = Dose { workspaces: 3, campaigns: 10, trial: 2_000, reads: 40 };
const LARGE: Dose = Dose { workspaces: 1_000, campaigns: 5_000, trial: 300_000, reads: 600 };

/// A campaign of that many recipients, on its way.
async fn begun(team: &Team, program: &Client, recipients: u64) -> anyhow::Result<String> {
    let fields = json!({
        "name": "Load", "mode": "OnDemand", "text": "Hello", "sender_id": team.sender, "auto_start": true,
    });
    let draft = program.post(&team.path("/drafts"), fields).await?.expect(201)?;
    let path = team.path(&format!("/drafts/{}", draft.text("id")));
    let file = people::file(FIRST_NUMBER..FIRST_NUMBER + recipients);
    program.upload(&format!("{path}/recipients"), file).await?.expect(200)?;
    let campaign = program.post(&format!("{path}/submit"), Value::Null).await?.expect(201)?;
    people::approve(team, &team.moderator, &campaign.body).await?.expect(200)?;
    let path = team.path(&format!("/campaigns/{}", campaign.text("id")));
    team.author.until(&path, |it| it["counts"]["sent"].as_u64() > Some(0)).await?;
    Ok(path)
}

async fn filled(root: &Client, team: &Team, dose: Dose) -> anyhow::Result<()> {
    for n in 1..dose.workspaces {
        let workspace = json!({"slug": format!("client-{n}"), "name": format!("Client {n}")});
        root.post("/workspaces", workspace).await?.expect(201)?;
    }
    for n in 0..dose.campaigns {
        let campaign = json!({
            "name": format!("Campaign {n}"), "mode": "OnDemand", "text": "Hello", "sender_id": team.sender,
            "recipients": [{"number": format!("+{}", FIRST_NUMBER + n)}],
        });
        team.author.post(&team.path("/campaigns"), campaign).await?.expect(201)?;
    }
    Ok(())
}

/// Reads on a thread of its own: the simulator must not make the times longer.
fn timed(client: Client, paths: [String; 2], reads: u32) -> anyhow::Result<Vec<Duration>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut times, mut beat) = (Vec::new(), tokio::time::interval(BEAT));
        for path in paths.iter().cycle().take(usize::try_from(reads)?) {
            beat.tick().await;
            let begun = Instant::now();
            client.get(path).await?.expect(200)?;
            times.push(begun.elapsed());
        }
        times.sort_unstable();
        Ok(times)
    })
}

#[tokio::test]
async fn lists_and_overviews_are_read_while_a_campaign_is_sent() -> anyhow::Result<()> {
    let dose = if std::env::var_os("MC_READS").is_some() { LARGE } else { SMALL };
    let mut service = Service::start(Setting::default()).await?;
    let root = service.set_up().await?;
    let mut team = people::team(&service, &root, "acme", Address { saddr: "ACME", ston: 5, snpi: 0 }).await?;
    let key = json!({"name": "feeder", "scopes": ["campaigns:read", "campaigns:write"]});
    let key = team.author.post(&team.path("/api-keys"), key).await?.expect(201)?;
    filled(&root, &team, dose).await?;
    let start = Instant::now();
    let path = begun(&team, &service.program(key.text("key")), dose.trial).await?;
    team.author.until(&path, |it| it["status"] == "Done").await?;
    let most = dose.trial as f64 / start.elapsed().as_secs_f64();

    // Half of what upload, building and sending made together: every part of it has room.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is positive and small"
    )]
    let rate = (most / 2.0).max(1.0) as u32;
    service.limit(rate).await?;
    for client in [&mut team.admin, &mut team.author, &mut team.moderator] {
        *client = client.at(&service);
    }
    let seconds = u64::from(dose.reads / 20 + 30);
    let recipients = (u64::from(rate) * seconds).min(engine::model::MAX_RECIPIENTS);
    let path = begun(&team, &service.program(key.text("key")), recipients).await?;
    let (admin, paths) = (team.admin.clone(), [team.path("/campaigns"), team.path("/overview")]);
    let (done, times) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || done.send(timed(admin, paths, dose.reads)));
    let times = times.await??;
    let now = team.author.get(&path).await?.expect(200)?;
    assert_eq!(now.text("status"), "Sending", "the load ended before the reads did: {}", now.body);
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    let verdict = if at(99) < PROMISED { "below" } else { "ABOVE" };
    show(&format!(
        "{} reads of {} campaigns in {} workspaces at {rate} messages/s: p50 {:.1?}, p99 {:.1?} ({verdict} {PROMISED:?}), most {:.1?}",
        times.len(),
        dose.campaigns,
        dose.workspaces,
        at(50),
        at(99),
        at(100)
    ));
    Ok(())
}
