//! Numbers that the platform keeps no longer: those of campaigns that ended `number_retention_days` ago.
//!
//! A campaign is marked when its list, the exported files and the store's own files hold no number any more; until then
//! every look begins with it again. Once a day is enough: files that many write into are made anew for it.

use crate::api::exports::withdraw;
use crate::api::state::Api;
use crate::settings::stored;
use engine::model::{Campaign, CampaignNo, Principal, Status, expired_before};
use engine::store::{Change, Entity, Expect, Kind, MAX_PAGE, Query, Scope, StoreError};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::sync::PoisonError;

/// Campaigns of one look; the others follow with the next.
const MAX_DUE: usize = 1_000;
/// How long numbers whose time is over wait for others, unless there were more than one look takes.
const EVERY: SignedDuration = SignedDuration::from_hours(24);

/// The campaigns whose numbers were kept long enough.
pub(super) async fn due(api: &Api, now: Timestamp) -> Result<Vec<Campaign>, StoreError> {
    let days = stored(&*api.catalog).await?.and_then(|settings| settings.number_retention_days);
    let Some(days) = days.filter(|_| !was_done_lately(api, now)) else { return Ok(Vec::new()) };
    let before = expired_before(days, now);
    let is_due = |campaign: &Campaign| {
        campaign.is_over()
            && campaign.filing.numbers_erased_at.is_none()
            && campaign.ended_at.is_some_and(|at| at <= before)
    };
    let ended = [Status::Done, Status::Cancelled, Status::Failed, Status::Expired];
    let (mut due, mut after) = (Vec::new(), None);
    loop {
        let statuses = ended.iter().map(Status::to_string).collect();
        let query = Query { kind: Kind::Campaign, statuses, parent: None, after, limit: MAX_PAGE };
        let page = api.catalog.list(Scope::Platform, query).await?;
        due.extend(page.items.into_iter().filter_map(|entity| match entity {
            Entity::Campaign(campaign) if is_due(&campaign) => Some(*campaign),
            _ => None,
        }));
        after = page.next;
        if after.is_none() || due.len() >= MAX_DUE {
            due.truncate(MAX_DUE);
            return Ok(due);
        }
        tokio::task::yield_now().await;
    }
}

fn was_done_lately(api: &Api, now: Timestamp) -> bool {
    let last = *api.erasing.expired_at.lock().unwrap_or_else(PoisonError::into_inner);
    // A clock that was put back keeps nothing.
    last.is_some_and(|last| last <= now && now.duration_since(last) < EVERY)
}

/// Erases all numbers of these; of those that are `held` the journal still has some.
pub(super) async fn erase(
    api: &Api,
    due: Vec<Campaign>,
    held: &BTreeSet<CampaignNo>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (mut erased, mut first, is_all) = (Vec::new(), Ok(()), due.len() < MAX_DUE);
    for campaign in due.into_iter().filter(|campaign| !held.contains(&campaign.no)) {
        match erase_one(api, &campaign).await {
            Ok(()) => erased.push(campaign),
            // One that cannot be read does not keep others from it.
            Err(error) => first = first.and(Err(error)),
        }
    }
    if erased.is_empty() {
        return first;
    }
    api.journal.scrub(erased.iter().map(|campaign| campaign.no).collect()).await?;
    if is_all {
        *api.erasing.expired_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }
    for campaign in erased {
        first = first.and(mark(api, &campaign, now).await);
    }
    first
}

async fn erase_one(api: &Api, campaign: &Campaign) -> Result<(), StoreError> {
    let _alone = api.erasing.alone().await;
    api.engine.erase_numbers(campaign, |number| Some(api.ctn.hash(number))).await?;
    withdraw(api, campaign).await.map(drop)
}

/// Records it, in the tenant's log; whoever changed the campaign meanwhile is not overwritten.
async fn mark(api: &Api, campaign: &Campaign, now: Timestamp) -> Result<(), StoreError> {
    let scope = Scope::Workspace(campaign.workspace_id);
    let Entity::Campaign(mut marked) = api.catalog.get(scope, Kind::Campaign, campaign.id.into()).await?
    else {
        return Err(StoreError::NotFound);
    };
    let expect = Expect::Version(marked.state_version);
    marked.state_version += 1;
    marked.filing.numbers_erased_at = Some(now);
    let entity = Entity::Campaign(marked);
    let change = Change { scope, expect, entity, action: "campaign.erase_numbers" };
    api.catalog.apply(vec![change], &Principal::engine(), now).await?;
    tracing::info!(campaign = %campaign.id, recipients = campaign.recipients, "numbers were erased");
    Ok(())
}
