//! Recipient lists that nobody owns: what is left when the process ends between the last octet of a list and the record
//! of the draft or campaign that it is for. They hold numbers of people, so a start removes them, before any number is
//! erased: whoever erases knows lists by their owners.
//!
//! Invariant: a list goes only when it is of an earlier run and neither an open draft nor a campaign names it. The name
//! of such a list can only pass from a draft to its campaign, in one transaction: drafts are read first. Exports name
//! campaigns, not lists.

use engine::model::{CampaignNo, DraftStatus};
use engine::store::{Catalog, Entity, Journal, Kind, MAX_PAGE, Query, Scope, StoreError};
use std::collections::BTreeSet;

/// What became of lists that nobody owned.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    /// How many went.
    pub(crate) removed: u64,
    /// Those that could not be removed; each was logged.
    pub(crate) left: Vec<CampaignNo>,
}

/// Removes every list that nobody owns; `first` is a number that this run was given before it wrote any list. Beside a
/// running server: it lets others work behind every list.
///
/// # Errors
/// The store's, when lists or their owners cannot be read.
pub(crate) async fn sweep(
    catalog: &dyn Catalog,
    journal: &dyn Journal,
    first: CampaignNo,
) -> Result<Swept, StoreError> {
    let drafted = drafted(catalog).await?;
    let (mut swept, mut after) = (Swept::default(), CampaignNo(0));
    loop {
        let page = journal.lists(after).await?;
        let Some(last) = page.last().copied() else { return Ok(swept) };
        for no in page {
            if no >= first {
                return Ok(swept);
            }
            remove_unowned((catalog, journal), (no, &drafted), &mut swept).await?;
        }
        after = last;
    }
}

/// Removes those of these lists that nobody owns; they were on their way to no owner any more.
///
/// # Errors
/// The store's, when owners cannot be read.
pub(crate) async fn remove(
    catalog: &dyn Catalog,
    journal: &dyn Journal,
    nos: &[CampaignNo],
) -> Result<Swept, StoreError> {
    let drafted = drafted(catalog).await?;
    let mut swept = Swept::default();
    for no in nos {
        remove_unowned((catalog, journal), (*no, &drafted), &mut swept).await?;
    }
    Ok(swept)
}

/// One that cannot be removed does not keep others from it.
async fn remove_unowned(
    (catalog, journal): (&dyn Catalog, &dyn Journal),
    (no, drafted): (CampaignNo, &BTreeSet<CampaignNo>),
    swept: &mut Swept,
) -> Result<(), StoreError> {
    if !drafted.contains(&no) && !has_campaign(catalog, no).await? {
        match journal.remove(no).await {
            Ok(()) => swept.removed += 1,
            Err(error) => {
                tracing::warn!(campaign = no.0, %error, "a recipient list that nobody owns stays for now");
                swept.left.push(no);
            }
        }
    }
    tokio::task::yield_now().await;
    Ok(())
}

async fn has_campaign(catalog: &dyn Catalog, no: CampaignNo) -> Result<bool, StoreError> {
    match catalog.find(Scope::Platform, Kind::Campaign, no.0.to_string()).await {
        Ok(_) => Ok(true),
        Err(StoreError::NotFound) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The lists of all open drafts.
async fn drafted(catalog: &dyn Catalog) -> Result<BTreeSet<CampaignNo>, StoreError> {
    let (mut found, mut after) = (BTreeSet::new(), None);
    loop {
        let statuses = vec![format!("{:?}", DraftStatus::Open)];
        let query = Query { kind: Kind::Draft, statuses, parent: None, after, limit: MAX_PAGE };
        let page = catalog.list(Scope::Platform, query).await?;
        found.extend(page.items.iter().filter_map(|entity| match entity {
            Entity::Draft(draft) => Some(draft.no),
            _ => None,
        }));
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(found),
        }
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use engine::intake::CHUNK_RECIPIENTS;
    use engine::model::{
        CampaignId, DeliveryPolicy, Draft, Mode, Principal, SendingRules, UserId, WorkspaceId,
    };
    use engine::seed::{CampaignSeed, Seed};
    use engine::store::{Change, Expect, SqliteStore};
    use jiff::Timestamp;
    use std::path::Path;
    use uuid::Uuid;

    /// A list under a number of its own: `large` has a file of its own, else it shares one.
    async fn list(store: &SqliteStore, large: bool) -> CampaignNo {
        let no = store.next_campaign_no().await.unwrap();
        let numbers: Vec<u64> = (491_510_000_000..).take(CHUNK_RECIPIENTS).collect();
        let mut writer = store.write_recipients(no, if large { 2 * 4_096 } else { 4_096 }).unwrap();
        writer.chunk(&numbers, &[]).unwrap();
        writer.finish().unwrap();
        no
    }

    async fn draft(store: &SqliteStore, workspace: WorkspaceId, no: CampaignNo, status: DraftStatus) {
        let (now, id) = (Timestamp::now(), CampaignId(Uuid::now_v7()));
        let draft = Draft {
            id,
            workspace_id: workspace,
            no,
            fields: std::collections::BTreeMap::new(),
            upload: None,
            status,
            created_by: UserId(Uuid::nil()),
            edited_by: Vec::new(),
            version: 0,
            created_at: now,
            updated_at: now,
        };
        let (scope, expect) = (Scope::Workspace(workspace), Expect::Absent);
        let change = Change { scope, expect, entity: Entity::Draft(draft), action: "draft.create" };
        store.apply(vec![change], &Principal::engine(), now).await.unwrap();
    }

    async fn campaign(store: &SqliteStore, of: &Seed, no: CampaignNo) {
        let seed = CampaignSeed {
            name: "Winter".to_owned(),
            mode: Mode::OnDemand,
            rules: SendingRules::default(),
            text: "Hello".to_owned(),
            receipts: true,
            delivery_policy: DeliveryPolicy::AtMostOnce,
            recipients: 4_096,
            recipients_digest: String::new(),
        };
        of.campaign(store, no, seed, Timestamp::now()).await.unwrap();
    }

    /// Lists with a file of their own.
    fn files(directory: &Path) -> Vec<String> {
        let names = std::fs::read_dir(directory).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name.starts_with("campaign-")).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_start_removes_the_lists_that_neither_a_draft_nor_a_campaign_names() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path()).unwrap();
        let seed = Seed::create(&store, "north", "shop", Timestamp::now()).await.unwrap();
        let workspace = seed.workspace;
        let (mut kept, mut lost) = (Vec::new(), Vec::new());
        for large in [false, true] {
            let [of_draft, of_campaign, orphan, replaced, deleted] = [
                list(&store, large).await,
                list(&store, large).await,
                list(&store, large).await,
                list(&store, large).await,
                list(&store, large).await,
            ];
            draft(&store, workspace, of_draft, DraftStatus::Open).await;
            campaign(&store, &seed, of_campaign).await;
            // A submit has put a narrower copy in the place of this one, and ended before it removed it.
            draft(&store, workspace, replaced, DraftStatus::Submitted).await;
            draft(&store, workspace, deleted, DraftStatus::Deleted).await;
            kept.extend([of_draft, of_campaign]);
            lost.extend([orphan, replaced, deleted]);
        }
        drop(store);
        let store = SqliteStore::open(directory.path()).unwrap();
        let first = store.next_campaign_no().await.unwrap();
        // Written by this run, and on its way to its owner.
        let fresh = list(&store, true).await;
        assert_eq!(sweep(&store, &store, first).await.unwrap(), Swept { removed: 6, left: Vec::new() });
        for no in lost {
            let gone = store.header(no).await;
            assert!(matches!(gone, Err(StoreError::NotFound)), "{no:?}: {gone:?}");
        }
        for no in kept.iter().chain([&fresh]) {
            assert_eq!(store.header(*no).await.unwrap().recipients, 4_096, "{no:?}");
        }
        let mut own: Vec<_> = [kept[2], kept[3], fresh].map(|no| format!("campaign-{}.db", no.0)).to_vec();
        own.sort();
        assert_eq!(
            files(directory.path()).iter().filter(|name| name.ends_with(".db")).collect::<Vec<_>>(),
            own.iter().collect::<Vec<_>>()
        );
        assert_eq!(sweep(&store, &store, first).await.unwrap(), Swept::default(), "once is enough");
    }

    #[tokio::test]
    async fn more_lists_than_a_page_are_all_looked_through() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path()).unwrap();
        let seed = Seed::create(&store, "north", "shop", Timestamp::now()).await.unwrap();
        let mut owned = 0;
        for n in 0..2 * MAX_PAGE {
            let no = store.next_campaign_no().await.unwrap();
            store.write_recipients(no, 0).unwrap().finish().unwrap();
            if n % 3 == 0 {
                draft(&store, seed.workspace, no, DraftStatus::Open).await;
                owned += 1;
            }
        }
        let first = store.next_campaign_no().await.unwrap();
        assert_eq!(sweep(&store, &store, first).await.unwrap().removed, 2 * MAX_PAGE as u64 - owned);
        assert_eq!(store.lists(CampaignNo(0)).await.unwrap().len() as u64, owned.min(MAX_PAGE as u64));
    }

    #[tokio::test]
    async fn a_list_that_cannot_be_removed_keeps_no_other_from_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path()).unwrap();
        let nos = [list(&store, true).await, list(&store, true).await, list(&store, false).await];
        // A directory is not removed as a file is.
        let stuck = directory.path().join(format!("campaign-{}.db", nos[0].0));
        std::fs::remove_file(&stuck).unwrap();
        std::fs::create_dir(&stuck).unwrap();
        let first = store.next_campaign_no().await.unwrap();
        let swept = sweep(&store, &store, first).await.unwrap();
        assert_eq!(swept, Swept { removed: 2, left: vec![nos[0]] });
        assert!(matches!(store.header(nos[2]).await, Err(StoreError::NotFound)));
        std::fs::remove_dir(&stuck).unwrap();
        let removed = remove(&store, &store, &swept.left).await.unwrap();
        assert_eq!(removed, Swept { removed: 1, left: Vec::new() });
    }
}
