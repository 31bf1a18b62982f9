//! Recipient lists that nobody owns: what is left when the process ends between the last octet of a list and the record
//! of the draft or campaign that it is for. They hold numbers of people, so a start removes them.
//!
//! Invariant: a list goes only when it is of an earlier run and neither an open draft nor a campaign names it. The name
//! of such a list can only pass from a draft to its campaign, in one transaction: drafts are read first. Exports name
//! campaigns, not lists.

use engine::model::{CampaignNo, DraftStatus};
use engine::store::{Catalog, Entity, Journal, Kind, MAX_PAGE, Query, Scope, StoreError};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Removes what nobody owns once, and says so; `first` is a number that this run was given before it wrote any list.
pub(crate) async fn sweep(catalog: Arc<dyn Catalog>, journal: Arc<dyn Journal>, first: CampaignNo) {
    match remove(&*catalog, &*journal, first).await {
        Ok(removed) => tracing::info!(removed, "recipient lists that nobody owned were removed"),
        Err(error) => tracing::warn!(%error, "recipient lists that nobody owns stay until the next start"),
    }
}

/// Gives how many went. Beside a running server: it lets others work behind every list.
async fn remove(catalog: &dyn Catalog, journal: &dyn Journal, first: CampaignNo) -> Result<u64, StoreError> {
    let drafted = drafted(catalog).await?;
    let (mut removed, mut after) = (0, CampaignNo(0));
    loop {
        let page = journal.lists(after).await?;
        let Some(last) = page.last().copied() else { return Ok(removed) };
        for no in page {
            if no >= first {
                return Ok(removed);
            }
            if drafted.contains(&no) || has_campaign(catalog, no).await? {
                continue;
            }
            journal.remove(no).await?;
            removed += 1;
            tokio::task::yield_now().await;
        }
        after = last;
        tokio::task::yield_now().await;
    }
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
        assert_eq!(remove(&store, &store, first).await.unwrap(), 6);
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
        assert_eq!(remove(&store, &store, first).await.unwrap(), 0, "once is enough");
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
        assert_eq!(remove(&store, &store, first).await.unwrap(), 2 * MAX_PAGE as u64 - owned);
        assert_eq!(store.lists(CampaignNo(0)).await.unwrap().len() as u64, owned.min(MAX_PAGE as u64));
    }
}
