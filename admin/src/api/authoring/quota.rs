//! What a workspace may still store: its quota less the octets of the files that its open drafts and its campaigns came
//! from. A list that came from no file counts as the file that it would be.

use crate::api::problem::{Code, Problem};
use crate::api::state::Api;
use engine::model::{Campaign, DraftStatus, Workspace, WorkspaceId};
use engine::store::{Entity, Kind, MAX_PAGE, Query, Scope, StoreError};

/// Octets of a recipient of which no file tells: the longest number and the end of its line.
const OCTETS_PER_RECIPIENT: u64 = 16;

/// Octets that the workspace may still store. Cost: reads all its drafts and campaigns where it has a quota.
///
/// # Errors
/// The store's.
pub(crate) async fn left(api: &Api, workspace: &Workspace) -> Result<u64, StoreError> {
    match workspace.terms.storage_quota_bytes {
        None => Ok(u64::MAX),
        Some(quota) => Ok(quota.saturating_sub(stored_octets(api, workspace.id).await?)),
    }
}

/// Refuses what the workspace has no room for.
///
/// # Errors
/// `quota_exceeded`; the store's.
pub(crate) async fn check(api: &Api, workspace: &Workspace, octets: u64) -> Result<(), Problem> {
    let left = left(api, workspace).await?;
    if octets <= left {
        return Ok(());
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

async fn stored_octets(api: &Api, workspace: WorkspaceId) -> Result<u64, StoreError> {
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
        }
    }
    Ok(octets)
}
