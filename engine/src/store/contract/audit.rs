//! The promises of a catalog about its audit logs: chains, notes.

use super::Fixture;
use super::catalog::{A, B, IN_A, IN_B, at, campaign, create, id};
use crate::model::{AuditEvent, EntityId, Principal, Status, UserId, WorkspaceId};
use crate::store::{
    AUDIT_SEGMENT, AuditQuery, AuditReport, Catalog, MAX_NOTE_DETAILS, MAX_NOTES, MAX_PAGE, Note, Scope,
    StoreError,
};
use serde_json::json;

pub(super) fn person(n: u32) -> Principal {
    Principal { user_id: Some(UserId(id(n))), role: "Admin".to_owned(), ..Principal::engine() }
}

/// The note number `n`, a login of account 7.
pub(in crate::store) fn note(n: u32, scope: Scope) -> Note {
    Note {
        id: id(n),
        scope,
        at: at(),
        by: person(7),
        action: "login.succeeded".to_owned(),
        entity_kind: "user".to_owned(),
        entity_id: EntityId(id(7)),
        subject: None,
        details: json!({ "n": n }),
    }
}

pub(super) async fn log(catalog: &impl Catalog, scope: Scope) -> Vec<AuditEvent> {
    catalog.audit(scope, 0).await.expect("readable")
}

pub(in crate::store) async fn every_log_is_a_chain_of_its_own_that_can_be_checked<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    for n in 1..=3 {
        create(&catalog, IN_A, campaign(n, A, Status::New, 0)).await;
        create(&catalog, IN_B, campaign(n + 3, B, Status::New, 0)).await;
    }
    catalog.note(vec![note(1, IN_A), note(2, Scope::Platform)]).await.expect("noted");
    drop(catalog);
    let catalog = fixture.open().await;
    let mut hashes = Vec::new();
    for (scope, workspace_id, events) in [(IN_A, Some(A), 4), (IN_B, Some(B), 3), (Scope::Platform, None, 1)]
    {
        let log = log(&catalog, scope).await;
        let report = catalog.audit_verify(scope).await.expect("readable");
        let head = log.last().expect("not empty").hash.clone();
        let expected = AuditReport {
            workspace_id,
            events,
            first_seq: 1,
            last_seq: events,
            head,
            anchors: 0,
            expired: 0,
            broken: None,
        };
        assert_eq!(report, expected);
        hashes.extend(log.into_iter().map(|event| event.hash));
    }
    assert!(hashes.iter().all(|hash| hash.len() == 64));
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 8);
    let empty = Scope::Workspace(WorkspaceId(id(99)));
    let report = catalog.audit_verify(empty).await.expect("readable");
    assert_eq!((report.events, report.first_seq, report.last_seq, report.broken), (0, 0, 0, None));
}

pub(in crate::store) async fn the_logs_that_hold_anything_are_listed_in_pages<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    assert!(catalog.audit_logs(None).await.expect("readable").is_empty());
    let total = u32::try_from(MAX_PAGE).expect("small") + 3;
    let owners: Vec<Scope> = (1..total).map(|n| Scope::Workspace(WorkspaceId(id(n)))).collect();
    let notes: Vec<Note> = (1..).zip(&owners).map(|(n, scope)| note(n, *scope)).collect();
    catalog.note(notes).await.expect("noted");
    catalog.note(vec![note(total, Scope::Platform)]).await.expect("noted");
    let first = catalog.audit_logs(None).await.expect("readable");
    assert_eq!((first.len(), first[0]), (MAX_PAGE, Scope::Platform));
    let rest = catalog.audit_logs(first.last().copied()).await.expect("readable");
    assert_eq!(first[1..].iter().chain(&rest).copied().collect::<Vec<_>>(), owners);
}

pub(in crate::store) async fn a_note_is_an_event_in_the_log_that_it_is_for<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    let failed = Note {
        action: "login.failed".to_owned(),
        by: Principal { address: Some("192.0.2.1".to_owned()), ..Principal::engine() },
        subject: Some(UserId(id(7))),
        ..note(3, Scope::Platform)
    };
    let notes = vec![note(1, IN_A), note(2, Scope::Platform), failed.clone(), note(4, IN_A)];
    assert_eq!(catalog.note(notes).await.expect("noted"), 4);
    drop(catalog);
    let catalog = fixture.open().await;
    let seen = |log: &[AuditEvent]| log.iter().map(|e| (e.seq, e.after["n"].clone())).collect::<Vec<_>>();
    assert_eq!(seen(&log(&catalog, IN_A).await), [(1, 1.into()), (2, 4.into())]);
    let platform = log(&catalog, Scope::Platform).await;
    assert_eq!(seen(&platform), [(1, 2.into()), (2, 3.into())]);
    let event = &platform[1];
    assert_eq!((event.workspace_id, event.at, &event.by), (None, failed.at, &failed.by));
    assert_eq!((event.action.as_str(), event.entity_kind.as_str()), ("login.failed", "user"));
    assert_eq!((event.entity_id, event.subject), (failed.entity_id, failed.subject));
    assert_eq!((&event.before, &event.after), (&serde_json::Value::Null, &failed.details));
    assert_eq!(platform[0].subject, None);
}

pub(in crate::store) async fn a_note_that_is_stored_already_is_skipped<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    assert_eq!(catalog.note(vec![note(1, IN_A), note(2, IN_A), note(1, IN_A)]).await.expect("noted"), 2);
    drop(catalog);
    let catalog = fixture.open().await;
    let again = vec![note(2, IN_A), note(3, IN_A), note(1, IN_B)];
    assert_eq!(catalog.note(again).await.expect("noted"), 1, "the id decides, whatever else is different");
    assert_eq!(catalog.note(Vec::new()).await.expect("nothing to do"), 0);
    let seen: Vec<_> = log(&catalog, IN_A).await.iter().map(|event| event.after["n"].clone()).collect();
    assert_eq!(seen, [1, 2, 3]);
    assert!(log(&catalog, IN_B).await.is_empty());
}

pub(in crate::store) async fn impossible_notes_leave_nothing<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    let many: Vec<Note> = (1..).take(MAX_NOTES + 1).map(|n| note(n, IN_A)).collect();
    let long = Note { details: "a".repeat(MAX_NOTE_DETAILS).into(), ..note(2, IN_A) };
    for wrong in [many.clone(), vec![note(1, IN_A), long]] {
        let refused = catalog.note(wrong).await.expect_err("beyond a limit");
        assert!(matches!(refused, StoreError::Refused(_)), "{refused}");
    }
    assert!(log(&catalog, IN_A).await.is_empty());
    assert_eq!(catalog.note(many[1..].to_vec()).await.expect("noted"), MAX_NOTES as u64);
}

/// Gives every batch of notes until it is taken: each note is there once, in order, whatever failed.
pub(in crate::store) async fn failing_notes_are_stored_once_and_in_order(
    catalog: &impl Catalog,
    calls: u32,
) -> u32 {
    let mut failures = 0;
    for call in 0..calls {
        let batch: Vec<Note> = (0..3).map(|n| note(call * 3 + n, IN_A)).collect();
        while catalog.note(batch.clone()).await.is_err() {
            failures += 1;
            assert!(failures < 1000, "it never ends");
        }
    }
    let seen: Vec<_> = log(catalog, IN_A).await.iter().map(|event| event.after["n"].clone()).collect();
    assert_eq!(seen, (0..calls * 3).collect::<Vec<_>>());
    assert_eq!(catalog.audit_verify(IN_A).await.expect("readable").broken, None);
    failures
}

/// Notes from `first` on, one a second, as many as asked for.
pub(in crate::store) async fn fill(catalog: &impl Catalog, scope: Scope, first: u32, count: u32) {
    let notes: Vec<Note> = (first..first + count)
        .map(|n| Note { at: second(n), details: serde_json::Value::Null, ..note(n, scope) })
        .collect();
    for batch in notes.chunks(MAX_NOTES) {
        catalog.note(batch.to_vec()).await.expect("noted");
    }
}

/// When the note number `n` of [`fill`] happened.
pub(in crate::store) fn second(n: u32) -> jiff::Timestamp {
    at() + jiff::SignedDuration::from_secs(n.into())
}

/// Lets expire what is older, as often as there is more to do; gives how many events went.
pub(in crate::store) async fn expire(catalog: &impl Catalog, before: jiff::Timestamp) -> u64 {
    let mut events = 0;
    for _ in 0..100 {
        let done = catalog.expire_audit(before, &person(9), before).await.expect("expired");
        events += done.events;
        if !done.more {
            return events;
        }
    }
    panic!("it never ends");
}

pub(in crate::store) async fn only_whole_segments_whose_newest_event_is_old_enough_expire<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let segment = u32::try_from(AUDIT_SEGMENT).expect("small");
    let catalog = fixture.open().await;
    fill(&catalog, IN_A, 1, segment - 1).await;
    assert_eq!(expire(&catalog, second(100_000)).await, 0, "the segment is not whole");
    fill(&catalog, IN_A, segment, 1).await;
    assert_eq!(expire(&catalog, second(segment)).await, 0, "the newest event is not older");
    fill(&catalog, IN_B, 10_001, segment + 10).await;
    assert_eq!(expire(&catalog, second(segment + 1)).await, AUDIT_SEGMENT);
    assert_eq!(expire(&catalog, second(segment + 1)).await, 0, "once");
    let kept = log(&catalog, IN_A).await;
    assert_eq!(kept.len(), 1);
    let event = &kept[0];
    assert_eq!(
        (event.seq, event.action.as_str(), &event.by),
        (AUDIT_SEGMENT + 1, "audit.expire", &person(9))
    );
    assert_eq!((&event.before["first_seq"], &event.before["last_seq"]), (&1.into(), &AUDIT_SEGMENT.into()));
    assert!(event.after.is_null());
    assert_eq!(log(&catalog, IN_B).await[0].seq, 1);
}

pub(in crate::store) async fn what_has_expired_leaves_a_log_that_can_still_be_checked<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let segment = u32::try_from(AUDIT_SEGMENT).expect("small");
    let catalog = fixture.open().await;
    fill(&catalog, IN_A, 1, segment * 3 + 7).await;
    let head = catalog.audit_verify(IN_A).await.expect("readable").head;
    for (n, segments) in [(segment + 1, 1), (segment * 3 + 1, 2)] {
        assert_eq!(expire(&catalog, second(n)).await, AUDIT_SEGMENT * segments);
    }
    drop(catalog);
    let catalog = fixture.open().await;
    let report = catalog.audit_verify(IN_A).await.expect("readable");
    assert_eq!((report.broken, report.anchors, report.expired), (None, 2, AUDIT_SEGMENT * 3));
    assert_eq!((report.events, report.first_seq), (7 + 2, AUDIT_SEGMENT * 3 + 1));
    assert_ne!(report.head, head, "two events record it");
    fill(&catalog, IN_A, segment * 4, segment).await;
    assert_eq!(catalog.audit_verify(IN_A).await.expect("readable").broken, None);
    let found = AuditQuery { limit: 1, to: Some(second(segment)), ..AuditQuery::default() };
    assert!(catalog.audit_events(IN_A, found).await.expect("readable").items.is_empty());
}
