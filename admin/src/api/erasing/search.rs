//! One number, looked for and erased in every list that there was when somebody asked for it.
//!
//! Drafts first: one that is submitted meanwhile becomes a campaign that is looked through later. Then campaigns from
//! the newest to the oldest; those that still need the number wait. At last, campaigns made since then from recipients
//! of others, until there is none left with the number.
//! Every step is stored before it begins, so that a restart goes on with it and counts it once.

use super::Erasing;
use crate::api::authoring::list::{Copying, copy, discard};
use crate::api::exports::withdraw;
use crate::api::state::Api;
use engine::model::{
    Campaign, CampaignId, CampaignNo, Draft, DraftStatus, DraftStep, EntityId, Erasure, ErasureStatus,
    ErasureStep, Number, Principal, Upload, WorkspaceId,
};
use engine::store::{Change, Entity, Expect, Kind, MAX_PAGE, Note, Page, Query, Scope, StoreError};
use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use uuid::{Builder, Uuid, Variant, Version};

/// Campaigns that wait for one request; the search goes on when some of them are over.
const MAX_WAITING: usize = 1_000;
/// Lists whose files are made anew at once.
const MAX_UNSCRUBBED: usize = 500;

/// Goes on with a request as far as that is possible now; of campaigns that are `held` the journal still has numbers.
pub(super) async fn go_on<'a>(
    api: &'a Api,
    request: Erasure,
    held: &'a BTreeSet<CampaignNo>,
    now: Timestamp,
) -> Result<Search<'a>, StoreError> {
    let number = api.erasing.number(request.id);
    let mut search = Search { api, held, now, number, stored: request.clone(), request };
    search.run().await?;
    Ok(search)
}

/// A look for one number, on its way.
pub(super) struct Search<'a> {
    api: &'a Api,
    held: &'a BTreeSet<CampaignNo>,
    now: Timestamp,
    /// Known only to the process that was asked.
    number: Option<Number>,
    stored: Erasure,
    request: Erasure,
}

impl Search<'_> {
    async fn run(&mut self) -> Result<(), StoreError> {
        if let Some(step) = self.request.draft_step {
            self.finish_draft(step).await?;
        }
        if let Some(step) = self.request.step {
            self.finish(step).await?;
        }
        if !self.request.drafts_passed {
            self.drafts().await?;
        }
        self.waiting().await?;
        // A draft that could not be changed may be becoming a campaign at this very moment.
        if self.request.drafts_passed {
            self.campaigns().await?;
            self.copies().await?;
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.request.drafts_passed && self.request.all_passed && self.request.waiting.is_empty()
    }

    /// The lists that have to forget before [`Search::conclude`]; at the end also what was removed and trimmed by others
    /// may hold the number, so that none is not nothing.
    pub(super) fn unscrubbed(&self) -> Option<&[CampaignNo]> {
        (self.is_done() || !self.request.unscrubbed.is_empty()).then_some(&self.request.unscrubbed)
    }

    /// A test for numbers that outlives this search.
    fn test(&self) -> impl Fn(Number) -> bool + Send + 'static {
        let (number, hash, ctn) = (self.number, self.request.ctn_hash, self.api.ctn.clone());
        move |other| number.map_or_else(|| ctn.hash(other) == hash, |number| number == other)
    }

    /// Stores how far the request is, if that is news.
    async fn save(&mut self, action: &'static str) -> Result<(), StoreError> {
        if self.request == self.stored {
            return Ok(());
        }
        let next = Erasure { version: self.stored.version + 1, ..self.request.clone() };
        let (expect, entity) = (Expect::Version(self.stored.version), Entity::Erasure(next.clone()));
        let change = Change { scope: Scope::Platform, expect, entity, action };
        self.api.catalog.apply(vec![change], &Principal::engine(), self.now).await?;
        (self.stored, self.request) = (next.clone(), next);
        Ok(())
    }

    async fn page(&self, kind: Kind, after: Option<EntityId>) -> Result<Page<Entity>, StoreError> {
        let open = (kind == Kind::Draft).then(|| format!("{:?}", DraftStatus::Open));
        let statuses = open.into_iter().collect();
        let query = Query { kind, statuses, parent: None, after, limit: MAX_PAGE };
        self.api.catalog.list(Scope::Platform, query).await
    }

    /// Every open draft; one that somebody edits at the same time is looked at again with the next look.
    async fn drafts(&mut self) -> Result<(), StoreError> {
        let (mut after, mut is_complete) = (Some(EntityId(self.request.id)), true);
        loop {
            let page = self.page(Kind::Draft, after).await?;
            for entity in page.items {
                if let Entity::Draft(draft) = entity
                    && let Some(upload) = draft.upload.clone()
                    && self.api.engine.count_numbers(draft.no, self.test()).await? > 0
                {
                    is_complete &= self.draft(draft, upload).await?;
                }
            }
            after = page.next;
            if after.is_none() {
                self.request.drafts_passed = is_complete;
                return Ok(());
            }
        }
    }

    /// Writes a draft's list anew without the number; false when that has to wait.
    async fn draft(&mut self, draft: Draft, upload: Upload) -> Result<bool, StoreError> {
        let step = DraftStep { workspace_id: draft.workspace_id, draft_id: draft.id, no: draft.no };
        self.request.draft_step = Some(step);
        self.save("privacy.erase_step").await?;
        let names = upload.variables.iter().map(|variable| variable.name.clone());
        let copying = Copying {
            from: draft.no,
            width: upload.variables.len(),
            kept: names.enumerate().collect(),
            only: None,
            left_out: Some(Box::new(self.test())),
        };
        let stored = match copy(self.api, copying).await {
            Ok(stored) => stored,
            Err(problem) => {
                tracing::warn!(draft = %draft.id, code = problem.code().as_str(), "a draft keeps a number for now");
                return Ok(false);
            }
        };
        let no = stored.no;
        let upload = Upload {
            accepted: stored.recipients,
            variables: stored.variables,
            digest: stored.digest,
            ..upload
        };
        let (scope, expect) = (Scope::Workspace(draft.workspace_id), Expect::Version(draft.version));
        let changed =
            Draft { no, upload: Some(upload), version: draft.version + 1, updated_at: self.now, ..draft };
        let change = Change { scope, expect, entity: Entity::Draft(changed), action: "draft.erase_number" };
        match self.api.catalog.apply(vec![change], &self.by(), self.now).await {
            Ok(()) => self.finish_draft(step).await.map(|()| true),
            Err(error) => {
                discard(self.api, no).await;
                if matches!(error, StoreError::Conflict { .. }) { Ok(false) } else { Err(error) }
            }
        }
    }

    /// Removes the former list of a draft that has another one now.
    async fn finish_draft(&mut self, step: DraftStep) -> Result<(), StoreError> {
        let scope = Scope::Workspace(step.workspace_id);
        let is_changed = match self.api.catalog.get(scope, Kind::Draft, step.draft_id.into()).await {
            Ok(Entity::Draft(draft)) => draft.no != step.no,
            Ok(_) | Err(StoreError::NotFound) => false,
            Err(error) => return Err(error),
        };
        if is_changed {
            self.api.journal.remove(step.no).await?;
            self.note(scope, (Kind::Draft, step.draft_id.into()), json!({})).await?;
            self.request.drafts += 1;
            self.request.unscrubbed.push(step.no);
        }
        self.request.draft_step = None;
        self.save("privacy.erase_step").await
    }

    /// Those of the waiting campaigns that are over now.
    async fn waiting(&mut self) -> Result<(), StoreError> {
        for (workspace, id) in self.request.waiting.clone() {
            match self.api.catalog.get(Scope::Workspace(workspace), Kind::Campaign, id.into()).await {
                Ok(Entity::Campaign(campaign)) if self.is_free(&campaign) => {
                    self.request.waiting.retain(|(_, waiting)| *waiting != id);
                    self.visit(&campaign).await?;
                }
                Ok(Entity::Campaign(_)) => {}
                Ok(_) | Err(StoreError::NotFound) => {
                    self.request.waiting.retain(|(_, waiting)| *waiting != id);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Every campaign that there was, the newest first.
    async fn campaigns(&mut self) -> Result<(), StoreError> {
        while !self.request.all_passed {
            let after = self.request.passed.map_or(EntityId(self.request.id), EntityId::from);
            let page = self.page(Kind::Campaign, Some(after)).await?;
            for entity in page.items {
                if self.request.waiting.len() >= MAX_WAITING {
                    return Ok(());
                }
                if let Entity::Campaign(campaign) = entity {
                    self.visit(&campaign).await?;
                    self.request.passed = Some(campaign.id);
                }
            }
            self.request.all_passed = page.next.is_none();
        }
        Ok(())
    }

    /// Later campaigns that were made from recipients of others: until a look at them finds nothing, since what was
    /// erased may have been copied before.
    async fn copies(&mut self) -> Result<(), StoreError> {
        loop {
            let (before, mut after) = (self.request.campaigns, None);
            loop {
                let page = self.page(Kind::Campaign, after).await?;
                after = page.next.filter(|next| next.0 > self.request.id);
                for entity in page.items {
                    if let Entity::Campaign(campaign) = entity
                        && campaign.id.0 > self.request.id
                        && campaign.filing.resent_from.or(campaign.filing.restored_from).is_some()
                    {
                        self.visit(&campaign).await?;
                    }
                }
                if after.is_none() {
                    break;
                }
            }
            if self.request.campaigns == before {
                return Ok(());
            }
        }
    }

    fn is_free(&self, campaign: &Campaign) -> bool {
        // What ended behind the look into the journal may have numbers there.
        let ended_before = campaign.ended_at.is_some_and(|at| at <= self.now);
        campaign.is_over() && ended_before && !self.held.contains(&campaign.no)
    }

    async fn campaign(&self, workspace: WorkspaceId, id: CampaignId) -> Result<Campaign, StoreError> {
        match self.api.catalog.get(Scope::Workspace(workspace), Kind::Campaign, id.into()).await? {
            Entity::Campaign(campaign) => Ok(*campaign),
            _ => Err(StoreError::NotFound),
        }
    }

    /// Counts in the list that a campaign has: whoever edits it beside this look gives it another one and removes the
    /// one that was counted in.
    async fn count(&self, campaign: &mut Campaign) -> Result<Result<u64, StoreError>, StoreError> {
        loop {
            let counted = self.api.engine.count_numbers(campaign.no, self.test()).await;
            let now = self.campaign(campaign.workspace_id, campaign.id).await?;
            let is_same = now.no == campaign.no;
            *campaign = now;
            if is_same {
                return Ok(counted);
            }
        }
    }

    /// Looks through one campaign, as it is now and not when it was listed: it loses the number now, or waits.
    async fn visit(&mut self, listed: &Campaign) -> Result<(), StoreError> {
        if listed.filing.numbers_erased_at.is_some() {
            return Ok(());
        }
        let (workspace_id, campaign_id) = (listed.workspace_id, listed.id);
        let mut campaign = listed.clone();
        match self.count(&mut campaign).await? {
            Ok(0) => Ok(()),
            Ok(recipients) if self.is_free(&campaign) => {
                let step = ErasureStep { workspace_id, campaign_id, recipients };
                self.request.step = Some(step);
                if !self.request.unscrubbed.contains(&campaign.no) {
                    self.request.unscrubbed.push(campaign.no);
                }
                self.save("privacy.erase_step").await?;
                self.finish(step).await
            }
            Err(error @ (StoreError::Unavailable(_) | StoreError::NotFound)) => Err(error),
            found => {
                if let Err(error) = found {
                    tracing::error!(campaign = %campaign_id, %error, "a list that may hold a number cannot be read");
                }
                self.wait_for(workspace_id, campaign_id);
                Ok(())
            }
        }
    }

    fn wait_for(&mut self, workspace: WorkspaceId, campaign: CampaignId) {
        if self.request.waiting.iter().all(|(_, waiting)| *waiting != campaign) {
            self.request.waiting.push((workspace, campaign));
        }
    }

    /// Does a step that was stored.
    async fn finish(&mut self, step: ErasureStep) -> Result<(), StoreError> {
        let scope = Scope::Workspace(step.workspace_id);
        let campaign = self.campaign(step.workspace_id, step.campaign_id).await?;
        let (hash, is_wanted) = (self.request.ctn_hash, self.test());
        let erased = {
            let _alone = self.api.erasing.alone().await;
            let hash = |number| is_wanted(number).then_some(hash);
            match self.api.engine.erase_numbers(&campaign, hash).await {
                Ok(_) => Ok(withdraw(self.api, &campaign).await?),
                Err(error) => Err(error),
            }
        };
        let removed = match erased {
            Ok(removed) => removed,
            Err(error @ (StoreError::Unavailable(_) | StoreError::NotFound)) => return Err(error),
            Err(error) => {
                // It is looked at again with every look, and keeps the others not from theirs.
                tracing::error!(campaign = %campaign.id, %error, "a list keeps a number");
                self.wait_for(step.workspace_id, step.campaign_id);
                self.request.step = None;
                return self.save("privacy.erase_step").await;
            }
        };
        let details = json!({ "recipients": step.recipients, "exports_removed": removed });
        self.note(scope, (Kind::Campaign, step.campaign_id.into()), details).await?;
        self.request.step = None;
        self.request.campaigns += 1;
        self.request.recipients += step.recipients;
        self.request.exports += removed;
        self.save("privacy.erase_step").await?;
        if self.request.unscrubbed.len() >= MAX_UNSCRUBBED {
            self.scrub().await?;
        }
        Ok(())
    }

    async fn scrub(&mut self) -> Result<(), StoreError> {
        self.api.journal.scrub(self.request.unscrubbed.clone()).await?;
        self.request.unscrubbed.clear();
        Ok(())
    }

    /// Stores where it stands, once what it has erased is forgotten.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn conclude(mut self) -> Result<(), StoreError> {
        self.request.unscrubbed.clear();
        if self.is_done() {
            (self.request.status, self.request.done_at) = (ErasureStatus::Done, Some(self.now));
            self.save("privacy.erase_done").await?;
            Erasing::forget(&self.api.erasing, self.request.id);
            return Ok(());
        }
        let is_through = self.request.drafts_passed && self.request.all_passed;
        self.request.status = if is_through { ErasureStatus::Waiting } else { ErasureStatus::Running };
        self.save("privacy.erase_step").await
    }

    /// Who asked for it, as the logs of tenants name them.
    fn by(&self) -> Principal {
        Principal {
            user_id: Some(self.request.created_by),
            role: "SuperAdmin".to_owned(),
            ..Principal::engine()
        }
    }

    /// Tells a tenant, once, whose number has left what: by its hash.
    async fn note(
        &self,
        scope: Scope,
        (kind, entity_id): (Kind, EntityId),
        mut details: serde_json::Value,
    ) -> Result<(), StoreError> {
        details["request_id"] = json!(self.request.id);
        details["ctn_hash"] = json!(self.request.ctn_hash);
        let note = Note {
            id: note_id(self.request.id, (kind, entity_id)),
            scope,
            at: self.now,
            by: self.by(),
            action: "privacy.erase_number".to_owned(),
            entity_kind: kind.name().to_owned(),
            entity_id,
            subject: None,
            details,
        };
        self.api.catalog.note(vec![note]).await.map(drop)
    }
}

/// The same whenever the step is done again: the time of the request's id, and a digest of both and of the kind, since a
/// draft and the campaign that it becomes have one id.
fn note_id(request: Uuid, (kind, entity): (Kind, EntityId)) -> Uuid {
    let mut digest = Sha256::new();
    digest.update(request.as_bytes());
    digest.update(kind.name().as_bytes());
    digest.update(entity.0.as_bytes());
    let mut octets = *request.as_bytes();
    for (octet, of_digest) in octets.iter_mut().skip(6).zip(digest.finalize()) {
        *octet = of_digest;
    }
    Builder::from_bytes(octets).with_version(Version::SortRand).with_variant(Variant::RFC4122).into_uuid()
}

#[cfg(test)]
mod tests;
