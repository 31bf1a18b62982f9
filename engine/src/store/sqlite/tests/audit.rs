//! Somebody with the database in hand: whatever is changed behind the store's back is found, with its place.

use super::super::SqliteStore;
use super::directory;
use crate::model::WorkspaceId;
use crate::store::contract::audit::{expire, fill, note, second};
use crate::store::{AUDIT_SEGMENT, AuditBreak, Catalog, Note, Scope};
use rusqlite::Connection;
use tempfile::TempDir;
use uuid::Uuid;

const OWNER: WorkspaceId = WorkspaceId(Uuid::from_u128(0xa));
const LOG: Scope = Scope::Workspace(OWNER);
/// Events of the log: more than are read at a time.
const EVENTS: u32 = 1_200;

/// Lets raw SQL do what the triggers refuse.
fn without_triggers(connection: &Connection) {
    let mut names = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name LIKE 'audit%'")
        .expect("readable");
    let names: Vec<String> =
        names.query_map([], |row| row.get(0)).expect("readable").collect::<Result<_, _>>().expect("names");
    assert!(names.len() >= 4, "{names:?}");
    for name in names {
        connection.execute_batch(&format!("DROP TRIGGER {name}")).expect("dropped");
    }
}

async fn filled() -> (TempDir, SqliteStore) {
    let directory = directory();
    let store = SqliteStore::open(directory.path()).expect("the store opens");
    let notes: Vec<Note> = (1..=EVENTS).map(|n| note(n, LOG)).collect();
    for batch in notes.chunks(200) {
        store.note(batch.to_vec()).await.expect("noted");
    }
    store.note(vec![note(EVENTS + 1, Scope::Platform)]).await.expect("noted");
    (directory, store)
}

/// What a check finds after `tampering`; the other log is sound.
async fn found_after(tampering: &str) -> Option<AuditBreak> {
    let (directory, store) = filled().await;
    let connection = Connection::open(directory.path().join("control.db")).expect("an SQLite file");
    without_triggers(&connection);
    connection.execute_batch(tampering).expect("done behind the store's back");
    assert_eq!(store.audit_verify(Scope::Platform).await.expect("readable").broken, None);
    assert!(store.audit_logs(None).await.expect("readable").contains(&LOG));
    store.audit_verify(LOG).await.expect("readable").broken
}

#[tokio::test]
async fn whatever_is_changed_behind_the_stores_back_is_found_at_its_place() {
    let copy =
        "INSERT INTO audit(log, seq, at_ms, action, entity_kind, entity_id, subject, note_id, hash, by,
        before, after) SELECT log, {}, at_ms, action, entity_kind, entity_id, subject, NULL, hash, by, before,
        after FROM audit WHERE seq = 1199 AND log <> x''";
    let insert = |seq: &str| copy.replace("{}", seq);
    for (what, tampering, seq) in [
        ("nothing", String::new(), None),
        (
            "an edit",
            "UPDATE audit SET after = '{\"n\":0}' WHERE seq = 700 AND log <> x''".to_owned(),
            Some(700),
        ),
        (
            "a field of another type",
            "UPDATE audit SET at_ms = 'x' WHERE seq = 9 AND log <> x''".to_owned(),
            Some(9),
        ),
        (
            "a moved subject",
            "UPDATE audit SET subject = entity_id WHERE seq = 3 AND log <> x''".to_owned(),
            Some(3),
        ),
        ("another note", "UPDATE audit SET note_id = x'00' WHERE seq = 3 AND log <> x''".to_owned(), Some(3)),
        ("a new hash", "UPDATE audit SET hash = zeroblob(32) WHERE seq = 1200".to_owned(), Some(1200)),
        ("the first one gone", "DELETE FROM audit WHERE seq = 1 AND log <> x''".to_owned(), Some(1)),
        ("one gone", "DELETE FROM audit WHERE seq = 512".to_owned(), Some(512)),
        ("the last one gone", "DELETE FROM audit WHERE seq = 1200".to_owned(), Some(1200)),
        ("all gone", "DELETE FROM audit WHERE log <> x''".to_owned(), Some(1)),
        (
            "two swapped",
            "UPDATE audit SET seq = -600 WHERE seq = 600; UPDATE audit SET seq = 600 WHERE seq = 601;
             UPDATE audit SET seq = 601 WHERE seq = -600;"
                .to_owned(),
            Some(600),
        ),
        ("one put behind the end", insert("1201"), Some(1201)),
        ("one put before the first", insert("0"), Some(1)),
        (
            "one put in between",
            format!(
                "UPDATE audit SET seq = -seq - 1 WHERE seq > 800; UPDATE audit SET seq = -seq WHERE seq < 0; {}",
                insert("801")
            ),
            Some(801),
        ),
        ("the head gone", "DELETE FROM audit_head WHERE log <> x''".to_owned(), Some(1)),
        (
            "the end and the head cut",
            "DELETE FROM audit WHERE seq = 1200; UPDATE audit_head SET seq = 1199 WHERE log <> x''"
                .to_owned(),
            Some(1199),
        ),
    ] {
        let found = found_after(&tampering).await;
        assert_eq!(found.as_ref().map(|found| found.seq), seq, "{what}: {found:?}");
        assert!(found.is_none_or(|found| !found.why.is_empty()));
    }
}

#[tokio::test]
async fn an_event_put_behind_the_end_with_a_fitting_hash_is_found_by_the_head() {
    let (directory, store) = filled().await;
    drop(store);
    let connection = Connection::open(directory.path().join("control.db")).expect("an SQLite file");
    connection.execute_batch("CREATE TABLE kept AS SELECT * FROM audit_head").expect("kept");
    drop(connection);
    let store = SqliteStore::open(directory.path()).expect("the store opens");
    store.note(vec![note(EVENTS + 2, LOG)]).await.expect("a well-made event");
    let connection = Connection::open(directory.path().join("control.db")).expect("an SQLite file");
    without_triggers(&connection);
    let back =
        "UPDATE audit_head SET (seq, hash) = (SELECT seq, hash FROM kept WHERE kept.log = audit_head.log)";
    connection.execute_batch(back).expect("the head is as it was");
    let found = store.audit_verify(LOG).await.expect("readable").broken.expect("found");
    assert_eq!(found.seq, u64::from(EVENTS) + 1, "{found:?}");
}

/// What a check finds in a log of which two segments have expired, after `tampering`.
async fn found_behind_an_anchor(tampering: &str) -> Option<AuditBreak> {
    let segment = u32::try_from(AUDIT_SEGMENT).expect("small");
    let directory = directory();
    let store = SqliteStore::open(directory.path()).expect("the store opens");
    fill(&store, LOG, 1, segment * 3).await;
    for n in [1, 2] {
        assert_eq!(expire(&store, second(segment * n + 1)).await, AUDIT_SEGMENT);
    }
    let connection = Connection::open(directory.path().join("control.db")).expect("an SQLite file");
    without_triggers(&connection);
    connection.execute_batch(tampering).expect("done behind the store's back");
    store.audit_verify(LOG).await.expect("readable").broken
}

#[tokio::test]
async fn a_made_up_expiry_is_found_by_its_missing_event() {
    let third =
        "INSERT INTO audit_anchor SELECT log, 2049, 3072, hash, at_ms, {} FROM audit WHERE seq = 3072;
        DELETE FROM audit WHERE seq <= 3072;";
    for (what, tampering, seq) in [
        ("nothing", String::new(), None),
        ("rows gone without an anchor", "DELETE FROM audit WHERE seq < 2060".to_owned(), Some(2049)),
        ("an anchor that no event records", third.replace("{}", "3075"), Some(2049)),
        ("an anchor that another's event records", third.replace("{}", "3074"), Some(2049)),
        (
            "an anchor with another hash",
            "UPDATE audit_anchor SET last_hash = zeroblob(32) WHERE last_seq = 2048".to_owned(),
            Some(2049),
        ),
        (
            "an old anchor with another hash",
            "UPDATE audit_anchor SET last_hash = zeroblob(32) WHERE last_seq = 1024".to_owned(),
            Some(1),
        ),
        ("an anchor gone", "DELETE FROM audit_anchor WHERE last_seq = 1024".to_owned(), Some(1)),
        ("all anchors gone", "DELETE FROM audit_anchor".to_owned(), Some(1)),
        (
            "an expired event that is back",
            "UPDATE audit SET seq = 2000 WHERE seq = 2049".to_owned(),
            Some(2049),
        ),
    ] {
        let found = found_behind_an_anchor(&tampering).await;
        assert_eq!(found.as_ref().map(|found| found.seq), seq, "{what}: {found:?}");
    }
}

#[tokio::test]
async fn nothing_but_an_expiry_makes_or_changes_an_anchor() {
    let segment = u32::try_from(AUDIT_SEGMENT).expect("small");
    let directory = directory();
    let store = SqliteStore::open(directory.path()).expect("the store opens");
    fill(&store, LOG, 1, segment * 2).await;
    expire(&store, second(segment + 1)).await;
    let connection = Connection::open(directory.path().join("control.db")).expect("an SQLite file");
    let anchor = |first: u32, recorded: u32| {
        format!(
            "INSERT INTO audit_anchor SELECT log, {first}, 2048, hash, at_ms, {recorded} FROM audit WHERE seq = 2048"
        )
    };
    for statement in [
        "UPDATE audit_anchor SET last_seq = 2048".to_owned(),
        "DELETE FROM audit_anchor".to_owned(),
        "DELETE FROM audit WHERE seq = 1025".to_owned(),
        anchor(1025, 2048),
        anchor(1026, 2049),
        anchor(1, 2049),
    ] {
        let refused = connection.execute(&statement, []).expect_err("only an expiry may");
        assert!(refused.to_string().contains("audit log"), "{refused}");
    }
    assert_eq!(store.audit_verify(LOG).await.expect("readable").broken, None);
}
