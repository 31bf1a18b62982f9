//! What audit logs take beside changes, and what checking them tells: notes, queries, reports.
//!
//! Changes of entities reach their log through [`Catalog::apply`](super::Catalog::apply) alone.

use super::{Scope, StoreError};
use crate::model::{AuditEvent, EntityId, Principal, UserId, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// Most notes in one call of [`Catalog::note`](super::Catalog::note): a transaction of some 10 ms.
pub const MAX_NOTES: usize = 256;
/// Longest action or kind of a note, octets.
pub const MAX_NOTE_WORD: usize = 64;
/// Longest role, address, user agent or request id of a note, octets: more than any browser sends.
pub const MAX_NOTE_TEXT: usize = 512;
/// Longest details of a note as JSON, octets.
pub const MAX_NOTE_DETAILS: usize = 16 << 10;

/// Something worth an audit event that changed no entity: a login, a refused attempt, an export, an upload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// Of its own, a UUID of version 7: storing the note twice stores it once.
    pub id: Uuid,
    /// Whose log it is for.
    pub scope: Scope,
    /// When it happened, kept to the millisecond.
    pub at: jiff::Timestamp,
    /// Who.
    pub by: Principal,
    /// What: `login.failed` and its like.
    pub action: String,
    /// What kind of thing it was done to.
    pub entity_kind: String,
    /// Which one.
    pub entity_id: EntityId,
    /// The account that it is about where that is not who acts: whose login failed.
    pub subject: Option<UserId>,
    /// What else there is to know; the event has it as its `after`.
    pub details: Value,
}

impl Note {
    /// The same within the limits: texts are cut between characters, details that are too long give way to their
    /// length.
    #[must_use]
    pub fn within_limits(mut self) -> Self {
        for word in [&mut self.action, &mut self.entity_kind] {
            cut(word, MAX_NOTE_WORD);
        }
        cut(&mut self.by.role, MAX_NOTE_TEXT);
        let texts = [&mut self.by.address, &mut self.by.user_agent, &mut self.by.request_id];
        texts.into_iter().flatten().for_each(|text| cut(text, MAX_NOTE_TEXT));
        let octets = self.details.to_string().len();
        if octets > MAX_NOTE_DETAILS {
            self.details = json!({ "left_out_octets": octets });
        }
        self
    }

    /// Whether it keeps within the limits.
    ///
    /// # Errors
    /// `Refused` with what is too long.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let by = &self.by;
        let texts = [Some(&by.role), by.address.as_ref(), by.user_agent.as_ref(), by.request_id.as_ref()];
        let long_text = texts.into_iter().flatten().any(|text| text.len() > MAX_NOTE_TEXT);
        let (what, most) = if self.action.len().max(self.entity_kind.len()) > MAX_NOTE_WORD {
            ("action or kind", MAX_NOTE_WORD)
        } else if long_text {
            ("role, address, user agent or request id", MAX_NOTE_TEXT)
        } else if self.details.to_string().len() > MAX_NOTE_DETAILS {
            ("details", MAX_NOTE_DETAILS)
        } else {
            return Ok(());
        };
        Err(StoreError::Refused(format!("the {what} of a note are at most {most} octets")))
    }
}

fn cut(text: &mut String, octets: usize) {
    text.truncate(text.floor_char_boundary(octets));
}

/// Most accounts that a query may name, and most entities.
pub const MAX_AUDIT_PEOPLE: usize = 200;

/// Which events of a log are wanted; whatever is not given does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Only what this account did.
    pub actor: Option<UserId>,
    /// Only what one of these did or what is about one of them, at most [`MAX_AUDIT_PEOPLE`]; `None` for everybody.
    pub people: Option<Vec<UserId>>,
    /// Only this action, or those that begin with it when it ends with a dot: `campaign.`.
    pub action: Option<String>,
    /// Only of entities of this kind.
    pub entity_kind: Option<String>,
    /// Only of one of these entities, their notes too, at most [`MAX_AUDIT_PEOPLE`]; `None` for all.
    pub entities: Option<Vec<EntityId>>,
    /// Not before this time.
    pub from: Option<jiff::Timestamp>,
    /// Before this time.
    pub to: Option<jiff::Timestamp>,
    /// Continue behind this place.
    pub before: Option<AuditPlace>,
    /// At most this many, `1..=MAX_PAGE`.
    pub limit: usize,
}

/// A place in the order of queries: newest first, the later one in the log first where times are equal. A note that
/// had to wait stands where it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AuditPlace {
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// Place in the log.
    pub seq: u64,
}

/// One page of events, newest first.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditPage {
    /// The events; perhaps fewer than asked for, even none, where many had to be looked through.
    pub items: Vec<AuditEvent>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<AuditPlace>,
}

/// Events of a segment: what expires together. A segment is sealed by the first event behind it.
pub const AUDIT_SEGMENT: u64 = 1_024;

/// What one call of [`Catalog::expire_audit`](super::Catalog::expire_audit) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditExpiry {
    /// Events dropped, in all logs together.
    pub events: u64,
    /// Whether there may be more to drop.
    pub more: bool,
}

/// What checking one log gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditReport {
    /// Whose log; `None` is the platform's.
    pub workspace_id: Option<WorkspaceId>,
    /// Events that are there and follow from one another, up to the break if there is one.
    pub events: u64,
    /// The first of them, 0 without any.
    pub first_seq: u64,
    /// The last of them, 0 without any.
    pub last_seq: u64,
    /// The hash of the newest sound event, hexadecimal. Noted down elsewhere it proves that nobody wrote a new chain.
    pub head: String,
    /// Anchors that stand for events that have expired; an event of the log records each.
    pub anchors: u64,
    /// Events that have expired: the first ones of the log.
    pub expired: u64,
    /// Where the log stops to be what was written.
    pub broken: Option<AuditBreak>,
}

/// The first place at which a log is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditBreak {
    /// The event that is wrong or missing.
    pub seq: u64,
    /// What is wrong with it.
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note() -> Note {
        Note {
            id: Uuid::from_u128(1),
            scope: Scope::Platform,
            at: jiff::Timestamp::UNIX_EPOCH,
            by: Principal::engine(),
            action: "login.failed".to_owned(),
            entity_kind: "user".to_owned(),
            entity_id: EntityId(Uuid::nil()),
            subject: None,
            details: Value::Null,
        }
    }

    #[test]
    fn a_note_that_is_too_long_anywhere_is_refused_until_it_is_cut() {
        let agent = Principal { user_agent: Some("ü".repeat(MAX_NOTE_TEXT)), ..Principal::engine() };
        for long in [
            Note { action: "a".repeat(MAX_NOTE_WORD + 1), ..note() },
            Note { entity_kind: "a".repeat(MAX_NOTE_WORD + 1), ..note() },
            Note { by: agent, ..note() },
            Note { details: Value::String("a".repeat(MAX_NOTE_DETAILS - 1)), ..note() },
        ] {
            let refused = long.check().expect_err("too long");
            assert!(matches!(refused, StoreError::Refused(_)), "{refused}");
            long.within_limits().check().expect("cut");
        }
        let longest = Note { details: Value::String("a".repeat(MAX_NOTE_DETAILS - 2)), ..note() };
        longest.check().expect("within the limits");
        assert_eq!(longest.clone().within_limits(), longest);
    }
}
