//! The pure domain: what a workspace, sender, campaign, part and outcome are. No IO, no clock, no store.

mod access;
mod account;
mod audit;
mod campaign;
mod draft;
mod erasure;
pub mod explain;
mod ids;
mod job_error;
pub mod keyword;
mod lifecycle;
mod platform;
pub mod record;
mod retention;
mod schedule;
mod sender;
mod source;
mod suppression;
mod template;
pub mod traffic;
mod unit;
pub mod values;
mod workspace;

pub use access::{Answer, ApiKey, KeyScope, Login, LoginUse, PasswordLink};
pub use account::{Admission, Credential, Invitation, JoinRequest, Membership, Preferences, Role, User};
pub use audit::{AuditEvent, Principal};
pub use campaign::{
    Approval, Campaign, CampaignNo, Content, Counts, DeliveryPolicy, Filing, Lane, MAX_PARTS, MAX_RECIPIENTS,
    Mode, RetryRule, SendingRules, Upload, Variable,
};
pub use draft::{Draft, DraftStatus, Export, ExportFormat, ExportStatus};
pub use erasure::{DraftStep, Erasure, ErasureStatus, ErasureStep, Identity, NumberHash};
pub use ids::{CampaignId, EntityId, Number, SenderId, TemplateId, UserId, WorkspaceId};
pub use job_error::{JobError, JobErrorCode, JobErrors, MAX_JOB_DETAIL_CHARS, MAX_JOB_ERRORS};
pub use lifecycle::{HoldReason, Move, Status};
pub use platform::{
    AuditOverflow, Claim, CtnChoice, CtnHash, PasswordPolicy, Roster, Settings, Share, SharePart,
};
pub use retention::{RETENTION_WAIT, expired_before};
pub use schedule::{LocalWindow, Plan, PlanSpan, QuietHours, Schedule};
pub use sender::{Revision, RevisionMove, RevisionStatus, Sender};
pub use source::{
    MAX_DIGITS, MAX_NAME_CHARS, MAX_TON, NPIS, SourceFault, TON_ALPHANUMERIC, check_source, skeleton,
};
pub use suppression::{MAX_SOURCE_CHARS, Suppression, SuppressionKind};
pub use template::{MessageTemplate, TemplateStatus, TemplateVersion};
pub use unit::{CHUNK_RECIPIENTS, ChunkNo, ChunkState, Incarnation, NO_TIME, Run, UnitStatus};
pub use values::{MAX_ROW_OCTETS, MAX_VALUE_CHARS, MAX_VARIABLES, Row, ValueFault, Values};
pub use workspace::{Policies, Terms, Workspace};
