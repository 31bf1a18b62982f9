//! Instants as answers write them: RFC 3339 in UTC with milliseconds.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// An instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub(crate) Timestamp);

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:.3}", self.0))
    }
}

impl PartialSchema for Moment {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        let text = text.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
        let example = Some(serde_json::json!("2026-11-21T18:00:00.000Z"));
        RefOr::T(Schema::Object(text.description(Some("RFC 3339, UTC")).examples(example).build()))
    }
}

impl ToSchema for Moment {
    fn name() -> std::borrow::Cow<'static, str> {
        "Moment".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_has_milliseconds_even_when_they_are_zero() {
        let text = |text: &str| serde_json::to_value(Moment(text.parse().expect("a time"))).expect("JSON");
        assert_eq!(text("2026-11-21T18:00:00Z"), "2026-11-21T18:00:00.000Z");
        assert_eq!(text("2026-11-21T18:00:00.123456+01:00"), "2026-11-21T17:00:00.123Z");
    }
}
