//! The promises of a catalog about suppression lists.

use super::Fixture;
use crate::model::{MAX_SOURCE_CHARS, Principal, Suppression, SuppressionKind, UserId, WorkspaceId};
use crate::store::{Catalog, MAX_PAGE, MAX_SUPPRESSIONS, Scope, StoreError, SuppressionKey};
use SuppressionKind::{Block, OptOut};
use uuid::Uuid;

const A: WorkspaceId = WorkspaceId(Uuid::from_u128(0xa));
const B: WorkspaceId = WorkspaceId(Uuid::from_u128(0xb));
const IN_A: Scope = Scope::Workspace(A);
const IN_B: Scope = Scope::Workspace(B);
const SCOPES: [Scope; 3] = [IN_A, IN_B, Scope::Platform];

/// An ordinary number.
const N: u64 = 4_915_112_340_000;

fn at(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(1_700_000_000_123 + second * 1000).expect("a time of our age")
}

fn entry(number: u64, kind: SuppressionKind, second: i64) -> Suppression {
    Suppression { number, kind, source: format!("source {second} ü"), at: at(second) }
}

fn person() -> Principal {
    Principal { user_id: Some(UserId(Uuid::from_u128(7))), role: "Owner".to_owned(), ..Principal::engine() }
}

async fn add(catalog: &impl Catalog, scope: Scope, entries: &[Suppression]) -> u64 {
    catalog.suppress(scope, entries.to_vec(), &person(), at(9)).await.expect("added")
}

async fn remove(catalog: &impl Catalog, scope: Scope, keys: &[SuppressionKey]) -> u64 {
    catalog.unsuppress(scope, keys.to_vec(), &person(), at(9)).await.expect("removed")
}

/// The whole list, read in pages of `limit`.
async fn list(catalog: &impl Catalog, scope: Scope, limit: usize) -> Vec<Suppression> {
    let mut all: Vec<Suppression> = Vec::new();
    loop {
        let after = all.last().map(|last| (last.number, last.kind));
        let page = catalog.suppressions(scope, after, limit).await.expect("readable");
        assert!(page.len() <= limit.clamp(1, MAX_PAGE));
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

async fn events(catalog: &impl Catalog, scope: Scope) -> usize {
    catalog.audit(scope, 0).await.expect("readable").len()
}

pub(in crate::store) async fn suppressions_come_back_by_number_in_pages<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    let greatest = 999_999_999_999_999;
    let mut entries = vec![entry(greatest, Block, 1), entry(1, OptOut, 2)];
    entries.extend((0..250).rev().map(|n| entry(N + n, if n % 2 == 0 { OptOut } else { Block }, 3)));
    entries.extend((0..10).map(|n| entry(N + n * 2, Block, 4)));
    assert_eq!(add(&catalog, IN_A, &entries).await, 262);
    drop(catalog);
    let catalog = fixture.open().await;
    entries.sort_by_key(|entry| (entry.number, entry.kind));
    for limit in [1, 7, MAX_PAGE, usize::MAX, 0] {
        assert_eq!(list(&catalog, IN_A, limit).await, entries);
    }
    let behind = catalog.suppressions(IN_A, Some((u64::MAX, OptOut)), 10).await.expect("readable");
    assert!(behind.is_empty());
}

pub(in crate::store) async fn a_suppression_keeps_its_first_time_and_source<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    for scope in SCOPES {
        assert_eq!(add(&catalog, scope, &[entry(N, OptOut, 5)]).await, 1);
        assert_eq!(add(&catalog, scope, &[entry(N, OptOut, 4), entry(N, Block, 6)]).await, 1);
        assert_eq!(add(&catalog, scope, &[entry(N, Block, 7), entry(N, Block, 8)]).await, 0);
        assert_eq!(list(&catalog, scope, 10).await, [entry(N, OptOut, 5), entry(N, Block, 6)]);
        assert_eq!(events(&catalog, scope).await, 3, "each call has its event");
    }
}

pub(in crate::store) async fn only_the_kinds_that_are_named_are_taken_back<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    let entries = [entry(N, OptOut, 1), entry(N, Block, 1), entry(N + 1, OptOut, 1)];
    add(&catalog, IN_A, &entries).await;
    assert_eq!(remove(&catalog, IN_A, &[(N, OptOut), (N + 1, Block), (N + 2, OptOut)]).await, 1);
    assert_eq!(list(&catalog, IN_A, 10).await, entries[1..]);
    assert_eq!(remove(&catalog, IN_A, &[(N, Block), (N, Block), (N + 1, OptOut)]).await, 2);
    assert!(list(&catalog, IN_A, 10).await.is_empty());
    assert_eq!(add(&catalog, IN_A, &[entry(N, OptOut, 9)]).await, 1);
    drop(catalog);
    assert_eq!(list(&fixture.open().await, IN_A, 10).await, [entry(N, OptOut, 9)]);
}

pub(in crate::store) async fn no_scope_sees_or_changes_the_list_of_another<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    let of = |scope| match scope {
        IN_A => [entry(N, OptOut, 1), entry(N + 1, Block, 1)],
        IN_B => [entry(N, OptOut, 2), entry(N + 1, OptOut, 2)],
        _ => [entry(N, Block, 3), entry(N + 2, Block, 3)],
    };
    for scope in SCOPES {
        assert_eq!(add(&catalog, scope, &of(scope)).await, 2);
    }
    for scope in SCOPES {
        let strange = SCOPES.into_iter().filter(|other| *other != scope).flat_map(of);
        let strange: Vec<_> = strange.map(|entry| (entry.number, entry.kind)).collect();
        let own: Vec<_> = of(scope).iter().map(|entry| (entry.number, entry.kind)).collect();
        let strange: Vec<_> = strange.into_iter().filter(|key| !own.contains(key)).collect();
        assert_eq!(remove(&catalog, scope, &strange).await, 0);
    }
    for scope in SCOPES {
        assert_eq!(list(&catalog, scope, 10).await, of(scope), "{scope:?}");
        assert_eq!(events(&catalog, scope).await, 2);
    }
    let mut seen = Vec::new();
    catalog.all_suppressions(&mut |of, number, kind| seen.push((of, number, kind))).await.expect("readable");
    let expected = [
        (None, N, Block),
        (None, N + 2, Block),
        (Some(A), N, OptOut),
        (Some(A), N + 1, Block),
        (Some(B), N, OptOut),
        (Some(B), N + 1, OptOut),
    ];
    assert_eq!(seen, expected);
}

pub(in crate::store) async fn a_call_about_suppressions_has_one_event_without_a_number<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    for (scope, log) in [(IN_A, Some(A)), (Scope::Platform, None)] {
        let entries: Vec<_> = (0..500).map(|n| entry(N + n, Block, 1)).collect();
        let keys: Vec<_> = entries.iter().map(|entry| (entry.number, entry.kind)).collect();
        add(&catalog, scope, &entries[..300]).await;
        add(&catalog, scope, &entries).await;
        remove(&catalog, scope, &keys[..2]).await;
        assert_eq!((add(&catalog, scope, &[]).await, remove(&catalog, scope, &[]).await), (0, 0));
        let events = catalog.audit(scope, 0).await.expect("readable");
        let actions: Vec<_> = events.iter().map(|event| (event.seq, event.action.as_str())).collect();
        assert_eq!(actions, [(1, "suppression.add"), (2, "suppression.add"), (3, "suppression.remove")]);
        assert_eq!((&events[1].after["count"], &events[1].after["added"]), (&500.into(), &200.into()));
        assert_eq!((&events[2].before["count"], &events[2].before["removed"]), (&2.into(), &2.into()));
        assert_eq!(events[2].before["entries"][1]["number"], "••••••0001");
        assert_eq!(events[2].before["entries"][1]["kind"], "block");
        for event in events {
            assert_eq!((event.workspace_id, event.at, &event.by), (log, at(9), &person()));
            assert_eq!(event.entity_kind, "suppression");
            assert_eq!(event.before.is_null(), event.action == "suppression.add");
            assert_eq!(event.after.is_null(), event.action == "suppression.remove");
            let text = serde_json::to_string(&event).expect("an event is JSON");
            assert!(!text.contains("4915112"), "{text}");
        }
    }
}

pub(in crate::store) async fn an_impossible_call_about_suppressions_leaves_nothing<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    let entries = |count: usize| (1..).take(count).map(|n| entry(n, OptOut, 1)).collect::<Vec<_>>();
    let long = Suppression { source: "ü".repeat(MAX_SOURCE_CHARS + 1), ..entry(N, OptOut, 1) };
    for wrong in [
        entries(MAX_SUPPRESSIONS + 1),
        vec![entry(N, OptOut, 1), entry(0, OptOut, 1)],
        vec![entry(N, OptOut, 1), entry(1_000_000_000_000_000, OptOut, 1)],
        vec![entry(N, OptOut, 1), entry(u64::MAX, Block, 1)],
        vec![long],
    ] {
        let is_long = wrong.len() == 1;
        let keys = wrong.iter().map(|entry| (entry.number, entry.kind)).collect();
        let refused = catalog.suppress(IN_A, wrong, &person(), at(1)).await.expect_err("impossible");
        assert!(matches!(refused, StoreError::Refused(_)), "{refused}");
        let removed = catalog.unsuppress(IN_A, keys, &person(), at(1)).await;
        assert!(is_long || matches!(removed, Err(StoreError::Refused(_))), "{removed:?}");
    }
    assert!(list(&catalog, IN_A, 10).await.is_empty());
    assert_eq!(events(&catalog, IN_A).await, 1, "the long source was no obstacle to a removal");
    assert_eq!(add(&catalog, IN_A, &entries(MAX_SUPPRESSIONS)).await, MAX_SUPPRESSIONS as u64);
}

/// Adds through failures until every call has succeeded: after each one the entries are there when an event of the
/// call is, and only then; whatever was stored first stays.
pub(in crate::store) async fn a_failing_call_about_suppressions_is_whole_or_not_at_all(
    catalog: &impl Catalog,
    calls: u64,
) -> u32 {
    let (mut failures, mut stored) = (0, 0);
    for n in 0..calls {
        let mut expected = Vec::new();
        for second in 1.. {
            let entries: Vec<_> = (0..5).map(|i| entry(N + n * 5 + i, OptOut, second)).collect();
            let outcome = catalog.suppress(IN_A, entries.clone(), &person(), at(1)).await;
            let log = events(catalog, IN_A).await;
            assert!(log == stored || log == stored + 1, "{log} events after {stored}");
            if log > stored && expected.is_empty() {
                expected = entries;
            }
            stored = log;
            let after = (n > 0).then(|| (N + n * 5 - 1, Block));
            assert_eq!(catalog.suppressions(IN_A, after, 10).await.expect("readable"), expected);
            if outcome.is_ok() {
                break;
            }
            failures += 1;
            assert!(second < 100, "it never ends");
        }
        assert_eq!(expected.len(), 5);
    }
    failures
}
