//! What comes before and after a campaign: the draft of the wizard, and files exported from it.

use crate::model::{CampaignId, CampaignNo, UnitStatus, Upload, UserId, WorkspaceId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Where a draft stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DraftStatus {
    /// Being filled in.
    Open,
    /// A campaign with its id exists.
    Submitted,
    /// Given up; its recipients are gone.
    Deleted,
}

/// An unfinished campaign: no campaign yet, and counted nowhere. Its id becomes the campaign's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// Its id.
    pub id: CampaignId,
    /// Where.
    pub workspace_id: WorkspaceId,
    /// The number under which its recipients are stored.
    pub no: CampaignNo,
    /// What was filled in so far, by the name of the writable field; checked as a whole when it is submitted.
    pub fields: BTreeMap<String, serde_json::Value>,
    /// What its recipient file held.
    pub upload: Option<Upload>,
    /// Where it stands.
    pub status: DraftStatus,
    /// Whose it is.
    pub created_by: UserId,
    /// Who else had a hand in it, each once: none of them approves what becomes of it.
    #[serde(default)]
    pub edited_by: Vec<UserId>,
    /// Counts changes.
    pub version: u32,
    /// When it was begun.
    pub created_at: jiff::Timestamp,
    /// When it changed last.
    pub updated_at: jiff::Timestamp,
}

/// Where an export stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExportStatus {
    /// Waits for its turn.
    Queued,
    /// Is being written.
    Running,
    /// Can be fetched.
    Ready,
    /// Could not be written.
    Failed,
    /// Its file is removed.
    Expired,
}

/// The form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    /// Columns with a header.
    Csv,
    /// One number a line.
    Txt,
}

/// A file of a campaign's recipients, made in the background.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// Its id.
    pub id: Uuid,
    /// Where.
    pub workspace_id: WorkspaceId,
    /// Of what.
    pub campaign_id: CampaignId,
    /// Its form.
    pub format: ExportFormat,
    /// Only recipients that stand there; empty for all.
    pub statuses: Vec<UnitStatus>,
    /// Whether numbers are written in full.
    pub full_numbers: bool,
    /// Where it stands.
    pub status: ExportStatus,
    /// Rows written, once ready.
    pub rows: u64,
    /// Octets of the file, once ready.
    pub bytes: u64,
    /// Why it failed.
    pub reason: Option<String>,
    /// For whom.
    pub created_by: UserId,
    /// Counts changes.
    pub version: u32,
    /// When it was asked for.
    pub created_at: jiff::Timestamp,
    /// When its file is removed.
    pub expires_at: Option<jiff::Timestamp>,
}
