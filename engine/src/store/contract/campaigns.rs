//! The promises of a catalog about lists of campaigns and their sums, judged by a list in memory.

use super::Fixture;
use super::catalog::{A, B, IN_A, IN_B, at, campaign, change, create, id, sender};
use crate::model::{
    Campaign, CampaignId, Counts, Mode, Principal, Sender, SenderId, Status, UserId, WorkspaceId,
};
use crate::store::listing::folded;
use crate::store::{
    Archived, CampaignCursor, CampaignItem, CampaignPage, CampaignQuery, CampaignScope, Catalog, Direction,
    Entity, Expect, MAX_PAGE, MAX_SCOPE_WORKSPACES, MAX_SEARCH_CHARS, Scope, Search, Sort, SortKey,
    StoreError,
};
use jiff::{Timestamp, ToSpan};

/// Names of senders: two equal but for their workspace, and what SQL or a pattern would take for its own.
const NAMES: [&str; 5] = ["Shop", "\u{c4}pfel 100%", "a_b\'c\"", "SHOP 2", "\u{3a3}\u{39f}\u{3a3}"];

fn hours(n: u32) -> jiff::Span {
    i64::from(n).hours()
}

fn mode(n: u32) -> Mode {
    [Mode::OnDemand, Mode::OnTime, Mode::Spread, Mode::Trigger][n as usize % 4]
}

fn status(n: u32) -> Status {
    Status::ALL[n as usize % Status::ALL.len()]
}

/// A campaign in which everything that lists look at has its own rhythm.
fn listed(n: u32, owner: WorkspaceId) -> Campaign {
    let Entity::Campaign(campaign) = campaign(n, owner, status(n / 2), 0) else { unreachable!("a campaign") };
    let mut campaign = Campaign { mode: mode(n), created_at: at() + hours(n / 3), ..*campaign };
    campaign.created_by = UserId(id(900 + n % 3));
    campaign.content.sender_id = SenderId(id(n % 6 + if owner == A { 500 } else { 600 }));
    campaign.filing.archived_at = n.is_multiple_of(7).then(at);
    if mode(n) == Mode::OnTime {
        let zone = jiff::tz::TimeZone::UTC;
        campaign.content.rules.schedule.start_at = Some(zone.to_datetime(at() + hours(n % 11)));
    }
    if mode(n) == Mode::OnDemand && n.is_multiple_of(8) {
        campaign.filing.started_at = Some(at() + hours(n % 5));
    }
    campaign
}

async fn fill(catalog: &impl Catalog, count: u32) -> Vec<CampaignItem> {
    let mut items = Vec::new();
    for (scope, owner, first) in [(IN_A, A, 500), (IN_B, B, 600)] {
        for (n, name) in (first..).zip(NAMES) {
            create(catalog, scope, sender(n, owner, name)).await;
        }
    }
    let mut changes = Vec::new();
    for n in 0..count {
        let owner = if n % 5 == 4 { B } else { A };
        let campaign = listed(n, owner);
        items.push(item(&campaign));
        let entity = Entity::Campaign(Box::new(campaign));
        changes.push(change(Scope::Workspace(owner), Expect::Absent, entity));
    }
    catalog.apply(changes, &Principal::engine(), at()).await.expect("all new");
    items
}

/// As a list should show it.
fn item(campaign: &Campaign) -> CampaignItem {
    let name = NAMES.get(campaign.no.0 as usize % 6).copied().unwrap_or_default();
    let schedule = &campaign.content.rules.schedule;
    let planned = schedule.start_at.map(|local| jiff::tz::TimeZone::UTC.to_timestamp(local).expect("a time"));
    let starts_at = planned.or(campaign.filing.started_at);
    CampaignItem { campaign: campaign.clone(), sender_name: name.to_owned(), starts_at }
}

fn is_in(item: &CampaignItem, scope: &CampaignScope) -> bool {
    let campaign = &item.campaign;
    match scope {
        CampaignScope::Workspace(workspace) => campaign.workspace_id == *workspace,
        CampaignScope::Workspaces { all, own, user } => {
            let hides = own.contains(&campaign.workspace_id) && campaign.created_by == *user;
            all.contains(&campaign.workspace_id) || hides
        }
        CampaignScope::EveryWorkspace => true,
    }
}

fn passes(item: &CampaignItem, query: &CampaignQuery) -> bool {
    let campaign = &item.campaign;
    let is_archived = campaign.filing.archived_at.is_some();
    let has_period = query.from.is_some() || query.to.is_some();
    let is_in_period = item
        .starts_at
        .is_some_and(|at| query.from.is_none_or(|from| at >= from) && query.to.is_none_or(|to| at < to));
    let is_found = match &query.search {
        None => true,
        Some(Search::Id(id)) => campaign.id == *id,
        Some(Search::Sender(part)) => folded(&item.sender_name).contains(&folded(part)),
    };
    (!has_period || is_in_period)
        && is_found
        && (query.statuses.is_empty() || query.statuses.contains(&campaign.status))
        && (query.modes.is_empty() || query.modes.contains(&campaign.mode))
        && query.created_by.is_none_or(|user| campaign.created_by == user)
        && match query.archived {
            Archived::Without => !is_archived,
            Archived::Only => is_archived,
            Archived::Any => true,
        }
}

fn expected(items: &[CampaignItem], scope: &CampaignScope, query: &CampaignQuery) -> Vec<CampaignItem> {
    let wanted = |item: &&CampaignItem| is_in(item, scope) && passes(item, query);
    let mut found: Vec<CampaignItem> = items.iter().filter(wanted).cloned().collect();
    found.sort_by_cached_key(|item| {
        let start = item.starts_at.unwrap_or(Timestamp::MAX);
        let id = item.campaign.id;
        match query.sort.key {
            SortKey::Sender => (folded(&item.sender_name), Timestamp::MIN, id),
            SortKey::Start => (String::new(), start, id),
            SortKey::Created => (String::new(), item.campaign.created_at, id),
        }
    });
    if query.sort.direction == Direction::Descending {
        found.reverse();
    }
    found
}

fn sorts() -> Vec<Sort> {
    let keys = [SortKey::Sender, SortKey::Start, SortKey::Created];
    let both = |key| [Direction::Ascending, Direction::Descending].map(|direction| Sort { key, direction });
    keys.into_iter().flat_map(both).collect()
}

/// Every page of a list, with the totals that each of them gave.
async fn read(catalog: &impl Catalog, scope: &CampaignScope, query: &CampaignQuery) -> CampaignPage {
    let (mut all, mut query) = (CampaignPage::default(), query.clone());
    loop {
        let page = catalog.campaigns(scope.clone(), query.clone()).await.expect("readable");
        assert!(page.items.len() <= query.limit.clamp(1, MAX_PAGE));
        all.items.extend(page.items);
        (all.workspace_total, all.filtered_total) = (page.workspace_total, page.filtered_total);
        let Some(next) = page.next else { return all };
        // As an API gives it out and takes it back.
        query.after = Some(next.to_string().parse().expect("its own text"));
    }
}

fn scopes() -> [CampaignScope; 3] {
    [CampaignScope::Workspace(A), CampaignScope::Workspace(B), CampaignScope::EveryWorkspace]
}

fn filters(items: &[CampaignItem]) -> Vec<CampaignQuery> {
    let any = CampaignQuery { archived: Archived::Any, limit: 17, ..CampaignQuery::default() };
    let sender = |part: &str| Some(Search::Sender(part.to_owned()));
    let (from, to) = (Some(at() + hours(2)), Some(at() + hours(7)));
    vec![
        any.clone(),
        CampaignQuery { limit: MAX_PAGE, ..CampaignQuery::default() },
        CampaignQuery { limit: 0, archived: Archived::Only, ..CampaignQuery::default() },
        CampaignQuery { from, ..any.clone() },
        CampaignQuery { to, ..any.clone() },
        CampaignQuery { from, to, statuses: vec![Status::New, Status::Expired], ..any.clone() },
        CampaignQuery { from: to, to: from, ..any.clone() },
        CampaignQuery { statuses: vec![Status::Done], ..CampaignQuery::default() },
        CampaignQuery {
            modes: vec![Mode::Trigger, Mode::OnTime],
            statuses: Status::ALL.to_vec(),
            ..any.clone()
        },
        CampaignQuery { modes: vec![Mode::OnDemand], search: sender("shop"), from, ..any.clone() },
        CampaignQuery { search: Some(Search::Id(items[9].campaign.id)), ..any.clone() },
        CampaignQuery { search: Some(Search::Id(CampaignId(id(77_777)))), ..any.clone() },
        CampaignQuery { created_by: Some(UserId(id(901))), search: sender("H"), ..any },
    ]
}

pub(in crate::store) async fn a_list_gives_exactly_what_its_filters_let_through_in_every_order<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    let items = fill(&catalog, 240).await;
    drop(catalog);
    let catalog = fixture.open().await;
    let mut seen = 0;
    for scope in scopes() {
        let total = items.iter().filter(|item| is_in(item, &scope)).count() as u64;
        for (filter, sort) in
            filters(&items).into_iter().flat_map(|f| sorts().into_iter().map(move |s| (f.clone(), s)))
        {
            let query = CampaignQuery { sort, ..filter };
            let (all, wanted) = (read(&catalog, &scope, &query).await, expected(&items, &scope, &query));
            assert_eq!((all.workspace_total, all.filtered_total), (total, wanted.len() as u64), "{query:?}");
            let ids = |items: &[CampaignItem]| items.iter().map(|i| i.campaign.no).collect::<Vec<_>>();
            assert_eq!(ids(&all.items), ids(&wanted), "{scope:?} {query:?}");
            assert!(all.items == wanted, "{query:?}");
            seen += wanted.len();
        }
    }
    assert!(seen > 5_000, "{seen} campaigns prove little");
}

pub(in crate::store) async fn a_page_stays_where_it_was_while_others_change<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    let items = fill(&catalog, 60).await;
    let scope = CampaignScope::EveryWorkspace;
    for sort in sorts() {
        let query = CampaignQuery { sort, archived: Archived::Any, limit: 20, ..CampaignQuery::default() };
        let wanted = expected(&items, &scope, &query);
        let first = catalog.campaigns(scope.clone(), query.clone()).await.expect("readable");
        // The last item of the page goes away from the list, and a new one comes to its beginning or its end.
        let mut moved = wanted[19].campaign.clone();
        let version = moved.state_version;
        moved.created_by = UserId(id(999));
        moved.state_version += 1;
        let put = |campaign: &Campaign, expect| {
            change(Scope::Platform, expect, Entity::Campaign(Box::new(campaign.clone())))
        };
        let by = Principal::engine();
        catalog.apply(vec![put(&moved, Expect::Version(version))], &by, at()).await.expect("moved");
        let query = CampaignQuery { after: first.next, created_by: None, ..query };
        let second = catalog.campaigns(scope.clone(), query).await.expect("readable");
        assert!(first.items == wanted[..20] && second.items == wanted[20..40], "{sort:?}");
        moved.created_by = wanted[19].campaign.created_by;
        let back = Campaign { state_version: version, ..moved };
        catalog.apply(vec![put(&back, Expect::Version(version + 1))], &by, at()).await.expect("moved back");
    }
}

async fn names(catalog: &impl Catalog, owner: WorkspaceId, part: &str) -> Vec<String> {
    let search = Some(Search::Sender(part.to_owned()));
    let sort = Sort { key: SortKey::Sender, direction: Direction::Ascending };
    let query = CampaignQuery { search, sort, ..CampaignQuery::default() };
    let page = catalog.campaigns(CampaignScope::Workspace(owner), query).await.expect("readable");
    page.items.into_iter().map(|item| item.sender_name).collect()
}

async fn rename(catalog: &impl Catalog, n: u32, owner: WorkspaceId, version: u32, name: &str) {
    let Entity::Sender(renamed) = sender(n, owner, name) else { unreachable!("a sender") };
    let renamed = Entity::Sender(Sender { version: version + 1, ..renamed });
    let change = change(Scope::Workspace(owner), Expect::Version(version), renamed);
    catalog.apply(vec![change], &Principal::engine(), at()).await.expect("renamed");
}

async fn with_sender(catalog: &impl Catalog, n: u32, owner: WorkspaceId, sender: u32) {
    let Entity::Campaign(mut made) = campaign(n, owner, Status::New, 0) else { unreachable!("a campaign") };
    made.content.sender_id = SenderId(id(sender));
    create(catalog, Scope::Workspace(owner), Entity::Campaign(made)).await;
}

pub(in crate::store) async fn a_list_follows_the_name_of_its_sender<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    // A campaign may be stored before its sender, and a foreign sender is none.
    with_sender(&catalog, 1, A, 50).await;
    with_sender(&catalog, 2, B, 50).await;
    assert_eq!(names(&catalog, A, "").await, [""]);
    create(&catalog, IN_A, sender(50, A, "North")).await;
    create(&catalog, IN_A, sender(51, A, "South")).await;
    with_sender(&catalog, 3, A, 51).await;
    with_sender(&catalog, 4, B, 51).await;
    assert_eq!(names(&catalog, A, "").await, ["North", "South"]);
    rename(&catalog, 50, A, 0, "West").await;
    assert_eq!(names(&catalog, A, "").await, ["South", "West"]);
    rename(&catalog, 50, A, 1, "WEST").await;
    assert_eq!(names(&catalog, A, "wEs").await, ["WEST"]);
    assert!(names(&catalog, A, "north").await.is_empty());
    assert_eq!(names(&catalog, B, "").await, ["", ""]);
}

pub(in crate::store) async fn a_search_takes_every_character_literally_and_folds_all_letters<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    fill(&catalog, 30).await;
    for (part, found) in [
        ("%", vec![NAMES[1]]),
        ("\u{e4}PFEL", vec![NAMES[1]]),
        ("_", vec![NAMES[2]]),
        ("\'", vec![NAMES[2]]),
        ("\"", vec![NAMES[2]]),
        ("shop 2", vec![NAMES[3]]),
        ("sHOP", vec![NAMES[0], NAMES[3]]),
        ("\u{3c3}\u{3bf}", vec![NAMES[4]]),
        ("\u{3bf}\u{3a3}", vec![NAMES[4]]),
        ("*", vec![]),
        ("\\", vec![]),
        ("campaign", vec![]),
    ] {
        let mut names = names(&catalog, A, part).await;
        names.dedup();
        assert_eq!(names, found, "{part}");
    }
}

pub(in crate::store) async fn a_scope_of_several_workspaces_hides_what_others_created<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    let items = fill(&catalog, 120).await;
    let user = UserId(id(901));
    let stranger = WorkspaceId(id(12));
    for (all, own) in [
        (vec![A, B], vec![]),
        (vec![A], vec![B]),
        (vec![B], vec![A]),
        (vec![], vec![A, B]),
        (vec![stranger], vec![]),
        (vec![], vec![]),
        (vec![A, A], vec![A, stranger]),
    ] {
        let workspaces: Vec<_> = all.iter().chain(&own).copied().collect();
        let scope = CampaignScope::Workspaces { all, own, user };
        let query = CampaignQuery { archived: Archived::Only, limit: 3, ..CampaignQuery::default() };
        let (page, wanted) = (read(&catalog, &scope, &query).await, expected(&items, &scope, &query));
        let total = items.iter().filter(|item| workspaces.contains(&item.campaign.workspace_id)).count();
        assert!(page.items == wanted, "{scope:?}");
        assert_eq!(
            (page.workspace_total, page.filtered_total),
            (total as u64, wanted.len() as u64),
            "{scope:?}"
        );
        let overview = catalog.overview(scope.clone(), at()).await.expect("readable");
        let alive = CampaignQuery::default();
        assert_eq!(overview.total(), expected(&items, &scope, &alive).len() as u64, "{scope:?}");
    }
}

pub(in crate::store) async fn an_impossible_list_is_refused<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    fill(&catalog, 20).await;
    let page = CampaignQuery { limit: 2, ..CampaignQuery::default() };
    let next = catalog.campaigns(CampaignScope::Workspace(A), page.clone()).await.expect("readable").next;
    let sort = Sort { key: SortKey::Start, direction: Direction::Descending };
    let other_order = CampaignQuery { sort, after: next.clone(), ..page.clone() };
    let long = Some(Search::Sender("\u{e4}".repeat(MAX_SEARCH_CHARS + 1)));
    let long = CampaignQuery { search: long, ..page.clone() };
    let longest = Some(Search::Sender("\u{e4}".repeat(MAX_SEARCH_CHARS)));
    let longest = CampaignQuery { search: longest, ..page.clone() };
    let many = vec![A; MAX_SCOPE_WORKSPACES];
    let scope = |own| CampaignScope::Workspaces { all: many.clone(), own, user: UserId(id(1)) };
    for (scope, query) in [
        (CampaignScope::Workspace(A), other_order),
        (CampaignScope::Workspace(A), long),
        (scope(vec![B]), page.clone()),
    ] {
        let refused = catalog.campaigns(scope, query).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    }
    assert!(matches!(catalog.overview(scope(vec![B]), at()).await, Err(StoreError::Refused(_))));
    for (scope, query) in [(scope(vec![]), page), (CampaignScope::Workspace(A), longest)] {
        catalog.campaigns(scope, query).await.expect("just not too much");
    }
    let beyond: CampaignCursor = format!("c{}.{}", i64::MAX, id(1).simple()).parse().expect("a cursor");
    let query = CampaignQuery {
        after: Some(beyond),
        sort: Sort { key: SortKey::Created, direction: Direction::Ascending },
        ..CampaignQuery::default()
    };
    assert!(catalog.campaigns(CampaignScope::Workspace(A), query).await.expect("readable").items.is_empty());
}

pub(in crate::store) async fn an_overview_counts_what_is_not_archived_and_ranks_recent_authors<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    let now = at() + hours(30 * 24);
    let authors = [UserId(id(801)), UserId(id(802)), UserId(id(803))];
    let mut expected = [0; 9];
    let mut active = Vec::new();
    for n in 0..40 {
        let Entity::Campaign(made) = campaign(n, A, status(n), 0) else { unreachable!("a campaign") };
        let mut made = Campaign { created_by: authors[n as usize % 3], recipients: 10, ..*made };
        made.filing.archived_at = (n >= 36).then(at);
        // One moment before the thirty days, and the first one within.
        made.created_at = if n < 3 { at() - 1.millisecond() } else { at() };
        let (sent, unknown) = if n % 3 == 1 { (2, 1) } else { (1, 0) };
        made.counts =
            made.status.is_final().then(|| Counts { sent, unknown, rejected: 5, ..Counts::default() });
        if n < 36 {
            expected[n as usize % 9] += 1;
            if (1..5).contains(&(n % 9)) {
                active.push((made.id, made.status, n >= 3));
            }
        }
        create(&catalog, IN_A, Entity::Campaign(Box::new(made))).await;
    }
    create(&catalog, IN_B, campaign(99, B, Status::Sending, 0)).await;
    let overview = catalog.overview(CampaignScope::Workspace(A), now).await.expect("readable");
    assert_eq!(overview.by_status, expected);
    let sums = (overview.total(), overview.active(), overview.completed(), overview.failed());
    assert_eq!(sums, (36, 16, 4, 8));
    active.reverse();
    let found: Vec<_> = overview.active.iter().map(|a| (a.id, a.status, a.is_recent)).collect();
    assert_eq!(found, active);
    assert!(overview.active.iter().all(|a| a.recipients == 10 && a.workspace_id == A));
    let ranked: Vec<_> = overview.authors.iter().map(|a| (a.user_id, a.campaigns, a.messages)).collect();
    let ended =
        |author: u32, each: u64| (3..40).filter(|n| n % 3 == author && n % 9 > 4).count() as u64 * each;
    assert_eq!(
        ranked,
        [(authors[0], 13, ended(0, 1)), (authors[1], 12, ended(1, 3)), (authors[2], 12, ended(2, 1))]
    );
    let whole = catalog.overview(CampaignScope::EveryWorkspace, now).await.expect("readable");
    assert_eq!((whole.total(), whole.authors.len()), (37, 4));
}
