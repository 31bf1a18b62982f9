//! From approved to ready: what an approved campaign is checked for before it may wait for its start, and again at it.
//!
//! Everything is read from the store: credentials alone cannot send. What does not hold fails the campaign with the
//! reason in words; a store that cannot be read leaves it where it is, to be built again.

use crate::dispatch::commands::Command;
use crate::dispatch::engine::{Engine, EngineError};
use crate::dispatch::message::Message;
use crate::intake::ListHasher;
use crate::model::JobErrorCode::{
    ContentChanged, NoChannel, NoRecipients, PlanInfeasible, RecipientsChanged, SenderNotApproved,
    TextInvalid,
};
use crate::model::{
    CHUNK_RECIPIENTS, Campaign, CampaignId, JobError, JobErrorCode, Mode, Move, Plan, Principal, Revision,
    RevisionStatus, Status, WorkspaceId,
};
use crate::schedule::{Code, PlanTerms, check, plan};
use crate::store::{Entity, Kind, MAX_PAGE, Query, Scope, StoreError};
use std::fmt::Display;
use uuid::Uuid;

/// What stands for the digest of a list that grows.
const OPEN_LIST: &str = "open";
/// How often a withdrawal is tried again that lost to another change of the campaign.
const WITHDRAW_TRIES: u32 = 10;

/// Why a campaign fails whose sender is taken away.
const WITHDRAWN: &str = "the sender was withdrawn";

/// Why a check ended: for good, with words for the author, or because something is not there now.
enum Trouble {
    Unfit(JobErrorCode, String),
    Engine(EngineError),
}

impl<E: Into<EngineError>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::Engine(error.into())
    }
}

fn unfit(code: JobErrorCode) -> impl Fn(&dyn Display) -> Trouble {
    move |why| Trouble::Unfit(code, why.to_string())
}

impl Engine {
    /// Builds a campaign that was approved: it is `Pending` when this returns, started if it wants to start by itself.
    /// One that the engine has built meanwhile, as it does with what it finds, is left as it is.
    ///
    /// # Errors
    /// [`EngineError::State`] when it is not `Building`; [`EngineError::NotBuilt`] when it cannot be sent, it is
    /// `Failed` then; the store's, it is `Building` still then and the
    /// calendar builds it when the store is back.
    pub async fn build(
        &self,
        workspace: WorkspaceId,
        id: CampaignId,
        by: &Principal,
    ) -> Result<(), EngineError> {
        let built = self.try_build(workspace, id, by).await;
        if matches!(built, Err(EngineError::Store(_))) {
            self.look_again(workspace, id);
        }
        built
    }

    pub(super) async fn try_build(
        &self,
        workspace: WorkspaceId,
        id: CampaignId,
        by: &Principal,
    ) -> Result<(), EngineError> {
        match self.build_now(workspace, id, by).await {
            // Whoever was first has built it.
            Err(EngineError::Store(StoreError::Conflict { .. })) => self.build_now(workspace, id, by).await,
            built => built,
        }
    }

    async fn build_now(
        &self,
        workspace: WorkspaceId,
        id: CampaignId,
        by: &Principal,
    ) -> Result<(), EngineError> {
        let campaign = self.campaign(workspace, id).await?;
        match campaign.status {
            Status::Building => {}
            Status::Pending | Status::Sending | Status::Paused | Status::Done => return Ok(()),
            other => return Err(EngineError::State(other, Move::Built.word())),
        }
        let starts = campaign.content.rules.auto_start;
        match self.check_built(&campaign).await {
            Ok(plan) => drop(self.record(Campaign { plan, ..campaign }, (Move::Built, None), by).await?),
            Err(Trouble::Engine(error)) => return Err(error),
            Err(Trouble::Unfit(code, why)) => {
                self.record(campaign, (Move::Fail, Some(why.clone())), by).await?;
                self.note_job_error((workspace, id), code, &why).await;
                return Err(EngineError::NotBuilt(why));
            }
        }
        let started = match starts {
            true => self.command((workspace, id), Command::AutoStart, by).await,
            false => Ok(()),
        };
        // Behind the start: the calendar starts it only when this could not.
        self.look_at(workspace, id);
        match started {
            // It is held with its reason, and the calendar asks again.
            Err(EngineError::Preflight(_)) => Ok(()),
            started => started,
        }
    }

    /// Notes what went wrong with a campaign's work; its status tells it too, so a store that is away only costs the
    /// note.
    pub(super) async fn note_job_error(
        &self,
        (workspace, id): (WorkspaceId, CampaignId),
        code: JobErrorCode,
        detail: &str,
    ) {
        let at = self.timestamp();
        let error = JobError { seq: 0, at, code, line: None, detail: detail.to_owned() };
        let scope = Scope::Workspace(workspace);
        if let Err(error) = self.0.catalog.note_job_errors(scope, id, vec![error]).await {
            tracing::warn!(campaign = %id, %error, "job error not noted");
        }
    }

    /// Everything that must hold before a campaign waits for its start; its plan, if its mode has one.
    async fn check_built(&self, campaign: &Campaign) -> Result<Option<Plan>, Trouble> {
        let needed = self.read_workspace(campaign.workspace_id).await?.policies.approvals_required;
        if campaign.approvals_given() < usize::from(needed.max(1)) {
            return Err(unfit(ContentChanged)(&EngineError::NotApproved));
        }
        let revision = self.revision_of(campaign).await?;
        let usable: &[RevisionStatus] = match &revision {
            // Archived behind the approval, it goes on.
            Some(revision) if revision.archived_at.is_some_and(|at| approved_at(campaign) <= Some(at)) => {
                &[RevisionStatus::Approved, RevisionStatus::Archived]
            }
            _ => &[RevisionStatus::Approved],
        };
        if let Some(why) = unusable(campaign, revision.as_ref(), usable) {
            return Err(unfit(SenderNotApproved)(&why));
        }
        Message::new(&campaign.content, 1).map_err(|why| unfit(TextInvalid)(&why))?;
        let rules = &campaign.content.rules;
        let tenant = self.tenant(campaign.workspace_id).await?;
        self.routes(campaign, &tenant).map_err(|why| unfit(NoChannel)(&why))?;
        self.check_recipients(campaign).await?;
        let settings = tenant.settings();
        let now = self.timestamp();
        let today = settings.calendar.zone.day_of(now);
        let used = [(today, tenant.budget.used(today))];
        let calendar = &settings.calendar;
        let terms = PlanTerms { rules, calendar, charged: &[], workspace_charged: &used, now };
        if let Err(refusals) = check(campaign.mode, campaign.recipients, &terms) {
            // A time that has passed since it was approved is for the calendar to judge.
            let lasting: Vec<_> = refusals.into_iter().filter(|r| r.code != Code::InThePast).collect();
            if !lasting.is_empty() {
                let words: Vec<_> = lasting.into_iter().map(|r| r.message).collect();
                return Err(unfit(PlanInfeasible)(&words.join("; ")));
            }
        }
        if campaign.mode != Mode::Spread {
            return Ok(None);
        }
        plan(campaign.recipients, &terms).map(Some).map_err(|why| unfit(PlanInfeasible)(&why))
    }

    /// Whether the store holds the very list that was approved.
    async fn check_recipients(&self, campaign: &Campaign) -> Result<(), Trouble> {
        let header = match self.0.journal.header(campaign.no).await {
            Err(StoreError::NotFound) => return Err(unfit(NoRecipients)(&"it has no recipient list")),
            header => header?,
        };
        let approved = &campaign.content.recipients_digest;
        if campaign.mode == Mode::Trigger {
            let is_open = approved == OPEN_LIST && header.recipients == 0;
            let why = "a Trigger campaign begins with an empty list";
            return if is_open { Ok(()) } else { Err(unfit(RecipientsChanged)(&why)) };
        }
        if header.recipients != campaign.recipients || campaign.recipients == 0 {
            let (approved, stored) = (campaign.recipients, header.recipients);
            let code = if stored == 0 { NoRecipients } else { RecipientsChanged };
            return Err(unfit(code)(&format!("{approved} recipients were approved, {stored} are stored")));
        }
        let mut hasher = ListHasher::new();
        for chunk in 0..campaign.recipients.div_ceil(CHUNK_RECIPIENTS as u64) {
            let chunk = u32::try_from(chunk).unwrap_or(u32::MAX);
            let stored = self.0.journal.recipients(campaign.no, chunk).await?;
            hasher.chunk(&stored.numbers, &stored.values);
            tokio::task::yield_now().await;
        }
        if hasher.finish().to_string() != *approved {
            return Err(unfit(RecipientsChanged)(&"the stored recipients are not those that were approved"));
        }
        Ok(())
    }

    /// What must still hold when a campaign begins to send: an archived revision was approved once and goes on.
    pub(super) async fn check_started(&self, campaign: &Campaign) -> Result<(), EngineError> {
        if !campaign.is_approved() {
            return Err(EngineError::NotApproved);
        }
        Message::new(&campaign.content, 1)?;
        let usable = [RevisionStatus::Approved, RevisionStatus::Archived];
        self.unusable_sender(campaign, &usable).await?.map_or(Ok(()), |why| Err(EngineError::Sender(why)))
    }

    /// Why a campaign cannot be sent under the sender revision that it names, unless that stands as one of these.
    pub(super) async fn unusable_sender(
        &self,
        campaign: &Campaign,
        usable_as: &[RevisionStatus],
    ) -> Result<Option<&'static str>, EngineError> {
        let revision = self.revision_of(campaign).await?;
        Ok(unusable(campaign, revision.as_ref(), usable_as))
    }

    /// Stops and fails every campaign that sends, or would send, under a sender revision which was withdrawn; which
    /// ones. To be called behind the record of the withdrawal, so that none starts meanwhile.
    ///
    /// # Errors
    /// The first error of a campaign that goes on for it; all others have been stopped.
    pub async fn revision_withdrawn(
        &self,
        workspace: WorkspaceId,
        revision: Uuid,
        by: &Principal,
    ) -> Result<Vec<CampaignId>, EngineError> {
        let statuses = [Status::Building, Status::Pending, Status::Sending, Status::Paused];
        let (mut stopped, mut failed, mut after) = (Vec::new(), None, None);
        loop {
            let statuses = statuses.iter().map(Status::to_string).collect();
            let query = Query { kind: Kind::Campaign, statuses, parent: None, after, limit: MAX_PAGE };
            let page = self.0.catalog.list(Scope::Workspace(workspace), query).await?;
            for entity in page.items {
                let Entity::Campaign(campaign) = entity else { continue };
                if campaign.content.revision_id != revision {
                    continue;
                }
                let mut ended = self.fail(workspace, campaign.id, WITHDRAWN, by).await;
                for _ in 0..WITHDRAW_TRIES {
                    // Started, paused or planned anew meanwhile: it has to end all the same.
                    let Err(EngineError::Store(StoreError::Conflict { .. })) = &ended else { break };
                    ended = self.fail(workspace, campaign.id, WITHDRAWN, by).await;
                }
                match ended {
                    Ok(()) => {
                        stopped.push(campaign.id);
                        self.note_job_error((workspace, campaign.id), SenderNotApproved, WITHDRAWN).await;
                    }
                    // Over meanwhile.
                    Err(EngineError::State(..)) => {}
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return failed.map_or(Ok(stopped), Err),
            }
        }
    }

    /// The pinned sender revision, if it is in the campaign's workspace.
    async fn revision_of(&self, campaign: &Campaign) -> Result<Option<Revision>, EngineError> {
        let scope = Scope::Workspace(campaign.workspace_id);
        let id = crate::model::EntityId(campaign.content.revision_id);
        match self.0.catalog.get(scope, Kind::Revision, id).await {
            Ok(Entity::Revision(revision)) => Ok(Some(revision)),
            Ok(_) | Err(StoreError::NotFound) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// When the last approval was given.
fn approved_at(campaign: &Campaign) -> Option<jiff::Timestamp> {
    campaign.approvals.iter().map(|approval| approval.at).max()
}

/// Why a campaign cannot be sent under this sender revision.
fn unusable(
    campaign: &Campaign,
    revision: Option<&Revision>,
    usable: &[RevisionStatus],
) -> Option<&'static str> {
    let content = &campaign.content;
    let Some(revision) = revision else { return Some("there is no such sender in this workspace") };
    if revision.workspace_id != campaign.workspace_id || revision.sender_id != content.sender_id {
        return Some("there is no such sender in this workspace");
    }
    if revision.decided_by.is_none() || !usable.contains(&revision.status) {
        return Some(match revision.status {
            RevisionStatus::Archived => "the sender was archived",
            RevisionStatus::Rejected => WITHDRAWN,
            _ => "the sender is not approved",
        });
    }
    let address = (revision.saddr.as_str(), revision.ston, revision.snpi);
    (address != (content.saddr.as_str(), content.ston, content.snpi))
        .then_some("the source address is not that of the approved sender")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::testing::{campaign, revision};

    #[test]
    fn a_sender_is_usable_only_as_it_was_approved_and_in_its_own_workspace() {
        let (campaign, approved) = (campaign(Mode::OnDemand), revision());
        let built = &[RevisionStatus::Approved][..];
        let started = &[RevisionStatus::Approved, RevisionStatus::Archived][..];
        let is_usable = |revision: &Revision, of| unusable(&campaign, Some(revision), of).is_none();
        assert!(is_usable(&approved, built) && is_usable(&approved, started));
        assert!(unusable(&campaign, None, started).is_some());
        let statuses = [
            (RevisionStatus::Draft, false),
            (RevisionStatus::PendingApproval, false),
            (RevisionStatus::Rejected, false),
            (RevisionStatus::Archived, true),
        ];
        for (status, starts) in statuses {
            let revision = Revision { status, ..approved.clone() };
            assert_eq!((is_usable(&revision, built), is_usable(&revision, started)), (false, starts));
        }
        let other = uuid::Uuid::from_u128(77);
        let strange = [
            Revision { workspace_id: WorkspaceId(other), ..approved.clone() },
            Revision { sender_id: crate::model::SenderId(other), ..approved.clone() },
            Revision { saddr: "other".to_owned(), ..approved.clone() },
            Revision { ston: 1, ..approved.clone() },
            Revision { snpi: 1, ..approved.clone() },
            Revision { decided_by: None, ..approved.clone() },
        ];
        assert!(strange.iter().all(|revision| !is_usable(revision, started)));
    }
}
