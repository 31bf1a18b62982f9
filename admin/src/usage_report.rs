//! `message-center report usage`: what every workspace has sent in a month, from a store that nobody is using.
//!
//! Reading across tenants leaves an event in the platform's log and in that of each workspace before anything is shown.
//! A campaign is in the store's sums once it has ended; those that have not are counted beside them.

use crate::audit_verify::open;
use crate::command::UsageReportOptions;
use crate::config::Config;
use crate::exit::{self, Failure};
use crate::lines::{Lines, thousands};
use crate::month::Month;
use engine::model::traffic::Traffic;
use engine::model::{EntityId, Principal, Status, Workspace};
use engine::store::{CampaignScope, Catalog, Entity, Kind, MAX_NOTES, MAX_PAGE, Note, Query, Scope};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

/// What one workspace has sent.
struct Row {
    workspace: Workspace,
    campaigns: usize,
    /// Campaigns that have begun and not ended: what they sent is not in the sums.
    unfinished: u64,
    traffic: Traffic,
}

/// Prints the report.
pub(crate) fn run(options: &UsageReportOptions) -> Result<u8, Failure> {
    let config = Config::load(&options.config, std::env::vars_os())?;
    let store = open(&config.directory)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| Failure::new(exit::ENGINE, format!("the runtime did not start: {error}")))?;
    let rows = runtime.block_on(report(&store, options.month, Timestamp::now()))?;
    if options.json {
        Lines::Out.say(&object(options.month, &rows).to_string());
    } else {
        table(&rows).iter().for_each(|line| Lines::Out.say(line));
    }
    Ok(exit::DONE)
}

async fn report(catalog: &dyn Catalog, month: Month, now: Timestamp) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for workspace in workspaces(catalog).await? {
        let mut traffic = Traffic::default();
        let usage = catalog.usage(workspace.id, month.hours()).await?;
        usage.iter().for_each(|used| traffic.add(&used.traffic));
        let sums = catalog.overview(CampaignScope::Workspace(workspace.id), now).await?;
        let unfinished = [Status::Sending, Status::Paused].map(|status| sums.by_status[status as usize]);
        rows.push(Row { workspace, campaigns: usage.len(), unfinished: unfinished.iter().sum(), traffic });
    }
    audit(catalog, month, &rows, now).await?;
    Ok(rows)
}

async fn workspaces(catalog: &dyn Catalog) -> Result<Vec<Workspace>, Failure> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let query =
            Query { kind: Kind::Workspace, statuses: Vec::new(), parent: None, after, limit: MAX_PAGE };
        let page = catalog.list(Scope::Platform, query).await?;
        all.extend(page.items.into_iter().filter_map(|entity| match entity {
            Entity::Workspace(workspace) => Some(workspace),
            _ => None,
        }));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    all.sort_by(|a, b| a.slug.cmp(&b.slug));
    Ok(all)
}

/// Leaves an event in the platform's log and in that of each workspace that was read.
async fn audit(catalog: &dyn Catalog, month: Month, rows: &[Row], now: Timestamp) -> Result<(), Failure> {
    let by = Principal {
        role: "SuperAdmin".to_owned(),
        user_agent: Some("message-center report usage".to_owned()),
        ..Principal::engine()
    };
    let note = |scope: Scope, entity_id: EntityId| Note {
        id: Uuid::now_v7(),
        scope,
        at: now,
        by: by.clone(),
        action: "usage.report".to_owned(),
        entity_kind: "workspace".to_owned(),
        entity_id,
        subject: None,
        details: json!({ "from": month.from().to_string(), "to": month.to().to_string() }),
    };
    let of_row = |row: &Row| note(Scope::Workspace(row.workspace.id), EntityId(row.workspace.id.0));
    let mut notes = vec![note(Scope::Platform, EntityId(Uuid::nil()))];
    notes.extend(rows.iter().map(of_row));
    for some in notes.chunks(MAX_NOTES) {
        catalog.note(some.to_vec()).await?;
    }
    Ok(())
}

/// Messages and segments by the state that they are in.
fn states(traffic: &Traffic) -> Value {
    let state = |status: &engine::model::UnitStatus| format!("{status:?}").to_lowercase();
    let of =
        |load: &engine::model::traffic::Load| json!({ "messages": load.messages, "segments": load.segments });
    traffic
        .submitted
        .iter()
        .map(|(status, load)| (state(status), of(load)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn object(month: Month, rows: &[Row]) -> Value {
    let row = |row: &Row| {
        let sent = row.traffic.sent();
        json!({
            "slug": row.workspace.slug, "workspace_id": row.workspace.id, "campaigns": row.campaigns,
            "unfinished_campaigns": row.unfinished, "messages": sent.messages, "segments": sent.segments,
            "states": states(&row.traffic),
        })
    };
    let workspaces: Vec<Value> = rows.iter().map(row).collect();
    json!({ "from": month.from().to_string(), "to": month.to().to_string(), "workspaces": workspaces })
}

fn table(rows: &[Row]) -> Vec<String> {
    let line = |[slug, campaigns, messages, segments, unfinished]: [&str; 5]| {
        format!("{slug:<32} {campaigns:>10} {messages:>14} {segments:>14} {unfinished:>11}")
    };
    let mut lines = vec![line(["workspace", "campaigns", "messages", "segments", "unfinished"])];
    let mut total = Traffic::default();
    let mut campaigns = 0;
    for row in rows {
        let sent = row.traffic.sent();
        let of = [row.campaigns as u64, sent.messages, sent.segments, row.unfinished].map(thousands);
        lines.push(line([&row.workspace.slug, &of[0], &of[1], &of[2], &of[3]]));
        total.add(&row.traffic);
        campaigns += row.campaigns as u64;
    }
    let (sent, unfinished) = (total.sent(), rows.iter().map(|row| row.unfinished).sum());
    let of = [campaigns, sent.messages, sent.segments, unfinished].map(thousands);
    lines.push(line(["total", &of[0], &of[1], &of[2], &of[3]]));
    for (status, load) in &total.submitted {
        let (messages, segments) = (thousands(load.messages), thousands(load.segments));
        lines.push(line([&format!("  {status:?}").to_lowercase(), "", &messages, &segments, ""]));
    }
    if unfinished > 0 {
        lines.push("What unfinished campaigns have sent is counted once they have ended.".to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::seed::Seed;
    use engine::store::SqliteStore;

    #[tokio::test]
    async fn a_report_names_every_workspace_and_leaves_an_event_in_each_log() {
        let directory = tempfile::TempDir::new().expect("a temporary directory");
        let store = SqliteStore::open(directory.path()).expect("the store opens");
        let now = Timestamp::now();
        let mut seeds = Vec::new();
        for slug in ["beta", "alpha"] {
            seeds.push(Seed::create(&store, slug, slug, now).await.expect("seeded"));
        }
        let rows = report(&store, "2026-02".parse().expect("a month"), now).await.expect("a report");
        let slugs: Vec<&str> = rows.iter().map(|row| row.workspace.slug.as_str()).collect();
        assert_eq!(slugs, ["alpha", "beta"]);
        let lines = table(&rows);
        assert!(lines.len() == 4 && lines[3].starts_with("total"), "{lines:?}");
        assert_eq!(object("2026-02".parse().expect("a month"), &rows)["workspaces"][0]["messages"], 0);
        let scopes = seeds.iter().map(|seed| Scope::Workspace(seed.workspace)).chain([Scope::Platform]);
        for scope in scopes {
            let events = store.audit(scope, 0).await.expect("a log");
            let last = events.last().expect("an event");
            assert_eq!((last.action.as_str(), last.by.role.as_str()), ("usage.report", "SuperAdmin"));
        }
    }
}
