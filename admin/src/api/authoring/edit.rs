//! Makes campaigns of what was judged: new ones, and new versions of those that still wait for their approval.

use super::judge::Judgement;
use super::list::Stored;
use super::upload::Taken;
use engine::model::{Campaign, CampaignId, Filing, Mode, Status, Upload, UserId, WorkspaceId};
use jiff::Timestamp;

/// Whose campaign, and when it was submitted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Author {
    /// Where.
    pub(crate) workspace: WorkspaceId,
    /// Who.
    pub(crate) user: UserId,
    /// When.
    pub(crate) at: Timestamp,
}

/// A campaign that waits for its approval.
pub(crate) fn new_campaign(id: CampaignId, author: Author, judgement: Judgement, list: Stored) -> Campaign {
    let Judgement { name, mode, mut content, delivery_policy } = judgement;
    if mode != Mode::Trigger {
        content.recipients_digest = list.digest;
    }
    Campaign {
        id,
        workspace_id: author.workspace,
        no: list.no,
        name,
        mode,
        status: Status::New,
        hold_reason: None,
        content,
        delivery_policy,
        version: 1,
        state_version: 1,
        stop_gen: 0,
        weight: 1,
        recipients: list.recipients,
        approvals: Vec::new(),
        created_by: author.user,
        edited_by: Vec::new(),
        created_at: author.at,
        started: false,
        finished: false,
        plan: None,
        reason: None,
        ended_at: None,
        charged: Vec::new(),
        counts: None,
        segment_counts: None,
        receipts_over: false,
        filing: Filing::default(),
    }
}

/// Those who had a hand in something besides its creator, with one more.
pub(crate) fn with_hand(mut edited_by: Vec<UserId>, created_by: UserId, by: UserId) -> Vec<UserId> {
    if by != created_by && !edited_by.contains(&by) {
        edited_by.push(by);
    }
    edited_by
}

/// The next version of a campaign: what was approved of it counts no longer.
pub(crate) fn next_version(campaign: Campaign, by: UserId) -> Campaign {
    Campaign {
        version: campaign.version + 1,
        state_version: campaign.state_version + 1,
        approvals: Vec::new(),
        edited_by: with_hand(campaign.edited_by, campaign.created_by, by),
        ..campaign
    }
}

/// What a file held, as drafts and campaigns keep it.
pub(crate) fn upload(taken: &Taken, by: UserId, at: Timestamp) -> Upload {
    Upload {
        bytes: taken.bytes,
        lines: taken.lines,
        accepted: taken.stored.recipients,
        duplicate: taken.duplicate,
        invalid: taken.invalid,
        invalid_by_reason: taken.invalid_by_reason.clone(),
        columns: taken.columns.clone(),
        variables: taken.stored.variables.clone(),
        digest: taken.stored.digest.clone(),
        at,
        by,
    }
}
