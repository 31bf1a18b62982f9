//! A campaign as answers show it: what was written, what was approved, how far it is.

use super::moment::Moment;
use super::state::Api;
use engine::model::{
    Campaign, CampaignId, Counts, DeliveryPolicy, HoldReason, Lane, Mode, SenderId, Status, UserId,
    WorkspaceId,
};
use engine::schedule::Zone;
use engine::text::Template;
use jiff::civil::DateTime;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// A campaign.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Campaign)]
pub(crate) struct CampaignView {
    #[schema(value_type = Uuid)]
    id: CampaignId,
    #[schema(value_type = Uuid)]
    workspace_id: WorkspaceId,
    #[schema(example = "Winter sale")]
    name: String,
    #[schema(value_type = String, example = "OnDemand")]
    mode: Mode,
    #[schema(value_type = String, example = "New")]
    status: Status,
    /// Why it waits, if it does.
    #[schema(value_type = Option<String>, example = "awaiting_start")]
    hold_reason: Option<HoldReason>,
    /// Counts edits; an approval names the one that was seen.
    version: u32,
    text: String,
    /// `gsm7`, `latin1` or `ucs2`.
    #[schema(example = "gsm7")]
    encoding: Option<&'static str>,
    /// Most segments of one message.
    segments: u8,
    #[schema(value_type = Option<Uuid>)]
    sender_id: Option<SenderId>,
    /// The revision of the sender that was approved when it was submitted.
    revision_id: Option<Uuid>,
    #[schema(example = "Shop")]
    saddr: String,
    ston: u8,
    snpi: u8,
    dton: u8,
    dnpi: u8,
    start_at: Option<Moment>,
    /// The same in `time_zone`.
    #[schema(value_type = Option<String>, example = "2026-11-21T18:00:00")]
    start_at_local: Option<DateTime>,
    window: Option<WindowView>,
    #[schema(example = "Europe/Berlin")]
    time_zone: String,
    /// Recipients of one local day.
    daily_limit: Option<u64>,
    auto_start: bool,
    ignore_daily_window: bool,
    #[schema(value_type = String, example = "at_most_once")]
    delivery_policy: DeliveryPolicy,
    validity_s: Option<u32>,
    #[schema(value_type = String, example = "normal")]
    lane: Lane,
    transactional: bool,
    channel: Option<String>,
    /// Recipients by where they stand.
    counts: CountsView,
    /// Segments by where they stand.
    segments_counts: CountsView,
    approvals: Vec<ApprovalView>,
    /// Different people who must approve it.
    approvals_required: u8,
    #[schema(value_type = Uuid)]
    created_by: UserId,
    created_at: Moment,
    /// Who gave the last approval.
    #[schema(value_type = Option<Uuid>)]
    approved_by: Option<UserId>,
    approved_at: Option<Moment>,
    started_at: Option<Moment>,
    ended_at: Option<Moment>,
    /// Why it failed, or what its pre-flight lacks while that holds it.
    reason: Option<String>,
    rejection_note: Option<String>,
    archived_at: Option<Moment>,
    /// When the numbers of its recipients were erased; their hashes are left.
    numbers_erased_at: Option<Moment>,
    #[schema(value_type = Option<Uuid>)]
    restored_from: Option<CampaignId>,
    #[schema(value_type = Option<Uuid>)]
    resent_from: Option<CampaignId>,
}

/// A stretch of time, its end not included.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = Window)]
pub(crate) struct WindowView {
    from: Moment,
    to: Moment,
    /// The same in `time_zone`.
    #[schema(value_type = String)]
    from_local: DateTime,
    #[schema(value_type = String)]
    to_local: DateTime,
}

/// One approval.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Approval)]
pub(crate) struct ApprovalView {
    #[schema(value_type = Uuid)]
    by: UserId,
    at: Moment,
    version: u32,
    self_approved: bool,
}

/// How many stand where; the sum of all but `total` is `total`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Counts)]
pub(crate) struct CountsView {
    total: u64,
    queued: u64,
    in_flight: u64,
    sent: u64,
    delivered: u64,
    undeliverable: u64,
    rejected: u64,
    expired: u64,
    cancelled: u64,
    skipped: u64,
    failed: u64,
    unknown: u64,
}

impl From<Counts> for CountsView {
    fn from(c: Counts) -> Self {
        Self {
            total: c.total,
            queued: c.queued,
            in_flight: c.in_flight,
            sent: c.sent,
            delivered: c.delivered,
            undeliverable: c.undeliverable,
            rejected: c.rejected,
            expired: c.expired,
            cancelled: c.cancelled,
            skipped: c.skipped,
            failed: c.failed,
            unknown: c.unknown,
        }
    }
}

/// A campaign as it stands now; `approvals_required` is its workspace's.
pub(crate) fn campaign_view(api: &Api, campaign: &Campaign, approvals_required: u8) -> CampaignView {
    let content = &campaign.content;
    let rules = &content.rules;
    let zone = Zone::named(&rules.schedule.time_zone).ok();
    let instant = |local: DateTime| zone.as_ref().map(|zone| Moment(zone.resolve(local)));
    let window = rules.schedule.window.and_then(|window| {
        let (from, to) = (instant(window.from)?, instant(window.to)?);
        Some(WindowView { from, to, from_local: window.from, to_local: window.to })
    });
    let Live { counts, segments, hold_reason } = live(api, campaign);
    let last = campaign.approvals.last().filter(|_| was_approved(campaign, approvals_required));
    CampaignView {
        id: campaign.id,
        workspace_id: campaign.workspace_id,
        name: campaign.name.clone(),
        mode: campaign.mode,
        status: campaign.status,
        hold_reason,
        version: campaign.version,
        text: content.text.clone(),
        encoding: Template::of(content).ok().map(|template| encoding_word(template.encoding())),
        segments: content.parts,
        sender_id: Some(content.sender_id).filter(|id| !id.0.is_nil()),
        revision_id: Some(content.revision_id).filter(|id| !id.is_nil()),
        saddr: content.saddr.clone(),
        ston: content.ston,
        snpi: content.snpi,
        dton: content.dton,
        dnpi: content.dnpi,
        start_at: rules.schedule.start_at.and_then(instant),
        start_at_local: rules.schedule.start_at,
        window,
        time_zone: rules.schedule.time_zone.clone(),
        daily_limit: rules.daily_limit,
        auto_start: rules.auto_start,
        ignore_daily_window: rules.ignore_daily_window,
        delivery_policy: campaign.delivery_policy,
        validity_s: rules.validity_s,
        lane: rules.lane,
        transactional: rules.transactional,
        channel: rules.channel.clone(),
        counts: counts.into(),
        segments_counts: segments.into(),
        approvals: campaign.approvals.iter().map(approval_view).collect(),
        approvals_required,
        created_by: campaign.created_by,
        created_at: campaign.created_at.into(),
        approved_by: last.map(|approval| approval.by),
        approved_at: last.map(|approval| approval.at.into()),
        started_at: campaign.filing.started_at.map(Moment),
        ended_at: campaign.ended_at.map(Moment),
        reason: campaign.reason.clone(),
        rejection_note: campaign.filing.rejection_note.clone(),
        archived_at: campaign.filing.archived_at.map(Moment),
        numbers_erased_at: campaign.filing.numbers_erased_at.map(Moment),
        restored_from: campaign.filing.restored_from,
        resent_from: campaign.filing.resent_from,
    }
}

/// Whether it came past its approval: of one that ended before it began that shows in its approvals alone.
fn was_approved(campaign: &Campaign, approvals_required: u8) -> bool {
    match campaign.status {
        Status::New => false,
        status if status.is_final() && !campaign.started => {
            campaign.filing.rejection_note.is_none()
                && campaign.approvals.len() >= usize::from(approvals_required)
        }
        _ => true,
    }
}

/// What a campaign has reached, and why it waits.
pub(crate) struct Live {
    /// Recipients by where they stand.
    pub(crate) counts: Counts,
    /// The same in segments.
    pub(crate) segments: Counts,
    /// Why it waits, if it does.
    pub(crate) hold_reason: Option<HoldReason>,
}

/// As the engine knows it while it runs.
pub(crate) fn live(api: &Api, campaign: &Campaign) -> Live {
    let unsent = |total: u64| Counts { total, queued: total, ..Counts::default() };
    let units = campaign.recipients * u64::from(campaign.content.parts.max(1));
    let live = api.engine.progress(campaign.id);
    let counts = live.map(|live| live.counts).or(campaign.counts);
    let segments = live.map(|live| live.segments).or(campaign.segment_counts);
    let hold_reason = match campaign.status {
        Status::Sending => api.engine.hold_reason(campaign.id),
        _ => campaign.hold_reason,
    };
    Live {
        counts: counts.unwrap_or_else(|| unsent(campaign.recipients)),
        segments: segments.unwrap_or_else(|| unsent(units)),
        hold_reason,
    }
}

/// How answers call an encoding.
pub(crate) const fn encoding_word(encoding: engine::text::Encoding) -> &'static str {
    match encoding {
        engine::text::Encoding::Gsm7 => "gsm7",
        engine::text::Encoding::Latin1 => "latin1",
        engine::text::Encoding::Ucs2 => "ucs2",
    }
}

fn approval_view(approval: &engine::model::Approval) -> ApprovalView {
    let (by, version, self_approved) = (approval.by, approval.version, approval.self_approved);
    ApprovalView { by, at: approval.at.into(), version, self_approved }
}
