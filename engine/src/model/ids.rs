//! Identifiers and the phone number. A number shows only its trailing digits unless asked for in full.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<$name> for EntityId {
            fn from(id: $name) -> Self {
                Self(id.0)
            }
        }
    };
}

/// The id of any stored entity, a UUID of version 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntityId(pub Uuid);

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

id!(
    /// A tenant.
    WorkspaceId
);
id!(
    /// A campaign, also the id of the draft that it came from.
    CampaignId
);
id!(
    /// A sender name; its approved values live in its revisions.
    SenderId
);
id!(
    /// A message template; its texts live in its versions.
    TemplateId
);
id!(
    /// A person or program with an account.
    UserId
);

/// An E.164 number as digits: at most fifteen, the first never zero. `Debug` and `Display` mask all but four.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(pub u64);

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "••••••{:04}", self.0 % 10_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_never_prints_more_than_its_trailing_digits() {
        assert_eq!(format!("{} {:?}", Number(4_915_112_345_678), Number(49_151)), "••••••5678 ••••••9151");
    }
}
