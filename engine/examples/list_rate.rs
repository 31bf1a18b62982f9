//! Times lists and overviews of one busy workspace among many, while campaigns change: quantiles in milliseconds.
//!
//! `cargo run --release -p engine --example list_rate -- [WORKSPACES] [CAMPAIGNS]`, 1,000 and 5,000 without; every other
//! workspace has twenty campaigns. The store is a temporary directory.

#![expect(clippy::print_stdout, reason = "figures for whoever runs it")]

use engine::model::{
    Campaign, CampaignId, CampaignNo, Content, DeliveryPolicy, Filing, Mode, Principal, Sender, SenderId,
    SendingRules, Status, UserId, WorkspaceId,
};
use engine::store::{
    CampaignQuery, CampaignScope, Catalog, Change, Direction, Entity, Expect, Scope, Search, Sort, SortKey,
    SqliteStore,
};
use jiff::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use uuid::Uuid;

const CALLS: usize = 1_000;
const OTHERS: u32 = 20;

fn campaign(workspace: WorkspaceId, n: u32, sender: SenderId) -> Campaign {
    let created_at = Timestamp::from_second(1_700_000_000 + i64::from(n)).expect("a time");
    Campaign {
        id: CampaignId(Uuid::now_v7()),
        workspace_id: workspace,
        no: CampaignNo(n),
        name: format!("campaign {n}"),
        mode: [Mode::OnDemand, Mode::OnTime, Mode::Spread, Mode::Trigger][n as usize % 4],
        status: Status::ALL[n as usize % 9],
        hold_reason: None,
        content: Content {
            text: "Dear customer, your parcel waits for you. ".repeat(4),
            variables: Vec::new(),
            sender_id: sender,
            revision_id: Uuid::from_u128(2),
            saddr: "shop".to_owned(),
            ston: 5,
            snpi: 0,
            dton: 1,
            dnpi: 1,
            parts: 2,
            receipts: true,
            recipients_digest: "0".repeat(64),
            rules: SendingRules::default(),
        },
        delivery_policy: DeliveryPolicy::AtMostOnce,
        version: 1,
        state_version: 1,
        stop_gen: 0,
        weight: 1,
        recipients: 1_000,
        approvals: Vec::new(),
        created_by: UserId(Uuid::from_u128(u128::from(n % 20))),
        edited_by: Vec::new(),
        created_at,
        started: false,
        finished: false,
        plan: None,
        reason: None,
        ended_at: None,
        charged: Vec::new(),
        counts: None,
        segment_counts: None,
        receipts_over: false,
        filing: Filing { started_at: Some(created_at), ..Filing::default() },
    }
}

fn change(expect: Expect, entity: Entity) -> Change {
    Change { scope: Scope::Platform, expect, entity, action: "measure" }
}

async fn fill(store: &SqliteStore, workspaces: u32, campaigns: u32) -> (WorkspaceId, Vec<Campaign>) {
    let (mut n, mut busy) = (0, Vec::new());
    let first = WorkspaceId(Uuid::from_u128(1));
    for place in 0..workspaces {
        let workspace = WorkspaceId(Uuid::from_u128(u128::from(place) + 1));
        let senders: Vec<Sender> = (0..10)
            .map(|s| Sender {
                id: SenderId(Uuid::from_u128((u128::from(place) << 32) | ((s + 1) << 96))),
                workspace_id: workspace,
                name: format!("Sender {s}"),
                rate_per_s: 0,
                version: 0,
                created_at: Timestamp::UNIX_EPOCH,
                archived_at: None,
                active: None,
            })
            .collect();
        let count = if workspace == first { campaigns } else { OTHERS };
        let made: Vec<Campaign> =
            (n..n + count).map(|n| campaign(workspace, n, senders[n as usize % 10].id)).collect();
        n += count;
        let stored = senders.into_iter().map(Entity::Sender);
        let stored = stored.chain(made.iter().cloned().map(|c| Entity::Campaign(Box::new(c))));
        let changes = stored.map(|entity| change(Expect::Absent, entity)).collect();
        store.apply(changes, &Principal::engine(), Timestamp::UNIX_EPOCH).await.expect("stored");
        if workspace == first {
            busy = made;
        }
    }
    (first, busy)
}

/// Moves campaigns of the busy workspace until it is told to end; gives how many moves were stored.
fn churn(store: &SqliteStore, mut busy: Vec<Campaign>, ends: &AtomicBool) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (places, by) = (busy.len(), Principal::engine());
    for moves in 0.. {
        if ends.load(Ordering::Relaxed) {
            return moves;
        }
        let campaign = &mut busy[moves * 7 % places];
        let expect = Expect::Version(campaign.state_version);
        campaign.state_version += 1;
        campaign.status = Status::ALL[moves % 9];
        let entity = Entity::Campaign(Box::new(campaign.clone()));
        let stored = store.apply(vec![change(expect, entity)], &by, Timestamp::UNIX_EPOCH);
        runtime.block_on(stored).expect("stored");
    }
    0
}

async fn measure(name: &str, mut call: impl AsyncFnMut(usize)) {
    let mut times: Vec<Duration> = Vec::with_capacity(CALLS);
    for n in 0..CALLS {
        let begin = Instant::now();
        call(n).await;
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    let ms = |share: usize| times[CALLS * share / 1_000].as_secs_f64() * 1_000.0;
    println!("{name:24} p50 {:7.3} ms  p99 {:7.3} ms  longest {:7.3} ms", ms(500), ms(990), ms(999));
}

fn queries() -> Vec<CampaignQuery> {
    let mut queries = Vec::new();
    for key in [SortKey::Sender, SortKey::Start, SortKey::Created] {
        for direction in [Direction::Ascending, Direction::Descending] {
            let plain = CampaignQuery { sort: Sort { key, direction }, ..CampaignQuery::default() };
            let search = Some(Search::Sender("der 7".to_owned()));
            queries.push(CampaignQuery { search, ..plain.clone() });
            queries.push(CampaignQuery { statuses: vec![Status::Done, Status::Failed], ..plain.clone() });
            queries
                .push(CampaignQuery { search: Some(Search::Sender("nobody".to_owned())), ..plain.clone() });
            queries.push(plain);
        }
    }
    queries
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1).map(|n| n.parse::<u32>().expect("a number"));
    let (workspaces, campaigns) = (arguments.next().unwrap_or(1_000), arguments.next().unwrap_or(5_000));
    let directory = tempfile::tempdir().expect("a directory");
    let store = Arc::new(SqliteStore::open(directory.path()).expect("the store opens"));
    let (workspace, busy) = fill(&store, workspaces, campaigns).await;
    let ends = Arc::new(AtomicBool::new(false));
    let churning = std::thread::spawn({
        let (store, ends) = (Arc::clone(&store), Arc::clone(&ends));
        move || churn(&store, busy, &ends)
    });
    let queries = queries();
    for (name, scope) in [
        ("one workspace", CampaignScope::Workspace(workspace)),
        ("every workspace", CampaignScope::EveryWorkspace),
    ] {
        measure(&format!("list, {name}"), async |n| {
            let query = queries[n % queries.len()].clone();
            store.campaigns(scope.clone(), query).await.expect("readable");
        })
        .await;
        measure(&format!("next page, {name}"), async |n| {
            let query = queries[n % queries.len()].clone();
            let page = store.campaigns(scope.clone(), query.clone()).await.expect("readable");
            let query = CampaignQuery { after: page.next, ..query };
            store.campaigns(scope.clone(), query).await.expect("readable");
        })
        .await;
        measure(&format!("overview, {name}"), async |_| {
            let now = Timestamp::from_second(1_700_000_000 + 2_000_000).expect("a time");
            store.overview(scope.clone(), now).await.expect("readable");
        })
        .await;
    }
    ends.store(true, Ordering::Relaxed);
    println!("meanwhile {} campaigns were moved", churning.join().expect("no panic"));
}
