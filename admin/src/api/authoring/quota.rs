//! What a workspace may still store: its quota less the octets of the files that its open drafts and its campaigns came
//! from. A list that came from no file counts as the file that it would be.
//!
//! Several lists may come at once: a list that is about to get its owner holds its room by a [`Reservation`] until the
//! owner is stored. Invariant: what is stored and what is reserved are never more than the quota.

use crate::api::problem::{Code, Problem};
use crate::api::state::Api;
use engine::model::{Campaign, DraftStatus, Workspace, WorkspaceId};
use engine::store::{Entity, Kind, MAX_PAGE, Query, Scope, StoreError};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Octets of a recipient of which no file tells: the longest number and the end of its line.
const OCTETS_PER_RECIPIENT: u64 = 16;

/// What is reserved, by workspace: as many as have a request under way.
#[derive(Debug, Default)]
pub(crate) struct Ledgers {
    used: Mutex<HashMap<WorkspaceId, Arc<Ledger>>>,
}

/// Of one workspace.
#[derive(Debug, Default)]
struct Ledger {
    /// Held by whoever looks how much is left and takes it.
    turn: tokio::sync::Mutex<()>,
    octets: AtomicU64,
}

impl Ledgers {
    fn of(&self, workspace: WorkspaceId) -> Arc<Ledger> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|_, ledger| Arc::strong_count(ledger) > 1);
        Arc::clone(used.entry(workspace).or_default())
    }
}

/// Room for a list whose owner is not stored yet; given back when it is dropped, which must be behind that.
#[derive(Debug)]
pub(crate) struct Reservation {
    ledger: Arc<Ledger>,
    octets: u64,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.ledger.octets.fetch_sub(self.octets, Ordering::SeqCst);
    }
}

/// Octets that the workspace may still store. Cost: reads all its drafts and campaigns where it has a quota.
///
/// # Errors
/// The store's.
pub(crate) async fn left(api: &Api, workspace: &Workspace) -> Result<u64, StoreError> {
    match workspace.terms.storage_quota_bytes {
        None => Ok(u64::MAX),
        Some(quota) => {
            // Read first: a list whose owner is stored in between counts twice rather than never.
            let reserved = api.intakes.ledgers.of(workspace.id).octets.load(Ordering::SeqCst);
            let stored = stored_octets(api, workspace.id).await?;
            Ok(quota.saturating_sub(reserved).saturating_sub(stored))
        }
    }
}

/// Room for so many octets, to be kept until they have an owner in the store.
///
/// # Errors
/// `quota_exceeded`; the store's.
pub(crate) async fn reserve(api: &Api, workspace: &Workspace, octets: u64) -> Result<Reservation, Problem> {
    let ledger = api.intakes.ledgers.of(workspace.id);
    let turn = ledger.turn.lock().await;
    let left = left(api, workspace).await?;
    if octets <= left {
        ledger.octets.fetch_add(octets, Ordering::SeqCst);
        drop(turn);
        return Ok(Reservation { ledger, octets });
    }
    let told = format!("The recipients take {octets} octets; {left} are left of the workspace's storage.");
    Err(Problem::because(Code::QuotaExceeded, told))
}

/// Octets that the list of a campaign counts.
pub(crate) fn of_campaign(campaign: &Campaign) -> u64 {
    let upload = campaign.filing.upload.as_ref();
    upload.map_or_else(|| of_list(campaign.recipients), |upload| upload.bytes)
}

/// Octets that a list of so many recipients counts where no file tells.
pub(crate) const fn of_list(recipients: u64) -> u64 {
    recipients.saturating_mul(OCTETS_PER_RECIPIENT)
}

/// Octets of all lists that the workspace keeps. Cost: reads all its drafts and campaigns.
///
/// # Errors
/// The store's.
pub(crate) async fn stored_octets(api: &Api, workspace: WorkspaceId) -> Result<u64, StoreError> {
    let mut octets: u64 = 0;
    let kinds = [(Kind::Draft, vec![format!("{:?}", DraftStatus::Open)]), (Kind::Campaign, Vec::new())];
    for (kind, statuses) in kinds {
        let mut after = None;
        loop {
            let query = Query { kind, statuses: statuses.clone(), parent: None, after, limit: MAX_PAGE };
            let page = api.catalog.list(Scope::Workspace(workspace), query).await?;
            let lists = page.items.iter().map(|entity| match entity {
                Entity::Draft(draft) => draft.upload.as_ref().map_or(0, |upload| upload.bytes),
                Entity::Campaign(campaign) => of_campaign(campaign),
                _ => 0,
            });
            octets = lists.fold(octets, u64::saturating_add);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
            // The store answers at once: others get a turn.
            tokio::task::yield_now().await;
        }
    }
    Ok(octets)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::api::testing::{Client, House, code, read};
    use axum::http::Method;
    use bytes::Bytes;
    use engine::model::Terms;
    use engine::store::Journal;
    use futures_util::stream;
    use serde_json::{Value, json};
    use tokio::sync::watch;

    const FILE: &str = "+491701234567\n";

    /// A workspace with room for so many octets.
    async fn shop(house: &House, octets: u64) -> Workspace {
        let workspace = house.workspace("shop").await;
        let terms = Terms { storage_quota_bytes: Some(octets), ..Terms::default() };
        let next = Workspace { terms, version: workspace.version + 1, ..workspace };
        house.change(Entity::Workspace(next.clone()), next.version - 1).await;
        next
    }

    /// Uploads the file to a draft of its own; its end comes only when that is let go.
    async fn upload(client: Client, mut go: watch::Receiver<bool>) -> (u16, Value) {
        let (_, draft) = client.post("/w/shop/drafts", json!({"name": "a"})).await;
        let path = format!("/w/shop/drafts/{}/recipients", draft["id"].as_str().unwrap());
        let begin = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(&FILE.as_bytes()[..7]))]);
        let end = stream::once(async move {
            go.wait_for(|is_let_go| *is_let_go).await.map_err(std::io::Error::other)?;
            Ok(Bytes::from_static(&FILE.as_bytes()[7..]))
        });
        let body = reqwest::Body::wrap_stream(futures_util::StreamExt::chain(begin, end));
        let request = client.request(Method::PUT, &path).header("content-type", "text/plain").body(body);
        read(request.send().await.unwrap()).await
    }

    #[tokio::test]
    async fn files_that_come_at_once_do_not_take_more_than_is_left() {
        let house = House::open().await;
        let workspace = shop(&house, 2 * FILE.len() as u64 - 1).await;
        let author = house.member(&workspace, "Author").await;
        let (go, wait) = watch::channel(false);
        let both: Vec<_> = (0..2).map(|_| tokio::spawn(upload(author.clone(), wait.clone()))).collect();
        // Each of them has found enough room.
        while house.api.intakes.under_way() < 2 {
            tokio::task::yield_now().await;
        }
        go.send(true).unwrap();
        let mut found = Vec::new();
        for one in both {
            let (status, body) = one.await.unwrap();
            found.push((status, code(&body).to_owned()));
        }
        found.sort();
        assert_eq!(found, [(200, String::new()), (413, "quota_exceeded".to_owned())]);
        assert_eq!(house.store.lists(engine::model::CampaignNo(0)).await.unwrap().len(), 1);
        assert_eq!(left(&house.api, &workspace).await.unwrap(), FILE.len() as u64 - 1);
        house.close().await;
    }

    #[tokio::test]
    async fn room_is_held_until_it_is_given_back() {
        let house = House::open().await;
        let workspace = shop(&house, 10).await;
        let refused = async |octets| reserve(&house.api, &workspace, octets).await.err().map(|p| p.code());
        let room = reserve(&house.api, &workspace, 6).await.unwrap();
        assert_eq!((refused(4).await, refused(5).await), (None, Some(Code::QuotaExceeded)));
        drop(room);
        assert_eq!((refused(10).await, refused(11).await), (None, Some(Code::QuotaExceeded)));
        house.close().await;
    }
}
