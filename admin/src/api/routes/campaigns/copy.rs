//! A campaign made anew in another workspace from an archived one: its text and recipients, nothing that was approved.
//!
//! Recipients are copied a chunk at a time, so that memory stays at one chunk. The campaign exists once they are
//! durable; a copy that ends early leaves nothing behind.

use crate::api::authoring::list::{self, Copying, Stored, discard};
use crate::api::authoring::quota;
use crate::api::authoring::upload::open_list;
use crate::api::caller::Member;
use crate::api::erasing::has_numbers;
use crate::api::note::note;
use crate::api::permission::Standing;
use crate::api::problem::Problem;
use crate::api::state::Api;
use engine::model::{
    Campaign, CampaignId, CampaignNo, Content, Filing, Mode, SenderId, Status, Upload, Workspace, WorkspaceId,
};
use engine::store::{Change, Entity, Expect, Kind, Scope};
use serde_json::json;
use uuid::Uuid;

/// Copies it into `target`; the caller is Admin there, which was checked.
///
/// # Errors
/// `quota_exceeded`, where the target has no room for the recipients; `state_conflict` when their numbers were erased;
/// those of [`list::copy_for`]; the store's.
pub(super) async fn copy(
    api: &Api,
    member: &Member,
    original: &Campaign,
    target: &Workspace,
) -> Result<Campaign, Problem> {
    has_numbers(original)?;
    let octets = if original.mode == Mode::Trigger { 0 } else { quota::of_campaign(original) };
    let _room = quota::reserve(api, target, octets).await?;
    // What is copied now is found by whoever erases behind it.
    let _lists = api.erasing.reading_soon().await?;
    let scope = Scope::Workspace(original.workspace_id);
    if let Entity::Campaign(now) = api.catalog.get(scope, Kind::Campaign, original.id.into()).await? {
        has_numbers(&now)?;
    }
    let list = if original.mode == Mode::Trigger {
        None
    } else {
        Some(recipients((api, target.id), original).await?)
    };
    let no = match &list {
        Some(list) => list.no,
        None => open_list(api).await?,
    };
    let mut made = anew(original, (no, 0), (target, member), api.now());
    if let Some(list) = list {
        made.recipients = list.recipients;
        made.content.recipients_digest = list.digest;
    }
    if let Err(problem) = record(api, member, (original, &made)).await {
        discard(api, no).await;
        return Err(problem);
    }
    api.engine.campaign_changed(made.workspace_id, made.id);
    Ok(made)
}

/// Stores it. That a list leaves its workspace is on record there before it is done.
async fn record(api: &Api, member: &Member, (original, made): (&Campaign, &Campaign)) -> Result<(), Problem> {
    let details = json!({ "workspace": made.workspace_id, "campaign": made.id });
    note(api, member, "campaign.restore_elsewhere", (Kind::Campaign, original.id), details).await?;
    let (scope, entity) = (Scope::Workspace(made.workspace_id), Entity::Campaign(Box::new(made.clone())));
    let change = Change { scope, expect: Expect::Absent, entity, action: "campaign.restore_copy" };
    let by = member.caller.principal(Standing::Admin.role());
    Ok(api.catalog.apply(vec![change], &by, api.now()).await?)
}

/// Copies the recipients that still have a number.
async fn recipients(whose: (&Api, WorkspaceId), original: &Campaign) -> Result<Stored, Problem> {
    let names = original.content.variables.iter().map(|variable| variable.name.clone());
    let copying = Copying {
        from: original.no,
        width: original.content.variables.len(),
        kept: names.enumerate().collect(),
        only: None,
        left_out: None,
    };
    list::copy_for(whose, copying).await
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
        edited_by: Vec::new(),
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
