//! The promises of a catalog.

use super::Fixture;
use crate::model::{
    Campaign, CampaignId, CampaignNo, Content, DeliveryPolicy, EntityId, Mode, Principal, Sender, SenderId,
    SendingRules, Status, UserId, Workspace, WorkspaceId,
};
use crate::store::{Catalog, Change, Entity, Expect, Kind, MAX_PAGE, Query, Scope, StoreError};
use uuid::Uuid;

/// An id whose time order is `n`.
pub(super) fn id(n: u32) -> Uuid {
    Uuid::from_u64_pair(u64::from(n) << 16 | 0x7000, 0x8000_0000_0000_0000 | u64::from(n))
}

pub(super) fn at() -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(1_700_000_000_123).expect("a time of our age")
}

fn workspace(n: u32, slug: &str) -> Entity {
    Entity::Workspace(Workspace {
        id: WorkspaceId(id(n)),
        slug: slug.to_owned(),
        name: slug.to_uppercase(),
        time_zone: "Europe/Berlin".to_owned(),
        weight: 1,
        rate_per_s: 0,
        daily_limit: None,
        quiet_hours: None,
        stop_keywords: Vec::new(),
        policies: crate::model::Policies::default(),
        terms: crate::model::Terms::default(),
        version: 0,
        created_at: at(),
    })
}

pub(super) fn sender(n: u32, owner: WorkspaceId, name: &str) -> Entity {
    Entity::Sender(Sender {
        id: SenderId(id(n)),
        workspace_id: owner,
        name: name.to_owned(),
        rate_per_s: 0,
        version: 0,
        created_at: at(),
        archived_at: None,
        active: None,
    })
}

pub(super) fn campaign(n: u32, owner: WorkspaceId, status: Status, state_version: u32) -> Entity {
    Entity::Campaign(Box::new(Campaign {
        id: CampaignId(id(n)),
        workspace_id: owner,
        no: CampaignNo(n),
        name: format!("campaign {n} \"quoted\" ü"),
        mode: Mode::OnDemand,
        status,
        hold_reason: None,
        content: Content {
            text: "hello".to_owned(),
            variables: Vec::new(),
            sender_id: SenderId(id(1)),
            revision_id: id(2),
            saddr: "shop".to_owned(),
            ston: 5,
            snpi: 0,
            dton: 1,
            dnpi: 1,
            parts: 1,
            receipts: true,
            recipients_digest: "00".to_owned(),
            rules: SendingRules::default(),
        },
        delivery_policy: DeliveryPolicy::AtMostOnce,
        version: 1,
        state_version,
        stop_gen: 0,
        weight: 1,
        recipients: 5,
        approvals: Vec::new(),
        created_by: UserId(id(3)),
        edited_by: Vec::new(),
        created_at: at(),
        started: false,
        finished: false,
        plan: None,
        reason: None,
        ended_at: None,
        charged: Vec::new(),
        counts: None,
        segment_counts: None,
        receipts_over: false,
        filing: crate::model::Filing::default(),
    }))
}

pub(super) const A: WorkspaceId = WorkspaceId(Uuid::from_u128(0xa));
pub(super) const B: WorkspaceId = WorkspaceId(Uuid::from_u128(0xb));
pub(super) const IN_A: Scope = Scope::Workspace(A);
pub(super) const IN_B: Scope = Scope::Workspace(B);

pub(super) fn change(scope: Scope, expect: Expect, entity: Entity) -> Change {
    Change { scope, expect, entity, action: "test.change" }
}

async fn apply(catalog: &impl Catalog, changes: Vec<Change>) -> Result<(), StoreError> {
    catalog.apply(changes, &Principal::engine(), at()).await
}

pub(super) async fn create(catalog: &impl Catalog, scope: Scope, entity: Entity) {
    apply(catalog, vec![change(scope, Expect::Absent, entity)]).await.expect("a new entity is stored");
}

async fn audit_len(catalog: &impl Catalog, scope: Scope) -> usize {
    catalog.audit(scope, 0).await.expect("the log can be read").len()
}

pub(in crate::store) async fn what_was_applied_is_found_again_by_id_and_by_key<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let entities = [
        (Scope::Platform, workspace(1, "north")),
        (IN_A, sender(2, A, "Shop")),
        (IN_A, campaign(3, A, Status::New, 0)),
    ];
    let catalog = fixture.open().await;
    for (scope, entity) in &entities {
        create(&catalog, *scope, entity.clone()).await;
    }
    drop(catalog);
    let catalog = fixture.open().await;
    for (scope, entity) in &entities {
        let found = catalog.get(*scope, entity.kind(), entity.id()).await.expect("stored");
        assert_eq!(&found, entity);
        let (_, key) = entity.unique_key().expect("all three kinds have one");
        assert_eq!(&catalog.find(*scope, entity.kind(), key.clone()).await.expect("stored"), entity);
        assert_eq!(&catalog.find(Scope::Platform, entity.kind(), key).await.expect("stored"), entity);
    }
}

pub(in crate::store) async fn a_conflict_leaves_neither_entity_nor_audit<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    create(&catalog, IN_A, campaign(1, A, Status::New, 7)).await;
    let changes = vec![
        change(IN_A, Expect::Absent, sender(2, A, "Shop")),
        change(IN_A, Expect::Version(6), campaign(1, A, Status::Cancelled, 8)),
    ];
    let refused = apply(&catalog, changes).await.expect_err("the version is 7");
    assert!(matches!(refused, StoreError::Conflict { expected: 6, found: 7 }), "{refused}");
    let absent = catalog.get(IN_A, Kind::Sender, EntityId(id(2))).await.expect_err("not created");
    assert!(matches!(absent, StoreError::NotFound), "{absent}");
    let kept = catalog.get(IN_A, Kind::Campaign, EntityId(id(1))).await.expect("still there");
    assert_eq!(kept, campaign(1, A, Status::New, 7));
    assert_eq!(audit_len(&catalog, IN_A).await, 1);

    let missing = change(IN_A, Expect::Version(0), campaign(9, A, Status::New, 1));
    let refused = apply(&catalog, vec![missing]).await.expect_err("never stored");
    assert!(matches!(refused, StoreError::NotFound), "{refused}");
    let moved = change(IN_A, Expect::Version(7), campaign(1, A, Status::Building, 8));
    apply(&catalog, vec![moved]).await.expect("the right version");
    assert_eq!(audit_len(&catalog, IN_A).await, 2);
}

pub(in crate::store) async fn a_taken_key_leaves_neither_entity_nor_audit<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    create(&catalog, IN_A, sender(1, A, "Shop")).await;
    for (taken, name) in [(sender(2, A, "sHOP"), "sender name"), (sender(1, A, "Other"), "id")] {
        let changes =
            vec![change(IN_A, Expect::Absent, sender(3, A, "New")), change(IN_A, Expect::Absent, taken)];
        let refused = apply(&catalog, changes).await.expect_err("taken");
        assert!(matches!(refused, StoreError::Taken(what) if what == name), "{refused}");
        assert_eq!(audit_len(&catalog, IN_A).await, 1);
        assert!(catalog.get(IN_A, Kind::Sender, EntityId(id(3))).await.is_err());
    }
    create(&catalog, IN_B, sender(4, B, "Shop")).await;
    let renamed = change(IN_A, Expect::Version(0), sender(1, A, "Renamed"));
    apply(&catalog, vec![renamed]).await.expect("its own key may change");
    create(&catalog, IN_A, sender(5, A, "Shop")).await;
}

pub(in crate::store) async fn a_foreign_entity_is_as_absent_as_one_that_never_was<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    create(&catalog, IN_A, sender(1, A, "Shop")).await;
    create(&catalog, Scope::Platform, workspace(2, "north")).await;
    let key = format!("{A}/shop");
    for (kind, n) in [(Kind::Sender, 1), (Kind::Sender, 99), (Kind::Workspace, 2), (Kind::Campaign, 1)] {
        let refused = catalog.get(IN_B, kind, EntityId(id(n))).await.expect_err("not in this scope");
        assert!(matches!(refused, StoreError::NotFound), "{refused}");
    }
    for key in [key.as_str(), "nothing"] {
        let refused = catalog.find(IN_B, Kind::Sender, key.to_owned()).await.expect_err("not in this scope");
        assert!(matches!(refused, StoreError::NotFound), "{refused}");
    }
    let all = Query { kind: Kind::Sender, statuses: Vec::new(), parent: None, after: None, limit: MAX_PAGE };
    assert!(catalog.list(IN_B, all.clone()).await.expect("readable").items.is_empty());
    assert_eq!(catalog.list(IN_A, all.clone()).await.expect("readable").items.len(), 1);
    assert_eq!(catalog.list(Scope::Platform, all).await.expect("readable").items.len(), 1);
    assert_eq!(audit_len(&catalog, IN_B).await, 0);
}

pub(in crate::store) async fn a_foreign_entity_cannot_be_changed_or_moved<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    create(&catalog, IN_A, campaign(1, A, Status::New, 0)).await;
    let attempts = [
        change(IN_B, Expect::Version(0), campaign(1, A, Status::Cancelled, 1)),
        change(IN_B, Expect::Version(0), campaign(1, B, Status::Cancelled, 1)),
        change(Scope::Platform, Expect::Version(0), campaign(1, B, Status::Cancelled, 1)),
        change(IN_B, Expect::Absent, campaign(2, A, Status::New, 0)),
        change(IN_B, Expect::Absent, workspace(3, "mine")),
    ];
    for attempt in attempts {
        let refused = apply(&catalog, vec![attempt]).await.expect_err("outside the scope");
        assert!(matches!(refused, StoreError::NotFound), "{refused}");
    }
    let kept = catalog.get(IN_A, Kind::Campaign, EntityId(id(1))).await.expect("untouched");
    assert_eq!(kept, campaign(1, A, Status::New, 0));
    for scope in [IN_B, Scope::Platform] {
        assert_eq!(audit_len(&catalog, scope).await, 0);
    }
    let by_engine = change(Scope::Platform, Expect::Version(0), campaign(1, A, Status::Building, 1));
    apply(&catalog, vec![by_engine]).await.expect("the engine sees all tenants");
    assert_eq!((audit_len(&catalog, IN_A).await, audit_len(&catalog, Scope::Platform).await), (2, 0));
}

pub(in crate::store) async fn a_list_is_paged_newest_first_and_filtered_by_status<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    let status = |n: u32| if n.is_multiple_of(3) { Status::Sending } else { Status::New };
    for n in 1..=20 {
        create(&catalog, IN_A, campaign(n, A, status(n), 0)).await;
    }
    create(&catalog, IN_B, campaign(21, B, Status::Sending, 0)).await;
    for (scope, statuses, expected) in [
        (IN_A, vec![], (1..=20).rev().collect::<Vec<u32>>()),
        (IN_A, vec!["Sending".to_owned()], vec![18, 15, 12, 9, 6, 3]),
        (IN_A, vec!["Sending".to_owned(), "New".to_owned()], (1..=20).rev().collect()),
        (IN_A, vec!["Done".to_owned()], vec![]),
        (Scope::Platform, vec!["Sending".to_owned()], vec![21, 18, 15, 12, 9, 6, 3]),
    ] {
        for limit in [1, 5, 6, 20, 0, usize::MAX] {
            let mut query =
                Query { kind: Kind::Campaign, statuses: statuses.clone(), parent: None, after: None, limit };
            let mut seen = Vec::new();
            loop {
                let page = catalog.list(scope, query.clone()).await.expect("readable");
                assert!(page.items.len() <= limit.clamp(1, MAX_PAGE));
                seen.extend(page.items.iter().map(Entity::id));
                query.after = page.next;
                if page.next.is_none() {
                    break;
                }
            }
            let expected: Vec<_> = expected.iter().map(|n| EntityId(id(*n))).collect();
            assert_eq!(seen, expected, "{scope:?} {statuses:?} in pages of {limit}");
        }
    }
}

pub(in crate::store) async fn audit_is_dense_in_each_log_and_tells_before_and_after<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    let by = Principal {
        user_id: Some(UserId(id(77))),
        role: "Owner".to_owned(),
        address: Some("192.0.2.1".to_owned()),
        user_agent: None,
        request_id: Some("r-1".to_owned()),
    };
    let changes = vec![
        change(Scope::Platform, Expect::Absent, workspace(1, "north")),
        change(Scope::Platform, Expect::Absent, campaign(2, A, Status::New, 0)),
        change(Scope::Platform, Expect::Absent, campaign(3, B, Status::New, 0)),
        change(Scope::Platform, Expect::Version(0), campaign(2, A, Status::Cancelled, 1)),
    ];
    catalog.apply(changes, &by, at()).await.expect("all new");
    drop(catalog);
    let catalog = fixture.open().await;
    for (scope, log, expected) in [
        (IN_A, Some(A), vec![(1, EntityId(id(2)), false), (2, EntityId(id(2)), true)]),
        (IN_B, Some(B), vec![(1, EntityId(id(3)), false)]),
        (Scope::Platform, None, vec![(1, EntityId(id(1)), false)]),
    ] {
        let events = catalog.audit(scope, 0).await.expect("readable");
        let seen: Vec<_> = events.iter().map(|e| (e.seq, e.entity_id, !e.before.is_null())).collect();
        assert_eq!(seen, expected);
        for event in &events {
            assert_eq!((event.workspace_id, event.at, &event.by), (log, at(), &by));
            assert_eq!(event.action, "test.change");
        }
        assert_eq!(catalog.audit(scope, 1).await.expect("readable"), events[1..]);
    }
    let events = catalog.audit(IN_A, 1).await.expect("readable");
    assert_eq!(events[0].entity_kind, "campaign");
    assert_eq!(
        (&events[0].before["status"], &events[0].after["status"]),
        (&"New".into(), &"Cancelled".into())
    );
}

pub(in crate::store) async fn a_change_of_a_workspace_is_in_its_own_log_and_from_outside_in_the_platforms<F>(
    fixture: &F,
) where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    let put = async |scope, expect, name: &str, version| {
        let Entity::Workspace(mut changed) = workspace(1, "north") else { unreachable!("it is one") };
        changed.version = version;
        changed.name = name.to_owned();
        apply(&catalog, vec![change(scope, expect, Entity::Workspace(changed))]).await
    };
    let own = Scope::Workspace(WorkspaceId(id(1)));
    let names = async |scope| {
        let events = catalog.audit(scope, 0).await.expect("readable");
        let name = |event: &crate::model::AuditEvent| event.after["name"].as_str().map(str::to_owned);
        events.iter().filter_map(name).collect::<Vec<_>>()
    };
    put(Scope::Platform, Expect::Absent, "made", 0).await.expect("new");
    put(own, Expect::Version(0), "by its admin", 1).await.expect("within its own scope");
    let foreign = put(IN_B, Expect::Version(1), "by others", 2).await.expect_err("another tenant's");
    assert!(matches!(foreign, StoreError::NotFound), "{foreign}");
    put(Scope::Platform, Expect::Version(1), "by the provider", 2).await.expect("from the platform");
    assert_eq!(names(own).await, ["made", "by its admin", "by the provider"]);
    assert_eq!(names(Scope::Platform).await, ["made", "by the provider"]);
    assert!(names(IN_B).await.is_empty());
}

pub(in crate::store) async fn a_change_that_only_counts_conflicts_and_is_no_event<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    create(&catalog, Scope::Platform, workspace(1, "north")).await;
    let own = Scope::Workspace(WorkspaceId(id(1)));
    let count = async |from| {
        let Entity::Workspace(mut counted) = workspace(1, "north") else { unreachable!("it is one") };
        counted.version = from + 1;
        let changes = vec![change(own, Expect::Version(from), Entity::Workspace(counted))];
        apply(&catalog, changes).await
    };
    count(0).await.expect("the first");
    let late = count(0).await.expect_err("too late");
    assert!(matches!(late, StoreError::Conflict { expected: 0, found: 1 }), "{late}");
    assert_eq!((audit_len(&catalog, own).await, audit_len(&catalog, Scope::Platform).await), (1, 1));
}

pub(in crate::store) async fn a_long_audit_log_is_read_in_pages<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    let total = u32::try_from(MAX_PAGE).expect("small") + 5;
    let changes = (0..total).map(|n| change(IN_A, Expect::Absent, campaign(n, A, Status::New, 0))).collect();
    apply(&catalog, changes).await.expect("all new");
    let first = catalog.audit(IN_A, 0).await.expect("readable");
    assert_eq!(first.len(), MAX_PAGE);
    let rest = catalog.audit(IN_A, first.last().expect("not empty").seq).await.expect("readable");
    assert_eq!(rest.last().map(|e| e.seq), Some(total.into()));
    assert_eq!(rest.len(), 5);
}

pub(in crate::store) async fn campaign_numbers_and_epochs_never_repeat<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let (mut numbers, mut epochs) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let catalog = fixture.open().await;
        for _ in 0..3 {
            numbers.push(catalog.next_campaign_no().await.expect("counted").0);
        }
        epochs.push(catalog.next_epoch().await.expect("counted"));
    }
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    assert!(epochs.is_sorted_by(|a, b| a < b), "{epochs:?}");
}
