//! The pure domain: what a workspace, sender, campaign, part and outcome are. No IO, no clock, no store.

mod account;
mod audit;
mod campaign;
pub mod explain;
mod ids;
mod job_error;
pub mod keyword;
mod lifecycle;
pub mod record;
mod retention;
mod schedule;
mod sender;
mod suppression;
mod unit;
pub mod values;
mod workspace;

pub use account::{Admission, Credential, Invitation, JoinRequest, Membership, Role, User};
pub use audit::{AuditEvent, Principal};
pub use campaign::{
    Approval, Campaign, CampaignNo, Content, Counts, DeliveryPolicy, Lane, MAX_PARTS, MAX_RECIPIENTS, Mode,
    RetryRule, SendingRules, Variable,
};
pub use ids::{CampaignId, EntityId, Number, SenderId, UserId, WorkspaceId};
pub use job_error::{JobError, JobErrorCode, JobErrors, MAX_JOB_DETAIL_CHARS, MAX_JOB_ERRORS};
pub use lifecycle::{HoldReason, Move, Status};
pub use retention::{RETENTION_DAYS, RETENTION_WAIT, RetentionChange, expired_before, retention_in_force};
pub use schedule::{LocalWindow, Plan, PlanSpan, QuietHours, Schedule};
pub use sender::{Revision, RevisionStatus, Sender};
pub use suppression::{MAX_SOURCE_CHARS, Suppression, SuppressionKind};
pub use unit::{CHUNK_RECIPIENTS, ChunkNo, ChunkState, Incarnation, NO_TIME, Run, UnitStatus};
pub use values::{MAX_ROW_OCTETS, MAX_VALUE_CHARS, MAX_VARIABLES, Row, ValueFault, Values};
pub use workspace::Workspace;
