//! A campaign made anew in another workspace from an archived one: its text and recipients, nothing that was approved.
//!
//! Recipients are copied a chunk at a time, so that memory stays at one chunk. The campaign exists once they are
//! durable; a copy that ends early leaves nothing behind.

use crate::api::authoring::quota;
use crate::api::caller::Member;
use crate::api::permission::Standing;
use crate::api::problem::Problem;
use crate::api::state::Api;
use engine::model::{
    Campaign, CampaignId, CampaignNo, ChunkNo, Content, Filing, Mode, SenderId, Status, Upload, Workspace,
};
use engine::store::{Change, Entity, Expect, Scope, StoreError};
use uuid::Uuid;

/// Copies it into `target`; the caller is Admin there, which was checked.
///
/// # Errors
/// `quota_exceeded`, where the target has no room for the recipients; the store's.
pub(super) async fn copy(
    api: &Api,
    member: &Member,
    original: &Campaign,
    target: &Workspace,
) -> Result<Campaign, Problem> {
    quota::check(api, target, quota::of_campaign(original)).await?;
    let no = api.catalog.next_campaign_no().await?;
    let recipients = recipients(api, original, no).await?;
    let made = anew(original, (no, recipients), (target, member), api.now());
    let (scope, entity) = (Scope::Workspace(target.id), Entity::Campaign(Box::new(made.clone())));
    let change = Change { scope, expect: Expect::Absent, entity, action: "campaign.restore_copy" };
    let by = member.caller.principal(Standing::Admin.role());
    if let Err(error) = api.catalog.apply(vec![change], &by, api.now()).await {
        if let Err(left) = api.journal.remove(no).await {
            tracing::warn!(campaign = no.0, %left, "recipients of a campaign that was not made are left");
        }
        return Err(error.into());
    }
    api.engine.campaign_changed(made.workspace_id, made.id);
    Ok(made)
}

/// Copies the recipients; how many there are.
async fn recipients(api: &Api, original: &Campaign, no: CampaignNo) -> Result<u64, Problem> {
    let header = match api.journal.header(original.no).await {
        _ if original.mode == Mode::Trigger => None,
        Err(StoreError::NotFound) => None,
        header => Some(header?),
    };
    let expected = header.map_or(0, |header| header.recipients);
    let mut writer = api.journal.write_recipients(no, expected)?;
    let (mut copied, mut chunk): (u64, ChunkNo) = (0, 0);
    while copied < expected {
        let list = api.journal.recipients(original.no, chunk).await?;
        writer.chunk(&list.numbers, &list.values)?;
        copied += list.numbers.len() as u64;
        chunk += 1;
        // The store answers at once: without a pause nobody else would be served meanwhile.
        tokio::task::yield_now().await;
    }
    writer.finish()?;
    Ok(copied)
}

fn anew(
    original: &Campaign,
    (no, recipients): (CampaignNo, u64),
    (target, member): (&Workspace, &Member),
    now: jiff::Timestamp,
) -> Campaign {
    let nobody = Content {
        sender_id: SenderId(Uuid::nil()),
        revision_id: Uuid::nil(),
        saddr: String::new(),
        ston: 0,
        snpi: 0,
        ..original.content.clone()
    };
    // The list counts here like a file that came now.
    let upload = original.filing.upload.clone();
    let upload = upload.map(|upload| Upload { at: now, by: member.user_id(), ..upload });
    let mut content = nobody;
    // Channels serve workspaces: the one that it was pinned to may not serve this one.
    content.rules.channel = None;
    Campaign {
        id: CampaignId(Uuid::now_v7()),
        workspace_id: target.id,
        no,
        name: original.name.clone(),
        mode: original.mode,
        status: Status::New,
        hold_reason: None,
        content,
        delivery_policy: original.delivery_policy,
        version: 1,
        state_version: 1,
        stop_gen: 0,
        weight: 1,
        recipients,
        approvals: Vec::new(),
        created_by: member.user_id(),
        edited_by: None,
        created_at: now,
        started: false,
        finished: false,
        plan: None,
        reason: None,
        ended_at: None,
        charged: Vec::new(),
        counts: None,
        segment_counts: None,
        receipts_over: false,
        filing: Filing { restored_from: Some(original.id), upload, ..Filing::default() },
    }
}
