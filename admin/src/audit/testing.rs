//! Notes and stores for the tests of the audit pipeline.

use engine::model::{EntityId, Principal};
use engine::store::{Note, Scope};
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

/// When the note number `n` happened.
pub(super) fn second(n: u32) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + i64::from(n)).expect("a time of our age")
}

/// The note number `n`; all are about equally long.
pub(super) fn note(n: u32) -> Note {
    Note {
        id: Uuid::from_u128(0x7000_0000_0000_0000 << 64 | u128::from(n)),
        scope: Scope::Platform,
        at: second(n),
        by: Principal { address: Some("192.0.2.1".to_owned()), ..Principal::engine() },
        action: "login.failed".to_owned(),
        entity_kind: "user".to_owned(),
        entity_id: EntityId(Uuid::nil()),
        subject: None,
        details: json!({ "n": format!("{n:06}") }),
    }
}
