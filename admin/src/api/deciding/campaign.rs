//! What becomes of a campaign that is approved or rejected.

use super::{Judge, already};
use crate::api::problem::{Code, Problem};
use engine::model::{Approval, Campaign, Counts, Move, Revision, RevisionStatus, Status};
use jiff::Timestamp;

/// What a decision is made about.
#[derive(Clone, Copy, Debug)]
pub(in crate::api) struct Case<'a> {
    /// The campaign as it is stored.
    pub(in crate::api) campaign: &'a Campaign,
    /// The sender revision that it names, if there is one in its workspace.
    pub(in crate::api) revision: Option<&'a Revision>,
    /// Different people who must approve it.
    pub(in crate::api) required: u8,
}

impl Case<'_> {
    /// Whether this judge could approve it as it is.
    ///
    /// # Errors
    /// What approving it would be refused for.
    pub(in crate::api) fn may_approve(&self, judge: &Judge) -> Result<(), Problem> {
        may_decide(self.campaign, judge)?;
        self.undecided()?;
        if given(self.campaign).any(|approval| approval.by == judge.user) {
            return Err(Problem::new(Code::AlreadyApproved));
        }
        let content = &self.campaign.content;
        if content.sender_id.0.is_nil() {
            return Err(Problem::new(Code::SenderMissing));
        }
        match self.revision {
            Some(revision) if revision.status == RevisionStatus::Approved && revision.is_of(content) => {
                Ok(())
            }
            Some(revision) if revision.status == RevisionStatus::Archived => {
                let told = "The sender was archived, or another revision took its place.";
                Err(Problem::because(Code::SenderNotApproved, told))
            }
            _ => Err(Problem::new(Code::SenderNotApproved)),
        }
    }

    /// The campaign once this judge has approved this version: still `New` until enough people have.
    ///
    /// # Errors
    /// As for [`Case::may_approve`]; `version_changed`.
    pub(in crate::api) fn approve(
        &self,
        judge: &Judge,
        version: u32,
        now: Timestamp,
    ) -> Result<Campaign, Problem> {
        let self_approved = may_decide(self.campaign, judge)?;
        self.undecided()?;
        self.seen(version)?;
        self.may_approve(judge)?;
        let mut next = self.campaign.clone();
        let content_hash = next.content_hash();
        next.approvals = given(self.campaign).cloned().collect();
        next.approvals.push(Approval { by: judge.user, at: now, version, content_hash, self_approved });
        next.state_version += 1;
        if next.approvals_given() >= usize::from(self.required.max(1)) {
            next.status = next.status.after(Move::Approve).unwrap_or(next.status);
            next.hold_reason = Move::Approve.hold_reason();
        }
        Ok(next)
    }

    /// The campaign once this judge has rejected this version, with a note for its author.
    ///
    /// # Errors
    /// `self_approval_forbidden`, `already_decided`, `state_conflict`, `version_changed`.
    pub(in crate::api) fn reject(
        &self,
        judge: &Judge,
        (version, note): (u32, &str),
        now: Timestamp,
    ) -> Result<Campaign, Problem> {
        may_decide(self.campaign, judge)?;
        self.undecided()?;
        self.seen(version)?;
        let mut next = self.campaign.clone();
        let never_sent = |total| Some(Counts { total, cancelled: total, ..Counts::default() });
        next.status = next.status.after(Move::Reject).unwrap_or(next.status);
        next.hold_reason = None;
        next.reason = Some(note.to_owned());
        next.filing.rejection_note = Some(note.to_owned());
        next.ended_at = Some(now);
        next.counts = never_sent(next.recipients);
        next.segment_counts = never_sent(next.recipients * u64::from(next.content.parts.max(1)));
        next.receipts_over = true;
        next.state_version += 1;
        Ok(next)
    }

    /// Refuses what is not in the queue, naming the decision that was made.
    fn undecided(&self) -> Result<(), Problem> {
        let campaign = self.campaign;
        let status = campaign.status;
        if status == Status::New && campaign.filing.archived_at.is_none() {
            return Ok(());
        }
        if campaign.filing.rejection_note.is_some() {
            return Err(already("rejected", None, campaign.ended_at));
        }
        let last = given(campaign).max_by_key(|approval| approval.at);
        let is_approved = campaign.approvals_given() >= usize::from(self.required.max(1));
        let has_moved = !matches!(status, Status::New | Status::Cancelled | Status::Expired);
        if has_moved || (is_approved && status != Status::New) {
            return Err(already("approved", last.map(|a| a.by), last.map(|a| a.at)));
        }
        let told = match status {
            Status::New => "An archived campaign waits for no decision.".to_owned(),
            status => format!("A campaign that is {status} cannot be decided about."),
        };
        Err(Problem::because(Code::StateConflict, told).with("present_status", status.to_string()))
    }

    fn seen(&self, version: u32) -> Result<(), Problem> {
        let stored = self.campaign.version;
        if stored == version {
            return Ok(());
        }
        let told = format!("You have seen version {version}, it is at version {stored} now.");
        Err(Problem::because(Code::VersionChanged, told).with("version", stored))
    }
}

/// Whether this judge may decide about it; gives whether it is the judge's own.
///
/// # Errors
/// `self_approval_forbidden`.
pub(in crate::api) fn may_decide(campaign: &Campaign, judge: &Judge) -> Result<bool, Problem> {
    judge.four_eyes(campaign.is_own(judge.user))
}

/// Approvals of the present version, to the octet.
fn given(campaign: &Campaign) -> impl Iterator<Item = &Approval> {
    let hash = campaign.content_hash();
    campaign.approvals.iter().filter(move |a| a.version == campaign.version && a.content_hash == hash)
}

#[cfg(test)]
mod tests;
