//! Campaigns as lists sort and filter them, inside `control.db`: a narrow row beside each stored body.
//!
//! A row is written in the transaction of the entity that it shows, the sender's name with every rename. Filters and
//! counts read rows of the scope's workspaces alone, and bodies only of the page that is given.

use super::control::{Control, Outcome, octets, sql_limit};
use crate::model::{Campaign, CampaignId, Counts, WorkspaceId};
use crate::schedule::starts_at;
use crate::store::listing::{
    Archived, CampaignCursor, CampaignItem, CampaignPage, CampaignQuery, CampaignScope, Direction,
    MAX_SCOPE_WORKSPACES, MAX_SEARCH_CHARS, Place, Search, SortKey, folded,
};
use crate::store::{Entity, Kind, MAX_PAGE, StoreError};
use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params_from_iter};
use uuid::Uuid;

/// Part of `control.db`. Places of statuses and modes are those of their enums. Overviews read two indexes alone: they
/// hold more than they are sorted by.
pub(super) const TABLES: &str = "
    CREATE TABLE campaign_row(
        workspace_id BLOB NOT NULL, id BLOB NOT NULL, status INTEGER NOT NULL, mode INTEGER NOT NULL,
        archived INTEGER NOT NULL, created_by BLOB NOT NULL, sender_id BLOB NOT NULL, sender_name TEXT NOT NULL,
        sender TEXT NOT NULL, start_ms INTEGER NOT NULL, created_ms INTEGER NOT NULL, recipients INTEGER NOT NULL,
        messages INTEGER NOT NULL, PRIMARY KEY(workspace_id, id)) WITHOUT ROWID;
    CREATE INDEX campaign_row_by_sender ON campaign_row(workspace_id, sender, id);
    CREATE INDEX campaign_row_by_start ON campaign_row(workspace_id, start_ms, id);
    CREATE INDEX campaign_row_by_created ON campaign_row(workspace_id, created_ms, id, created_by, messages);
    CREATE INDEX campaign_row_by_status ON campaign_row(
        workspace_id, archived, status, id, recipients, created_by, created_ms);
    CREATE INDEX campaign_row_of_sender ON campaign_row(workspace_id, sender_id);
";

/// In `start_ms`: no start, behind every other in a list.
const NO_START: i64 = i64::MAX;

/// Keeps the rows in step with an entity that was just stored.
pub(super) fn list(transaction: &Transaction<'_>, entity: &Entity) -> rusqlite::Result<()> {
    match entity {
        Entity::Campaign(campaign) => store(transaction, campaign),
        Entity::Sender(sender) => {
            transaction
                .prepare_cached(
                    "UPDATE campaign_row SET sender_name = ?3, sender = ?4
                     WHERE workspace_id = ?1 AND sender_id = ?2 AND sender_name <> ?3",
                )?
                .execute((
                    octets(sender.workspace_id),
                    sender.id.0.as_bytes(),
                    &sender.name,
                    folded(&sender.name),
                ))?;
            Ok(())
        }
        _ => Ok(()),
    }
}

fn store(transaction: &Transaction<'_>, campaign: &Campaign) -> rusqlite::Result<()> {
    let (owner, sender_id) = (octets(campaign.workspace_id), campaign.content.sender_id.0);
    let name: Option<String> = transaction
        .prepare_cached(
            "SELECT json_extract(body, '$.name') FROM entity WHERE kind = ?1 AND id = ?2 AND workspace_id = ?3",
        )?
        .query_row((Kind::Sender.name(), sender_id.as_bytes(), owner), |row| row.get(0))
        .optional()?;
    let name = name.unwrap_or_default();
    let start = starts_at(campaign.mode, &campaign.content.rules.schedule, campaign.filing.started_at);
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO campaign_row(workspace_id, id, status, mode, archived, created_by, sender_id,
                sender_name, sender, start_ms, created_ms, recipients, messages)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?
        .execute((
            owner,
            campaign.id.0.as_bytes(),
            campaign.status as u8,
            campaign.mode as u8,
            campaign.filing.archived_at.is_some(),
            campaign.created_by.0.as_bytes(),
            sender_id.as_bytes(),
            &name,
            folded(&name),
            start.map_or(NO_START, Timestamp::as_millisecond),
            campaign.created_at.as_millisecond(),
            campaign.recipients.cast_signed(),
            campaign.counts.map_or(0, |counts| accepted(&counts)).cast_signed(),
        ))?;
    Ok(())
}

/// Recipients whose message was accepted by the SMSC, or may have been.
const fn accepted(counts: &Counts) -> u64 {
    counts.sent + counts.delivered + counts.undeliverable + counts.unknown
}

impl Control {
    pub(super) fn campaigns(
        &self,
        scope: &CampaignScope,
        query: &CampaignQuery,
    ) -> Result<CampaignPage, StoreError> {
        check(scope, query)?;
        let whole = Condition::workspaces(scope);
        let filter = Condition::filter(scope, query);
        self.look(|connection| {
            let workspace_total = count(connection, &whole)?;
            let filtered_total =
                if filter.clauses == whole.clauses { workspace_total } else { count(connection, &filter)? };
            let page = page(connection, filter, query)?;
            Ok(page.map(|(items, next)| CampaignPage { items, next, workspace_total, filtered_total }))
        })
    }
}

fn check(scope: &CampaignScope, query: &CampaignQuery) -> Result<(), StoreError> {
    check_scope(scope)?;
    if query.after.as_ref().is_some_and(|after| after.place.key() != query.sort.key) {
        return Err(StoreError::Refused("the cursor belongs to a list in another order".to_owned()));
    }
    match &query.search {
        Some(Search::Sender(part)) if part.chars().count() > MAX_SEARCH_CHARS => {
            Err(StoreError::Refused(format!("a search has at most {MAX_SEARCH_CHARS} characters")))
        }
        _ => Ok(()),
    }
}

/// Whether a scope may be asked for.
pub(super) fn check_scope(scope: &CampaignScope) -> Result<(), StoreError> {
    match scope {
        CampaignScope::Workspaces { all, own, .. } if all.len() + own.len() > MAX_SCOPE_WORKSPACES => {
            Err(StoreError::Refused(format!("at most {MAX_SCOPE_WORKSPACES} workspaces in one scope")))
        }
        _ => Ok(()),
    }
}

/// What rows must fulfil, as clauses joined by AND, with their values in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Condition {
    clauses: Vec<&'static str>,
    values: Vec<Value>,
}

impl Condition {
    pub(super) fn and(&mut self, clause: &'static str, values: impl IntoIterator<Item = Value>) {
        self.clauses.push(clause);
        self.values.extend(values);
    }

    /// Every campaign of the scope's workspaces.
    fn workspaces(scope: &CampaignScope) -> Self {
        let mut condition = Self::default();
        match scope {
            CampaignScope::Workspace(workspace) => {
                condition.and("workspace_id = ?", [blob(workspace.0)]);
            }
            CampaignScope::Workspaces { all, own, .. } => {
                let both = all.iter().chain(own);
                condition.and("workspace_id IN (SELECT unhex(value) FROM json_each(?))", [ids(both)]);
            }
            CampaignScope::EveryWorkspace => {}
        }
        condition
    }

    /// What the scope lets be seen.
    pub(super) fn scope(scope: &CampaignScope) -> Self {
        let mut condition = Self::workspaces(scope);
        if let CampaignScope::Workspaces { all, own, user } = scope
            && !own.is_empty()
        {
            condition.and(
                "(created_by = ? OR workspace_id IN (SELECT unhex(value) FROM json_each(?)))",
                [blob(user.0), ids(all)],
            );
        }
        condition
    }

    fn filter(scope: &CampaignScope, query: &CampaignQuery) -> Self {
        let mut filter = Self::scope(scope);
        if query.from.is_some() || query.to.is_some() {
            // Both bounds are given, so that campaigns without a start are left out whatever was asked for.
            let from = query.from.map_or(i64::MIN, first_ms);
            let to = query.to.map_or(NO_START, first_ms);
            filter.and("start_ms >= ? AND start_ms < ?", [Value::Integer(from), Value::Integer(to)]);
        }
        if !query.statuses.is_empty() {
            filter.and("(? >> status) & 1", [places(query.statuses.iter().map(|status| *status as u8))]);
        }
        if !query.modes.is_empty() {
            filter.and("(? >> mode) & 1", [places(query.modes.iter().map(|mode| *mode as u8))]);
        }
        match &query.search {
            Some(Search::Id(id)) => filter.and("id = ?", [blob(id.0)]),
            Some(Search::Sender(part)) => filter.and("instr(sender, ?) > 0", [folded(part).into()]),
            None => {}
        }
        match query.archived {
            Archived::Without => filter.and("archived = 0", []),
            Archived::Only => filter.and("archived = 1", []),
            Archived::Any => {}
        }
        if let Some(user) = query.created_by {
            filter.and("created_by = ?", [blob(user.0)]);
        }
        if query.only_with_sender {
            filter.and("sender_id <> ?", [blob(Uuid::nil())]);
        }
        filter
    }

    /// As a WHERE clause.
    pub(super) fn sql(&self) -> String {
        if self.clauses.is_empty() { "TRUE".to_owned() } else { self.clauses.join(" AND ") }
    }

    /// The values of the clause.
    pub(super) fn values(&self) -> impl rusqlite::Params {
        params_from_iter(self.values.iter())
    }
}

/// The first stored millisecond that is not before an instant.
fn first_ms(at: Timestamp) -> i64 {
    // `as_millisecond` cuts towards 1970: behind it that is down, before it that is up.
    at.as_millisecond() + i64::from(at.subsec_nanosecond() % 1_000_000 > 0)
}

fn blob(id: Uuid) -> Value {
    Value::Blob(id.as_bytes().to_vec())
}

fn ids<'a>(workspaces: impl IntoIterator<Item = &'a WorkspaceId>) -> Value {
    let hex: Vec<String> = workspaces.into_iter().map(|id| id.0.simple().to_string()).collect();
    Value::Text(serde_json::to_string(&hex).expect("a list of strings is JSON"))
}

/// A bit for each place.
fn places(of: impl Iterator<Item = u8>) -> Value {
    Value::Integer(of.fold(0, |bits, place| bits | 1 << place))
}

fn count(connection: &Connection, condition: &Condition) -> rusqlite::Result<u64> {
    let count: i64 =
        connection.prepare_cached(&count_of(condition))?.query_row(condition.values(), |row| row.get(0))?;
    Ok(count.cast_unsigned())
}

fn count_of(condition: &Condition) -> String {
    format!("SELECT count(*) FROM campaign_row WHERE {}", condition.sql())
}

type Items = (Vec<CampaignItem>, Option<CampaignCursor>);

fn page(connection: &Connection, mut condition: Condition, query: &CampaignQuery) -> Outcome<Items> {
    continue_behind(&mut condition, query);
    let limit = query.limit.clamp(1, MAX_PAGE);
    let select = select(&condition, query);
    let mut statement = connection.prepare_cached(&select)?;
    condition.values.push(Value::Integer(sql_limit(limit + 1)));
    let rows: Vec<Listed> =
        statement.query_map(condition.values(), listed)?.collect::<rusqlite::Result<_>>()?;
    let mut bodies = connection.prepare_cached("SELECT body FROM entity WHERE kind = ?1 AND id = ?2")?;
    let mut items = Vec::with_capacity(rows.len().min(limit));
    for row in rows.iter().take(limit) {
        let body: String =
            bodies.query_row((Kind::Campaign.name(), row.id.as_bytes()), |body| body.get(0))?;
        match Kind::Campaign.read(&body) {
            Ok(Entity::Campaign(campaign)) => items.push(row.item(*campaign)),
            other => {
                return Ok(Err(StoreError::Unusable(format!("a stored campaign cannot be read: {other:?}"))));
            }
        }
    }
    let last = rows.get(limit - 1).filter(|_| rows.len() > limit);
    Ok(Ok((items, last.map(|row| row.cursor(query.sort.key)))))
}

fn continue_behind(condition: &mut Condition, query: &CampaignQuery) {
    let Some(CampaignCursor { place, id }) = &query.after else { return };
    let value = match place {
        Place::Sender(name) => Value::Text(name.clone()),
        Place::Start(ms) | Place::Created(ms) => Value::Integer(*ms),
    };
    condition.and(behind(query), [value, blob(id.0)]);
}

fn behind(query: &CampaignQuery) -> &'static str {
    match (query.sort.key, query.sort.direction) {
        (SortKey::Sender, Direction::Ascending) => "(sender, id) > (?, ?)",
        (SortKey::Sender, Direction::Descending) => "(sender, id) < (?, ?)",
        (SortKey::Start, Direction::Ascending) => "(start_ms, id) > (?, ?)",
        (SortKey::Start, Direction::Descending) => "(start_ms, id) < (?, ?)",
        (SortKey::Created, Direction::Ascending) => "(created_ms, id) > (?, ?)",
        (SortKey::Created, Direction::Descending) => "(created_ms, id) < (?, ?)",
    }
}

fn select(condition: &Condition, query: &CampaignQuery) -> String {
    let column = match query.sort.key {
        SortKey::Sender => "sender",
        SortKey::Start => "start_ms",
        SortKey::Created => "created_ms",
    };
    let direction = match query.sort.direction {
        Direction::Ascending => "ASC",
        Direction::Descending => "DESC",
    };
    format!(
        "SELECT id, sender_name, sender, start_ms, created_ms FROM campaign_row WHERE {}
         ORDER BY {column} {direction}, id {direction} LIMIT ?",
        condition.sql()
    )
}

/// What a list knows of a campaign without its body.
struct Listed {
    id: Uuid,
    sender_name: String,
    sender: String,
    start_ms: i64,
    created_ms: i64,
}

impl Listed {
    fn item(&self, campaign: Campaign) -> CampaignItem {
        let starts_at = Some(self.start_ms).filter(|ms| *ms != NO_START);
        CampaignItem {
            campaign,
            sender_name: self.sender_name.clone(),
            starts_at: starts_at.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
        }
    }

    fn cursor(&self, key: SortKey) -> CampaignCursor {
        let place = match key {
            SortKey::Sender => Place::Sender(self.sender.clone()),
            SortKey::Start => Place::Start(self.start_ms),
            SortKey::Created => Place::Created(self.created_ms),
        };
        CampaignCursor { place, id: CampaignId(self.id) }
    }
}

fn listed(row: &Row<'_>) -> rusqlite::Result<Listed> {
    Ok(Listed {
        id: Uuid::from_bytes(row.get(0)?),
        sender_name: row.get(1)?,
        sender: row.get(2)?,
        start_ms: row.get(3)?,
        created_ms: row.get(4)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SqliteStore;
    use crate::store::listing::Sort;
    use rusqlite::StatementStatus;
    use tempfile::TempDir;

    const BUSY: WorkspaceId = WorkspaceId(Uuid::from_u128(0xb));
    const CAMPAIGNS: u32 = 5_000;

    /// Rows as they are stored: so many of one workspace, and of so many others a hundred each.
    fn fill(store: &SqliteStore, campaigns: u32, others: u32) {
        let insert = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?2)
            INSERT INTO campaign_row(workspace_id, id, status, mode, archived, created_by, sender_id, sender_name,
                sender, start_ms, created_ms, recipients, messages)
            SELECT ?1, CAST(printf('%016d', n * 7919 % 1000003) AS BLOB), n % 9, n % 4, n % 10 = 0, zeroblob(16), zeroblob(16), 'Shop', 'shop' || n % 20,
                n * 7919 % 5000, n, 10, 10 FROM n";
        let filled = store.control.write(|transaction| {
            transaction.execute(insert, (octets(BUSY), campaigns))?;
            for other in 0..others {
                let id = Uuid::from_u128(u128::from(other) << 64);
                transaction.execute(insert, (id.as_bytes(), 100))?;
            }
            Ok(Ok(()))
        });
        filled.expect("stored");
    }

    fn queries() -> Vec<CampaignQuery> {
        let mut queries = Vec::new();
        for key in [SortKey::Sender, SortKey::Start, SortKey::Created] {
            for direction in [Direction::Ascending, Direction::Descending] {
                let first = CampaignQuery { sort: Sort { key, direction }, ..CampaignQuery::default() };
                let place = match key {
                    SortKey::Sender => Place::Sender("shop7".to_owned()),
                    SortKey::Start => Place::Start(2_500),
                    SortKey::Created => Place::Created(2_500),
                };
                let after = Some(CampaignCursor { place, id: CampaignId(Uuid::nil()) });
                queries.extend([CampaignQuery { after, ..first.clone() }, first]);
            }
        }
        queries
    }

    /// Of each statement that a list runs: its plan, and the steps of the virtual machine.
    fn costs(store: &SqliteStore, query: &CampaignQuery) -> Vec<(String, i32)> {
        let scope = CampaignScope::Workspace(BUSY);
        let whole = Condition::workspaces(&scope);
        let filter = Condition::filter(&scope, query);
        let mut paged = filter.clone();
        continue_behind(&mut paged, query);
        let select = select(&paged, query);
        paged.values.push(Value::Integer(51));
        let statements = [(count_of(&whole), whole), (count_of(&filter), filter), (select, paged)];
        let costs = store.control.look(|connection| {
            let cost = |(sql, condition): &(String, Condition)| {
                let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                let plan = explained.query_map(condition.values(), |row| row.get::<_, String>(3))?;
                let plan: Vec<String> = plan.collect::<rusqlite::Result<_>>()?;
                let mut statement = connection.prepare(sql)?;
                statement.query_map(condition.values(), |_| Ok(()))?.for_each(drop);
                Ok((plan.join("; "), statement.get_status(StatementStatus::VmStep)))
            };
            statements.iter().map(cost).collect::<rusqlite::Result<_>>().map(Ok)
        });
        costs.expect("explained")
    }

    #[test]
    fn a_list_of_one_workspace_reads_no_row_of_another_and_sorts_nothing() {
        let (alone, among) = (TempDir::new().expect("a directory"), TempDir::new().expect("a directory"));
        let alone = SqliteStore::open(alone.path()).expect("opens");
        let among = SqliteStore::open(among.path()).expect("opens");
        fill(&alone, CAMPAIGNS, 0);
        fill(&among, CAMPAIGNS, 100);
        for query in queries() {
            let (few, many) = (costs(&alone, &query), costs(&among, &query));
            for ((plan, steps), (_, steps_among)) in many.iter().zip(&few) {
                let is_indexed = plan.contains("SEARCH") && plan.contains("workspace_id=?");
                assert!(is_indexed && !plan.contains("SCAN") && !plan.contains("TEMP"), "{plan}");
                // The end of the table costs another step than the beginning of the next workspace.
                assert!(steps.abs_diff(*steps_among) <= 2, "{steps} {steps_among} {plan}");
            }
            // Skipping archived ones, a page of fifty ends some sixty rows behind its beginning.
            let (plan, steps) = &many[2];
            assert!(*steps < 5_000, "{steps} steps for a page: {plan}");
        }
    }
}
