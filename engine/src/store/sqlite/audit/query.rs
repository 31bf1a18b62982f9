//! Filtered pages of a log: a few strands of events, each in the order of an index, looked through and put together.
//!
//! A strand is all events of one account, action or entity, or of the whole log. The most telling wish of a query
//! chooses the strands, the other wishes are compared with each event on the way. A call looks through at most
//! [`MOST_LOOKED`] events; what it has not reached is left to the next page.

use super::{EVENT, event, log_of};
use crate::model::{AuditEvent, EntityId, UserId};
use crate::store::sqlite::control::{Control, Outcome, owner};
use crate::store::{AuditPage, AuditPlace, AuditQuery, MAX_AUDIT_PEOPLE, MAX_PAGE, Scope, StoreError};
use rusqlite::types::Value;
use rusqlite::{Connection, Row};
use std::collections::BTreeSet;

/// Events that one call looks through in all its strands together: some 20 ms.
const MOST_LOOKED: usize = 16_384;

/// Actions that a prefix may stand for before the whole log is looked through instead.
const MOST_ACTIONS: usize = 64;

/// One order of events that an index gives.
struct Strand {
    /// The index and the column that has `value`; no column for the whole log.
    index: &'static str,
    column: Option<&'static str>,
    value: Value,
}

impl Strand {
    fn actor(user: UserId) -> Self {
        Self { index: "audit_by_actor", column: Some("actor"), value: user.to_string().into() }
    }

    fn subject(user: UserId) -> Self {
        Self { index: "audit_by_subject", column: Some("subject"), value: user.0.as_bytes().to_vec().into() }
    }

    fn entity(entity: EntityId) -> Self {
        Self {
            index: "audit_by_entity",
            column: Some("entity_id"),
            value: entity.0.as_bytes().to_vec().into(),
        }
    }

    fn action(action: String) -> Self {
        Self { index: "audit_by_action", column: Some("action"), value: action.into() }
    }

    /// Every event of the log in order of time.
    const fn whole() -> Self {
        Self { index: "audit_by_time", column: None, value: Value::Null }
    }

    /// Places and what filters compare, newest first. A place of -1 is before all, `i64::MAX` behind all.
    fn select(&self) -> String {
        let of = self.column.map_or("?2 IS NULL".to_owned(), |column| format!("{column} = ?2"));
        let index = self.index;
        format!(
            "SELECT at_ms, seq, action, entity_kind, entity_id, actor, subject FROM audit INDEXED BY {index}
             WHERE log = ?1 AND {of} AND at_ms >= ?3 AND (at_ms, seq) < (?4, ?5)
             ORDER BY at_ms DESC, seq DESC LIMIT ?6"
        )
    }
}

/// What an event is compared with.
struct Wishes<'a> {
    query: &'a AuditQuery,
    actor: Option<String>,
    entities: Option<BTreeSet<[u8; 16]>>,
    people: Option<BTreeSet<String>>,
    subjects: BTreeSet<[u8; 16]>,
}

impl<'a> Wishes<'a> {
    fn new(query: &'a AuditQuery) -> Self {
        let people = query.people.as_deref();
        let entities = query.entities.as_deref();
        Self {
            query,
            entities: entities.map(|entities| entities.iter().map(|id| *id.0.as_bytes()).collect()),
            actor: query.actor.map(|user| user.to_string()),
            people: people.map(|people| people.iter().map(ToString::to_string).collect()),
            subjects: people.unwrap_or_default().iter().map(|user| *user.0.as_bytes()).collect(),
        }
    }

    fn hold(&self, row: &Row<'_>) -> rusqlite::Result<bool> {
        let query = self.query;
        if let Some(wanted) = &query.action
            && !is_action(row.get_ref(2)?.as_str()?, wanted)
        {
            return Ok(false);
        }
        if query.entity_kind.is_some() && query.entity_kind.as_deref() != Some(row.get_ref(3)?.as_str()?) {
            return Ok(false);
        }
        let entity: [u8; 16] = row.get(4)?;
        if self.entities.as_ref().is_some_and(|entities| !entities.contains(&entity)) {
            return Ok(false);
        }
        let actor = row.get_ref(5)?.as_str_or_null()?;
        if self.actor.is_some() && self.actor.as_deref() != actor {
            return Ok(false);
        }
        let Some(people) = &self.people else { return Ok(true) };
        let subject: Option<[u8; 16]> = row.get(6)?;
        Ok(actor.is_some_and(|actor| people.contains(actor))
            || subject.is_some_and(|subject| self.subjects.contains(&subject)))
    }
}

fn is_action(action: &str, wanted: &str) -> bool {
    action == wanted || wanted.ends_with('.') && action.starts_with(wanted)
}

/// What was found, and how far the search came.
struct Found {
    places: BTreeSet<AuditPlace>,
    /// The newest place behind which a strand was not looked through.
    reached: Option<AuditPlace>,
}

impl Control {
    pub(in crate::store::sqlite) fn audit_events(
        &self,
        scope: Scope,
        query: &AuditQuery,
    ) -> Result<AuditPage, StoreError> {
        let (people, entities) = (query.people.as_ref().map(Vec::len), query.entities.as_ref().map(Vec::len));
        if people.max(entities) > Some(MAX_AUDIT_PEOPLE) {
            let told = format!("a query names at most {MAX_AUDIT_PEOPLE} accounts and as many entities");
            return Err(StoreError::Refused(told));
        }
        let owner = owner(scope);
        self.read(|connection| page(connection, log_of(&owner), query))
    }
}

fn page(connection: &Connection, log: &[u8], query: &AuditQuery) -> Outcome<AuditPage> {
    let limit = query.limit.clamp(1, MAX_PAGE);
    let found = look(connection, log, query, limit)?;
    let reached = found.reached;
    let mut places: Vec<AuditPlace> = found.places.into_iter().rev().collect();
    // What is older than the place reached may have others before it that were not seen.
    places.retain(|place| reached.is_none_or(|reached| *place >= reached));
    let next = if places.len() > limit { places.get(limit - 1).copied() } else { reached };
    places.truncate(limit);
    let mut statement =
        connection.prepare_cached(&format!("SELECT {EVENT} FROM audit WHERE log = ?1 AND seq = ?2"))?;
    let mut items: Vec<AuditEvent> = Vec::with_capacity(places.len());
    for place in places {
        match statement.query_row((log, place.seq.cast_signed()), event)? {
            Ok(event) => items.push(event),
            Err(unreadable) => return Ok(Err(unreadable)),
        }
    }
    Ok(Ok(AuditPage { items, next }))
}

/// Looks through every strand for up to one event more than are wanted.
fn look(connection: &Connection, log: &[u8], query: &AuditQuery, limit: usize) -> rusqlite::Result<Found> {
    let wishes = Wishes::new(query);
    let strands = strands(connection, log, query)?;
    let each = MOST_LOOKED / strands.len().max(1);
    let mut found = Found { places: BTreeSet::new(), reached: None };
    for strand in &strands {
        let reached = follow(connection, log, strand, (&wishes, each, limit + 1), &mut found.places)?;
        found.reached = found.reached.max(reached);
    }
    Ok(found)
}

/// Follows one strand for `each` events or until it has `enough`; gives the last place when there may be more.
fn follow(
    connection: &Connection,
    log: &[u8],
    strand: &Strand,
    (wishes, each, enough): (&Wishes<'_>, usize, usize),
    places: &mut BTreeSet<AuditPlace>,
) -> rusqlite::Result<Option<AuditPlace>> {
    let query = wishes.query;
    let from = query.from.map_or(i64::MIN, ceil_ms);
    let to = query.to.map_or((i64::MAX, i64::MAX), |to| (ceil_ms(to), i64::MIN));
    let before = query.before.map_or((i64::MAX, i64::MAX), |at| (at.at_ms, at.seq.cast_signed()));
    let (at_ms, seq) = to.min(before);
    let mut statement = connection.prepare_cached(&strand.select())?;
    let rows_wanted = i64::try_from(each).expect("a bounded number of events");
    let mut rows = statement.query((log, &strand.value, from, at_ms, seq, rows_wanted))?;
    let (mut looked, mut taken) = (0, 0);
    while let Some(row) = rows.next()? {
        looked += 1;
        let place = AuditPlace { at_ms: row.get(0)?, seq: row.get::<_, i64>(1)?.cast_unsigned() };
        if wishes.hold(row)? {
            places.insert(place);
            taken += 1;
        }
        if taken == enough || looked == each {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

/// The first millisecond that is not before `at`.
fn ceil_ms(at: jiff::Timestamp) -> i64 {
    let floor = at.as_millisecond();
    let is_whole = jiff::Timestamp::from_millisecond(floor).is_ok_and(|whole| whole >= at);
    if is_whole { floor } else { floor + 1 }
}

/// The strands that together hold everything that is wanted, chosen by what leaves the fewest events.
fn strands(connection: &Connection, log: &[u8], query: &AuditQuery) -> rusqlite::Result<Vec<Strand>> {
    if let Some(entities) = &query.entities {
        return Ok(entities.iter().map(|entity| Strand::entity(*entity)).collect());
    }
    if let Some(actor) = query.actor {
        return Ok(vec![Strand::actor(actor)]);
    }
    if let Some(people) = &query.people {
        let of = people.iter().flat_map(|user| [Strand::actor(*user), Strand::subject(*user)]);
        return Ok(of.collect());
    }
    let Some(action) = &query.action else { return Ok(vec![Strand::whole()]) };
    if !action.ends_with('.') {
        return Ok(vec![Strand::action(action.clone())]);
    }
    Ok(match actions(connection, log, action)? {
        actions if actions.len() > MOST_ACTIONS => vec![Strand::whole()],
        actions => actions.into_iter().map(Strand::action).collect(),
    })
}

/// The actions of a log that begin with `prefix`, at most one more than [`MOST_ACTIONS`]; one step of the index each.
fn actions(connection: &Connection, log: &[u8], prefix: &str) -> rusqlite::Result<Vec<String>> {
    let mut next =
        connection.prepare_cached("SELECT min(action) FROM audit WHERE log = ?1 AND action > ?2")?;
    let mut actions: Vec<String> = Vec::new();
    while actions.len() <= MOST_ACTIONS {
        let last = actions.last().map_or(prefix, String::as_str);
        match next.query_row((log, last), |row| row.get::<_, Option<String>>(0))? {
            Some(action) if action.starts_with(prefix) => actions.push(action),
            _ => break,
        }
    }
    Ok(actions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SqliteStore;
    use rusqlite::StatementStatus;
    use uuid::Uuid;

    const ROWS: i64 = 200_000;

    /// A large log, written past the chain: only its indexes matter here.
    fn large_log() -> (tempfile::TempDir, Connection) {
        let directory = tempfile::TempDir::new().expect("a temporary directory");
        drop(SqliteStore::open(directory.path()).expect("the store opens"));
        let connection = Connection::open(directory.path().join("control.db")).expect("an SQLite file");
        connection
            .execute_batch(&format!(
                "PRAGMA synchronous=OFF;
                 WITH RECURSIVE n(n) AS (VALUES(1) UNION ALL SELECT n + 1 FROM n WHERE n < {ROWS})
                 INSERT INTO audit(log, seq, at_ms, action, entity_kind, entity_id, subject, hash, by, before, after)
                 SELECT x'', n, n * 1000, iif(n % 3 = 0, 'campaign.pause', 'login.a' || (n % 7)), 'user',
                    unhex(printf('%032x', n % 500)), iif(n % 5 = 0, unhex(printf('%032x', n % 50)), NULL), zeroblob(32),
                    json_object('user_id', printf('00000000-0000-0000-0000-%012x', n % 1000), 'role', 'Admin',
                    'address', NULL, 'user_agent', NULL, 'request_id', NULL), 'null', printf('%.500c', 'x')
                 FROM n;"
            ))
            .expect("filled");
        (directory, connection)
    }

    #[test]
    fn a_page_of_a_large_log_costs_no_more_than_one_of_a_small_log() {
        let (_directory, connection) = large_log();
        every_strand_is_read_through_its_index(&connection);
        a_page_looks_through_hardly_more_than_it_gives(&connection);
        a_search_in_vain_ends_after_its_share(&connection);
    }

    fn every_strand_is_read_through_its_index(connection: &Connection) {
        for (strand, index) in [
            (Strand::whole(), "audit_by_time"),
            (Strand::actor(UserId(Uuid::from_u128(7))), "audit_by_actor"),
            (Strand::subject(UserId(Uuid::from_u128(5))), "audit_by_subject"),
            (Strand::action("campaign.pause".to_owned()), "audit_by_action"),
            (Strand::entity(EntityId(Uuid::from_u128(5))), "audit_by_entity"),
        ] {
            let select = strand.select();
            let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {select}")).expect("sound");
            let values = (b"".as_slice(), &strand.value, 5_000, 150_000_000_i64, 150_000_i64, 51);
            let plan = explained.query_map(values, |row| row.get::<_, String>(3)).expect("explained");
            let plan: String = plan.collect::<Result<Vec<_>, _>>().expect("lines").concat();
            assert!(plan.contains(index) && !plan.contains("TEMP"), "{plan}");
            let mut statement = connection.prepare(&select).expect("sound");
            let rows = statement.query_map(values, |row| row.get::<_, i64>(1)).expect("read");
            let seqs: Vec<i64> = rows.collect::<Result<_, _>>().expect("rows");
            assert_eq!(seqs.len(), 51);
            assert!(seqs.is_sorted_by(|one, other| one > other) && seqs[0] < 150_000, "{seqs:?}");
            let steps = statement.get_status(StatementStatus::VmStep);
            assert!(steps < 51 * 50, "{steps} steps through {index}");
        }
    }

    fn a_page_looks_through_hardly_more_than_it_gives(connection: &Connection) {
        let everything = AuditQuery { limit: 50, ..AuditQuery::default() };
        let (user, entity) = (|n| UserId(Uuid::from_u128(n)), |n| EntityId(Uuid::from_u128(n)));
        let people = Some((0..MAX_AUDIT_PEOPLE as u128).map(user).collect());
        let action = |action: &str| Some(action.to_owned());
        for (query, strands_wanted) in [
            (everything.clone(), 1),
            (AuditQuery { actor: Some(user(7)), ..everything.clone() }, 1),
            (AuditQuery { entities: Some(vec![entity(9)]), ..everything.clone() }, 1),
            (AuditQuery { entities: Some(vec![entity(9), entity(8)]), ..everything.clone() }, 2),
            (AuditQuery { action: action("login."), ..everything.clone() }, 7),
            (AuditQuery { action: action("campaign.pause"), ..everything.clone() }, 1),
            (AuditQuery { people, ..everything }, 2 * MAX_AUDIT_PEOPLE),
        ] {
            let strands = strands(connection, b"", &query).expect("read");
            assert_eq!(strands.len(), strands_wanted);
            let found = look(connection, b"", &query, 50).expect("read");
            assert!((51..=51 * strands.len()).contains(&found.places.len()), "{}", found.places.len());
        }
    }

    fn a_search_in_vain_ends_after_its_share(connection: &Connection) {
        let rare = AuditQuery { entity_kind: Some("export".to_owned()), limit: 50, ..AuditQuery::default() };
        let found = look(connection, b"", &rare, 50).expect("read");
        let seq = (ROWS - i64::try_from(MOST_LOOKED).expect("small") + 1).cast_unsigned();
        let reached = AuditPlace { at_ms: seq.cast_signed() * 1000, seq };
        assert_eq!((found.places.len(), found.reached), (0, Some(reached)));
    }
}
