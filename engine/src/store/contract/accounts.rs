//! The promises of a catalog about accounts: who is found by what, and what no audit log tells.

use super::Fixture;
use super::catalog::{A, B, IN_A, IN_B, at, change, create, id};
use crate::model::{
    Admission, Answer, Credential, EntityId, Invitation, JoinRequest, Membership, Preferences, Principal,
    Role, Roster, User, UserId, WorkspaceId,
};
use crate::store::{
    ACTIVE, Catalog, ENDED, Entity, Expect, Kind, MAX_PAGE, Query, SUPER_ADMIN, Scope, StoreError,
};

const SECRET: &str = "$argon2id$of-somebody";

fn user(n: u32, email: &str, version: u32) -> User {
    User {
        id: UserId(id(n)),
        email: email.to_owned(),
        name: "Somebody".to_owned(),
        credential: Some(Credential(SECRET.to_owned())),
        super_admin: false,
        preferences: Preferences::default(),
        version,
        created_at: at(),
        disabled_at: None,
    }
}

fn membership(n: u32, workspace_id: WorkspaceId, user: u32) -> Membership {
    Membership {
        id: id(n),
        workspace_id,
        user_id: UserId(id(user)),
        role: Role::Author,
        is_moderator: true,
        version: 0,
        created_at: at(),
        expires_at: None,
        removed_at: None,
    }
}

fn invitation(n: u32, secret: &str) -> Entity {
    Entity::Invitation(Invitation {
        id: id(n),
        workspace_id: A,
        email: "new@example.com".to_owned(),
        role: Role::Moderator,
        credential: Credential(secret.to_owned()),
        status: Admission::Pending,
        invited_by: UserId(id(1)),
        version: 0,
        created_at: at(),
        expires_at: at(),
    })
}

async fn of_parent(catalog: &impl Catalog, scope: Scope, parent: u32) -> Vec<EntityId> {
    let parent = Some(EntityId(id(parent)));
    let query = Query { kind: Kind::Membership, statuses: Vec::new(), parent, after: None, limit: MAX_PAGE };
    catalog.list(scope, query).await.expect("readable").items.iter().map(Entity::id).collect()
}

pub(in crate::store) async fn an_account_is_found_by_its_email_and_changed_by_one_at_a_time<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    create(&catalog, Scope::Platform, Entity::User(user(1, "a@example.com", 0))).await;
    let found = catalog.find(Scope::Platform, Kind::User, "a@example.com".to_owned()).await.expect("there");
    assert_eq!(found, Entity::User(user(1, "a@example.com", 0)));
    let put = async |expect, user: User| {
        let change = change(Scope::Platform, expect, Entity::User(user));
        catalog.apply(vec![change], &Principal::engine(), at()).await
    };
    let taken = put(Expect::Absent, user(2, "a@example.com", 0)).await.expect_err("taken");
    assert!(matches!(taken, StoreError::Taken("email")), "{taken}");
    put(Expect::Version(0), user(1, "b@example.com", 1)).await.expect("the first");
    let late = put(Expect::Version(0), user(1, "c@example.com", 1)).await.expect_err("too late");
    assert!(matches!(late, StoreError::Conflict { expected: 0, found: 1 }), "{late}");
    put(Expect::Absent, user(2, "a@example.com", 0)).await.expect("the address is free again");
    let foreign = catalog.get(IN_A, Kind::User, EntityId(id(1))).await.expect_err("of no workspace");
    assert!(matches!(foreign, StoreError::NotFound), "{foreign}");
}

pub(in crate::store) async fn super_admins_are_listed_and_of_two_changes_of_who_they_are_one_is_first<F>(
    fixture: &F,
) where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    let root = |n, email| User { super_admin: true, ..user(n, email, 0) };
    create(&catalog, Scope::Platform, Entity::User(root(1, "a@example.com"))).await;
    create(&catalog, Scope::Platform, Entity::User(user(2, "b@example.com", 0))).await;
    let gone = User { disabled_at: Some(at()), ..root(3, "c@example.com") };
    create(&catalog, Scope::Platform, Entity::User(gone)).await;
    let listed = async |status: &str| {
        let statuses = vec![status.to_owned()];
        let query = Query { kind: Kind::User, statuses, parent: None, after: None, limit: MAX_PAGE };
        let page = catalog.list(Scope::Platform, query).await.expect("readable");
        page.items.iter().map(Entity::id).collect::<Vec<_>>()
    };
    assert_eq!(listed(SUPER_ADMIN).await, [EntityId(id(1))]);
    assert_eq!(listed(ACTIVE).await, [EntityId(id(2))]);
    assert_eq!(listed(ENDED).await, [EntityId(id(3))]);
    let put = async |n, email| {
        let roster = change(Scope::Platform, Expect::Absent, Entity::Roster(Roster::default()));
        let user = change(Scope::Platform, Expect::Absent, Entity::User(root(n, email)));
        catalog.apply(vec![roster, user], &Principal::engine(), at()).await
    };
    put(4, "d@example.com").await.expect("the first");
    let late = put(5, "e@example.com").await.expect_err("too late");
    assert!(matches!(late, StoreError::Taken(_)), "{late}");
    assert_eq!(listed(SUPER_ADMIN).await, [EntityId(id(4)), EntityId(id(1))]);
    assert_eq!(catalog.audit(Scope::Platform, 0).await.expect("readable").len(), 4, "the roster is no event");
}

pub(in crate::store) async fn memberships_of_an_account_are_listed_as_far_as_the_scope_reaches<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    for (n, workspace, of) in [(1, A, 50), (2, B, 50), (3, A, 51)] {
        create(&catalog, Scope::Workspace(workspace), Entity::Membership(membership(n, workspace, of))).await;
    }
    let ids = |ids: &[u32]| ids.iter().map(|n| EntityId(id(*n))).collect::<Vec<_>>();
    assert_eq!(of_parent(&catalog, Scope::Platform, 50).await, ids(&[2, 1]));
    assert_eq!(of_parent(&catalog, IN_A, 50).await, ids(&[1]));
    assert_eq!(of_parent(&catalog, IN_B, 51).await, ids(&[]));
    assert_eq!(of_parent(&catalog, Scope::Platform, 52).await, ids(&[]));
}

pub(in crate::store) async fn one_is_a_member_once_and_may_come_back_when_removed<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    create(&catalog, IN_A, Entity::Membership(membership(1, A, 50))).await;
    let put = async |expect, membership: Membership| {
        let change = change(IN_A, expect, Entity::Membership(membership));
        catalog.apply(vec![change], &Principal::engine(), at()).await
    };
    let twice = put(Expect::Absent, membership(2, A, 50)).await.expect_err("a member already");
    assert!(matches!(twice, StoreError::Taken("membership")), "{twice}");
    let removed = Membership { removed_at: Some(at()), version: 1, ..membership(1, A, 50) };
    put(Expect::Version(0), removed).await.expect("removed");
    put(Expect::Absent, membership(2, A, 50)).await.expect("back again");
    let found = catalog.find(IN_A, Kind::Membership, format!("{A}/{}", UserId(id(50)))).await.expect("there");
    assert_eq!(found.id(), EntityId(id(2)));
}

pub(in crate::store) async fn one_asks_to_join_once_until_it_is_decided<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    let put = async |expect, n, status, version| {
        let user_id = UserId(id(50));
        let request = JoinRequest { id: id(n), workspace_id: A, user_id, status, version, created_at: at() };
        let change = change(IN_A, expect, Entity::JoinRequest(request));
        catalog.apply(vec![change], &Principal::engine(), at()).await
    };
    put(Expect::Absent, 1, Admission::Pending, 0).await.expect("the first");
    let twice = put(Expect::Absent, 2, Admission::Pending, 0).await.expect_err("asked already");
    assert!(matches!(twice, StoreError::Taken("join request")), "{twice}");
    put(Expect::Version(0), 1, Admission::Declined, 1).await.expect("decided");
    put(Expect::Absent, 2, Admission::Pending, 0).await.expect("asks again");
}

pub(in crate::store) async fn no_audit_event_holds_a_credential<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    create(&catalog, Scope::Platform, Entity::User(user(1, "a@example.com", 0))).await;
    let renamed = User { name: "Else".to_owned(), ..user(1, "a@example.com", 1) };
    let change = change(Scope::Platform, Expect::Version(0), Entity::User(renamed));
    catalog.apply(vec![change], &Principal::engine(), at()).await.expect("changed");
    create(&catalog, IN_A, invitation(2, SECRET)).await;
    let kept = catalog.find(IN_A, Kind::Invitation, SECRET.to_owned()).await.expect("found by its secret");
    assert_eq!(kept, invitation(2, SECRET));
    for (scope, events) in [(Scope::Platform, 2), (IN_A, 1)] {
        let log = catalog.audit(scope, 0).await.expect("readable");
        assert_eq!(log.len(), events);
        for event in &log {
            let text = serde_json::to_string(event).expect("JSON");
            assert!(!text.contains("argon2id") && text.contains("example.com"), "{text}");
        }
    }
    let log = catalog.audit(Scope::Platform, 0).await.expect("readable");
    assert_eq!((&log[1].before["name"], &log[1].after["name"]), (&"Somebody".into(), &"Else".into()));
}

pub(in crate::store) async fn what_serves_the_machinery_is_not_audited_and_is_purged_by_age<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    let by = Principal::engine();
    let created = |second: u64| {
        let id = uuid::Builder::from_unix_timestamp_millis(second * 1_000, &[7; 10]).into_uuid();
        let (key, request) = (format!("key {second}"), "request".to_owned());
        let created_at = at();
        let (status, body, location) = (None, String::new(), None);
        Entity::Answer(Answer { id, key, request, status, body, location, version: 0, created_at })
    };
    for second in [1_000, 2_000] {
        let change = change(Scope::Platform, Expect::Absent, created(second));
        catalog.apply(vec![change], &by, at()).await.expect("stored");
    }
    assert!(catalog.audit(Scope::Platform, 0).await.expect("readable").is_empty());
    let before = jiff::Timestamp::from_second(2_000).expect("a time");
    assert_eq!(catalog.purge(Kind::Answer, before).await.expect("purged"), 1);
    let gone = catalog.find(Scope::Platform, Kind::Answer, "key 1000".to_owned()).await;
    assert!(matches!(gone, Err(StoreError::NotFound)), "{gone:?}");
    assert!(catalog.find(Scope::Platform, Kind::Answer, "key 2000".to_owned()).await.is_ok());
    let kept = catalog.purge(Kind::User, before).await;
    assert!(matches!(kept, Err(StoreError::Refused(_))), "{kept:?}");
}
