//! The promises of a catalog about queries of its audit logs.

use super::Fixture;
use super::audit::{note, person};
use super::catalog::{IN_A, IN_B, at, id};
use crate::model::{EntityId, UserId};
use crate::store::{AuditQuery, Catalog, MAX_AUDIT_PEOPLE, MAX_NOTES, MAX_PAGE, Note, Scope, StoreError};
use jiff::{SignedDuration, Timestamp};

/// Notes of a log in which every wish finds some and misses some.
const NOTES: u32 = 120;

fn millisecond(n: i64) -> Timestamp {
    at() + SignedDuration::from_millis(n)
}

/// Times come in pairs, and every tenth note is late: stored long after it happened.
fn happened(n: u32) -> i64 {
    let pair = i64::from(n / 2);
    if n.is_multiple_of(10) { pair - 20 } else { pair }
}

fn of(n: u32, scope: Scope) -> Note {
    let actions = ["login.failed", "login.succeeded", "export.made", "login", "loginx.y"];
    Note {
        at: millisecond(happened(n)),
        by: person(n % 4),
        action: actions[(n % 5) as usize].to_owned(),
        entity_kind: if n.is_multiple_of(3) { "export" } else { "user" }.to_owned(),
        entity_id: EntityId(id(n % 7)),
        subject: n.is_multiple_of(6).then(|| UserId(id(50 + n % 4))),
        ..note(n, scope)
    }
}

/// What a query asks of a note, said without any index.
fn wanted(query: &AuditQuery, note: &Note) -> bool {
    let user = note.by.user_id;
    let is = |id: UserId| user == Some(id);
    let about = |id: &UserId| user == Some(*id) || note.subject == Some(*id);
    query.actor.is_none_or(is)
        && query.people.as_ref().is_none_or(|people| people.iter().any(about))
        && query.action.as_ref().is_none_or(|action| {
            note.action == *action || action.ends_with('.') && note.action.starts_with(action.as_str())
        })
        && query.entity_kind.as_ref().is_none_or(|kind| note.entity_kind == *kind)
        && query.entities.as_ref().is_none_or(|entities| entities.contains(&note.entity_id))
        && query.from.is_none_or(|from| note.at >= from)
        && query.to.is_none_or(|to| note.at < to)
}

fn queries() -> Vec<AuditQuery> {
    let all = AuditQuery::default;
    let people = |ids: &[u32]| Some(ids.iter().map(|n| UserId(id(*n))).collect());
    let entities = |ids: &[u32]| Some(ids.iter().map(|n| EntityId(id(*n))).collect());
    let action = |action: &str| Some(action.to_owned());
    let half = SignedDuration::from_micros(500);
    vec![
        all(),
        AuditQuery { actor: Some(UserId(id(2))), ..all() },
        AuditQuery { people: people(&[1, 2]), ..all() },
        AuditQuery { people: people(&[50, 1, 1]), ..all() },
        AuditQuery { people: people(&[52]), ..all() },
        AuditQuery { people: people(&[]), ..all() },
        AuditQuery { action: action("login"), ..all() },
        AuditQuery { action: action("login."), ..all() },
        AuditQuery { action: action("nothing."), ..all() },
        AuditQuery { entity_kind: action("export"), ..all() },
        AuditQuery { entities: entities(&[3]), ..all() },
        AuditQuery { entities: entities(&[3, 5, 3]), ..all() },
        AuditQuery { entities: entities(&[]), ..all() },
        AuditQuery { from: Some(millisecond(7)), to: Some(millisecond(30)), ..all() },
        AuditQuery { from: Some(millisecond(7) + half), to: Some(millisecond(30) + half), ..all() },
        AuditQuery { from: Some(millisecond(30)), to: Some(millisecond(7)), ..all() },
        AuditQuery { to: Some(millisecond(0)), ..all() },
        AuditQuery { actor: Some(UserId(id(1))), action: action("login."), ..all() },
        AuditQuery {
            people: people(&[1, 50]),
            action: action("login."),
            from: Some(millisecond(9)),
            ..all()
        },
        AuditQuery { entities: entities(&[3, 4]), actor: Some(UserId(id(1))), ..all() },
        AuditQuery { actor: Some(UserId(id(1))), people: people(&[2]), ..all() },
        AuditQuery { action: action("export.made"), entity_kind: action("user"), ..all() },
    ]
}

pub(in crate::store) async fn a_query_gives_exactly_what_it_asks_for_newest_first_in_pages_of_any_size<F>(
    fixture: &F,
) where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    let notes: Vec<Note> = (1..=NOTES).map(|n| of(n, IN_A)).collect();
    catalog.note(notes.clone()).await.expect("noted");
    catalog.note((1..=20).map(|n| of(n + 1_000, IN_B)).collect()).await.expect("noted");
    let mut some = 0;
    for query in queries() {
        let mut expected: Vec<(Timestamp, u64)> = (1..)
            .zip(&notes)
            .filter(|(_, note)| wanted(&query, note))
            .map(|(seq, note)| (note.at, seq))
            .collect();
        expected.sort_unstable_by(|one, other| other.cmp(one));
        some += usize::from(!expected.is_empty());
        for limit in [1, 7, MAX_PAGE, 0, usize::MAX] {
            let mut query = AuditQuery { limit, ..query.clone() };
            let mut seen = Vec::new();
            loop {
                let page = catalog.audit_events(IN_A, query.clone()).await.expect("readable");
                assert!(page.items.len() <= limit.clamp(1, MAX_PAGE));
                seen.extend(page.items.iter().map(|event| (event.at, event.seq)));
                assert!(seen.len() <= expected.len(), "{query:?}");
                query.before = page.next;
                if page.next.is_none() {
                    break;
                }
            }
            assert_eq!(seen, expected, "{query:?}");
        }
    }
    assert!(some >= 14, "only {some} queries found anything");
}

pub(in crate::store) async fn a_rare_event_behind_many_others_is_reached_page_by_page<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    const MANY: u32 = 17_000;
    let catalog = fixture.open().await;
    let rare = Note { entity_kind: "export".to_owned(), ..note(0, IN_A) };
    catalog.note(vec![rare]).await.expect("noted");
    let many: Vec<Note> = (1..=MANY).map(|n| note(n, IN_A)).collect();
    for batch in many.chunks(MAX_NOTES) {
        catalog.note(batch.to_vec()).await.expect("noted");
    }
    let mut query = AuditQuery { entity_kind: Some("export".to_owned()), limit: 10, ..AuditQuery::default() };
    let (mut pages, mut seen) = (0, Vec::new());
    loop {
        let page = catalog.audit_events(IN_A, query.clone()).await.expect("readable");
        pages += 1;
        seen.extend(page.items.iter().map(|event| event.seq));
        query.before = page.next;
        if page.next.is_none() {
            break;
        }
        assert!(pages < 1_000, "it never ends");
    }
    assert_eq!(seen, [1]);
}

pub(in crate::store) async fn too_many_people_are_refused<F>(fixture: &F)
where
    F: Fixture<Store: Catalog>,
{
    let catalog = fixture.open().await;
    let people = |count: usize| Some((0..).take(count).map(|n| UserId(id(n))).collect());
    let query = |count| AuditQuery { people: people(count), limit: 10, ..AuditQuery::default() };
    let refused = catalog.audit_events(IN_A, query(MAX_AUDIT_PEOPLE + 1)).await.expect_err("too many");
    assert!(matches!(refused, StoreError::Refused(_)), "{refused}");
    let entities = Some((0..).take(MAX_AUDIT_PEOPLE + 1).map(|n| EntityId(id(n))).collect());
    let query_of_many = AuditQuery { entities, limit: 10, ..AuditQuery::default() };
    assert!(catalog.audit_events(IN_A, query_of_many).await.is_err());
    catalog.note(vec![of(1, IN_A)]).await.expect("noted");
    let page = catalog.audit_events(IN_A, query(MAX_AUDIT_PEOPLE)).await.expect("as many as may be");
    assert_eq!(page.items.len(), 1);
}
