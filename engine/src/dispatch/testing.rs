//! An approved campaign and its sender revision, for the unit tests of the dispatcher.
//!
//! Only built for tests; plain data, nothing of it is in a store.

use crate::dispatch::config::{BindKind, ChannelConfig};
use crate::model::{
    Approval, Campaign, CampaignId, CampaignNo, Content, DeliveryPolicy, Mode, Revision, RevisionStatus,
    SenderId, SendingRules, Status, UserId, WorkspaceId,
};
use jiff::Timestamp;
use pdu::MessageIdForm;
use std::time::Duration;
use uuid::Uuid;

const ID: Uuid = Uuid::from_u128(7);

/// An approved sender revision.
pub(crate) fn revision() -> Revision {
    Revision {
        id: ID,
        sender_id: SenderId(ID),
        workspace_id: WorkspaceId(ID),
        n: 1,
        saddr: "shop".to_owned(),
        ston: 5,
        snpi: 0,
        status: RevisionStatus::Approved,
        version: 0,
        created_by: UserId(ID),
        decided_by: Some(UserId(Uuid::from_u128(8))),
        self_approved: false,
        submitted_by: None,
        registration_ref: None,
        note: None,
        created_at: Timestamp::UNIX_EPOCH,
        decided_at: None,
        archived_at: None,
    }
}

/// A text of one part from that revision.
pub(crate) fn content() -> Content {
    Content {
        text: "hello".to_owned(),
        variables: Vec::new(),
        sender_id: SenderId(ID),
        revision_id: ID,
        saddr: "shop".to_owned(),
        ston: 5,
        snpi: 0,
        dton: 1,
        dnpi: 1,
        parts: 1,
        receipts: false,
        recipients_digest: String::new(),
        rules: SendingRules::default(),
    }
}

/// A channel that nobody dials, for numbers of these prefixes.
pub(crate) fn channel(name: &str, prefixes: &[&str]) -> ChannelConfig {
    ChannelConfig {
        name: name.to_owned(),
        address: String::new(),
        system_id: String::new(),
        password: String::new(),
        system_type: String::new(),
        bind: BindKind::Transceiver,
        binds: 1,
        window: 10,
        rate_per_s: 0,
        enquire_link: Duration::ZERO,
        response_timeout: Duration::ZERO,
        message_id: MessageIdForm::Auto,
        prefixes: prefixes.iter().map(|p| (*p).to_owned()).collect(),
        weight: 1,
        workspaces: Vec::new(),
    }
}

/// An approved campaign of that revision, waiting for its start.
pub(crate) fn campaign(mode: Mode) -> Campaign {
    let campaign = Campaign {
        id: CampaignId(ID),
        workspace_id: WorkspaceId(ID),
        no: CampaignNo(1),
        name: "test".to_owned(),
        mode,
        status: Status::Pending,
        hold_reason: None,
        content: content(),
        delivery_policy: DeliveryPolicy::AtMostOnce,
        version: 1,
        state_version: 1,
        stop_gen: 0,
        weight: 1,
        recipients: 1,
        approvals: Vec::new(),
        created_by: UserId(ID),
        edited_by: Vec::new(),
        created_at: Timestamp::UNIX_EPOCH,
        started: false,
        finished: false,
        plan: None,
        reason: None,
        ended_at: None,
        charged: Vec::new(),
        counts: None,
        segment_counts: None,
        receipts_over: false,
        filing: crate::model::Filing::default(),
    };
    let content_hash = campaign.content_hash();
    let by = UserId(Uuid::from_u128(8));
    let approval = Approval { by, at: Timestamp::UNIX_EPOCH, version: 1, content_hash, self_approved: false };
    Campaign { approvals: vec![approval], ..campaign }
}
