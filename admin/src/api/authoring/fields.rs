//! The writable fields of a campaign: one list of them for drafts, edits and one-call campaigns.
//!
//! Every field may be absent; `null` takes a value back. Types are checked when they are read, lengths by
//! [`Fields::check_bounds`], sense by `judge`. Modes are read under their other names too and always written canonical.

use super::findings::Findings;
use engine::model::{Campaign, DeliveryPolicy, Lane, Mode, Schedule};
use engine::text::MAX_TEXT_CHARS;
use jiff::civil::DateTime;
use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use uuid::Uuid;

/// Longest name of a campaign, characters: a line of a list.
const MAX_NAME_CHARS: usize = 200;
/// Longest short text (zone, time, channel), characters: the longest of them that exists is below 40.
const MAX_WORD_CHARS: usize = 64;

/// A member of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Given<T> {
    /// Not there: stays as it is.
    #[default]
    Absent,
    /// `null`: has no value from now on.
    Null,
    /// Has this value.
    Value(T),
}

impl<T> Given<T> {
    /// The value, if there is one.
    pub(crate) const fn get(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// Whether the body does not mention it.
    pub(crate) const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl<T> From<Option<T>> for Given<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Absent, Self::Value)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(|value| value.map_or(Self::Null, Self::Value))
    }
}

impl<T: Serialize> Serialize for Given<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.get().serialize(serializer)
    }
}

/// A mode under any of its names (C6); written canonical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct ModeName(pub(crate) Mode);

impl<'de> Deserialize<'de> for ModeName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let letters = name.chars().take(MAX_WORD_CHARS).filter(|c| !matches!(c, '-' | '_' | ' '));
        let mode = match letters.flat_map(char::to_lowercase).collect::<String>().as_str() {
            "ondemand" | "immediate" => Mode::OnDemand,
            "ontime" | "scheduled" => Mode::OnTime,
            "spread" => Mode::Spread,
            "trigger" => Mode::Trigger,
            _ => {
                let unknown = Unexpected::Other("a word");
                return Err(D::Error::invalid_value(unknown, &"OnDemand, OnTime, Spread or Trigger"));
            }
        };
        Ok(Self(mode))
    }
}

/// A stretch of time as it is written, its end not included.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WindowBody {
    /// Local time in `time_zone`, or with an offset.
    #[schema(example = "2026-11-21T09:00", max_length = 64)]
    pub(crate) from: String,
    /// The same; for OnTime the latest moment.
    #[schema(example = "2026-11-21T18:00", max_length = 64)]
    pub(crate) to: String,
}

/// A recipient of a one-call campaign.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecipientBody {
    /// Digits with optional `+`, spaces, dashes or leading `00`; a national form only with the workspace's default region.
    #[schema(example = "+49 170 1234567", max_length = 64)]
    pub(crate) number: String,
    /// Values of the text's variables by their names; others are not used.
    #[serde(default)]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    pub(crate) variables: BTreeMap<String, String>,
}

macro_rules! writable {
    ($($(#[$attr:meta])+ $field:ident: $type:ty,)+) => {
        /// What is written about a campaign.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
        #[serde(default, deny_unknown_fields)]
        #[schema(as = CampaignFields)]
        pub(crate) struct Fields {
            $($(#[$attr])+ #[serde(skip_serializing_if = "Given::is_absent")] pub(crate) $field: Given<$type>,)+
        }

        /// A change of what is written about a campaign or a draft.
        #[derive(Debug, Default, Deserialize, ToSchema)]
        #[serde(default, deny_unknown_fields)]
        #[schema(as = CampaignEdit)]
        pub(crate) struct Edit {
            /// The version that was seen: needed for a campaign, for a draft only where nothing may be overwritten unseen.
            #[schema(value_type = Option<u32>)]
            pub(crate) version: Given<u32>,
            $($(#[$attr])+ $field: Given<$type>,)+
        }

        impl Edit {
            /// The fields alone.
            pub(crate) fn fields(self) -> Fields {
                Fields { $($field: self.$field,)+ }
            }
        }

        /// A whole campaign in one call.
        #[derive(Debug, Default, Deserialize, ToSchema)]
        #[serde(default, deny_unknown_fields)]
        #[schema(as = NewCampaign)]
        pub(crate) struct WholeCampaign {
            /// Who gets it, at most 10,000; none for Trigger.
            #[schema(value_type = Option<Vec<RecipientBody>>, max_items = 10_000)]
            pub(crate) recipients: Given<Vec<RecipientBody>>,
            $($(#[$attr])+ $field: Given<$type>,)+
        }

        impl WholeCampaign {
            /// Recipients and fields.
            pub(crate) fn split(self) -> (Vec<RecipientBody>, Fields) {
                let recipients = match self.recipients {
                    Given::Value(recipients) => recipients,
                    Given::Absent | Given::Null => Vec::new(),
                };
                (recipients, Fields { $($field: self.$field,)+ })
            }
        }
    };
}

writable! {
    /// For people.
    #[schema(value_type = Option<String>, example = "Winter sale", min_length = 1, max_length = 200)]
    name: String,
    /// `OnDemand`, `OnTime`, `Spread` or `Trigger`.
    #[schema(value_type = Option<String>, example = "OnDemand")]
    mode: ModeName,
    /// The message; `{name}` stands for the value of a variable.
    #[schema(value_type = Option<String>, example = "Hello {name}, our sale begins today.", max_length = 4096)]
    text: String,
    /// Whose newest approved revision is used.
    #[schema(value_type = Option<Uuid>)]
    sender_id: Uuid,
    /// Another approved address of the workspace in place of the sender's.
    #[schema(value_type = Option<String>, example = "Shop", max_length = 20)]
    saddr: String,
    /// Type of number of `saddr`.
    #[schema(value_type = Option<u8>, maximum = 6)]
    ston: u8,
    /// Numbering plan of `saddr`.
    #[schema(value_type = Option<u8>, maximum = 18)]
    snpi: u8,
    /// Type of number of the recipients; 1 by default.
    #[schema(value_type = Option<u8>, maximum = 6)]
    dton: u8,
    /// Numbering plan of the recipients; 1 by default.
    #[schema(value_type = Option<u8>, maximum = 18)]
    dnpi: u8,
    /// When an OnTime campaign starts: local time in `time_zone`, or with an offset.
    #[schema(value_type = Option<String>, example = "2026-11-21T18:00", max_length = 64)]
    start_at: String,
    /// Within what it sends.
    #[schema(value_type = Option<WindowBody>)]
    window: WindowBody,
    /// IANA name; the workspace's by default.
    #[schema(value_type = Option<String>, example = "Europe/Berlin", max_length = 64)]
    time_zone: String,
    /// Recipients of one local day.
    #[schema(value_type = Option<u64>, minimum = 1)]
    daily_limit: u64,
    /// Whether approval starts it; `false` by default.
    #[schema(value_type = Option<bool>)]
    auto_start: bool,
    /// Whether quiet hours do not hold for it; Trigger only.
    #[schema(value_type = Option<bool>)]
    ignore_daily_window: bool,
    /// `at_most_once` or `at_least_once`.
    #[schema(value_type = Option<String>, example = "at_most_once")]
    delivery_policy: DeliveryPolicy,
    /// How long the SMSC tries, seconds.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 2_764_799)]
    validity_s: u32,
    /// `otp`, `normal` or `bulk`; `otp` by default for Trigger, else `normal`.
    #[schema(value_type = Option<String>, example = "normal")]
    lane: Lane,
    /// Whether people who opted out still get it.
    #[schema(value_type = Option<bool>)]
    transactional: bool,
    /// The only channel to use.
    #[schema(value_type = Option<String>, max_length = 64)]
    channel: String,
}

impl Fields {
    /// As a draft keeps them.
    pub(crate) fn stored(&self) -> BTreeMap<String, serde_json::Value> {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::Object(map)) => map.into_iter().collect(),
            Ok(_) | Err(_) => unreachable!("fields are an object with text keys"),
        }
    }

    /// As a draft has kept them; what an older version kept in another form is left out.
    pub(crate) fn of_draft(stored: &BTreeMap<String, serde_json::Value>) -> Self {
        let map = stored.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        serde_json::from_value(serde_json::Value::Object(map)).unwrap_or_default()
    }

    /// As they would have to be written to get this campaign. The source address is left to the sender.
    pub(crate) fn of_campaign(campaign: &Campaign) -> Self {
        let (content, rules) = (&campaign.content, &campaign.content.rules);
        let Schedule { start_at, window, time_zone } = &rules.schedule;
        let local = |at: DateTime| at.to_string();
        let sender_id = Some(content.sender_id.0).filter(|id| !id.is_nil());
        Self {
            name: Given::Value(campaign.name.clone()),
            mode: Given::Value(ModeName(campaign.mode)),
            text: Given::Value(content.text.clone()),
            sender_id: sender_id.into(),
            saddr: Given::Absent,
            ston: Given::Absent,
            snpi: Given::Absent,
            dton: Given::Value(content.dton),
            dnpi: Given::Value(content.dnpi),
            start_at: start_at.map(local).into(),
            window: window.map(|window| WindowBody { from: local(window.from), to: local(window.to) }).into(),
            time_zone: Given::Value(time_zone.clone()),
            daily_limit: rules.daily_limit.into(),
            auto_start: Given::Value(rules.auto_start),
            ignore_daily_window: Given::Value(rules.ignore_daily_window),
            delivery_policy: Given::Value(campaign.delivery_policy),
            validity_s: rules.validity_s.into(),
            lane: Given::Value(rules.lane),
            transactional: Given::Value(rules.transactional),
            channel: rules.channel.clone().into(),
        }
    }

    /// With the given fields of `edit` in place of its own.
    pub(crate) fn merged(self, edit: &Self) -> Self {
        let mut stored = self.stored();
        for (name, value) in edit.stored() {
            if value.is_null() {
                stored.remove(&name);
            } else {
                stored.insert(name, value);
            }
        }
        Self::of_draft(&stored)
    }

    /// Whether it says anything about the source address.
    pub(crate) const fn names_source(&self) -> bool {
        !(self.sender_id.is_absent()
            && self.saddr.is_absent()
            && self.ston.is_absent()
            && self.snpi.is_absent())
    }

    /// Finds texts that are too long or hold what no line of text does: what may not even be kept in a draft.
    pub(crate) fn check_bounds(&self, findings: &mut Findings) {
        if let Some(name) = self.name.get() {
            let chars = name.trim().chars().count();
            if chars == 0 || chars > MAX_NAME_CHARS || name.chars().any(char::is_control) {
                let message = format!("A name has 1 to {MAX_NAME_CHARS} characters on one line.");
                findings.add("name", "out_of_range", message);
            }
        }
        if self.text.get().is_some_and(|text| text.chars().count() > MAX_TEXT_CHARS) {
            let message = format!("A text has at most {MAX_TEXT_CHARS} characters.");
            findings.add("text", "too_long", message);
        }
        let words = [
            ("saddr", self.saddr.get()),
            ("start_at", self.start_at.get()),
            ("window.from", self.window.get().map(|window| &window.from)),
            ("window.to", self.window.get().map(|window| &window.to)),
            ("time_zone", self.time_zone.get()),
            ("channel", self.channel.get()),
        ];
        for (field, word) in words {
            if word.is_some_and(|word| word.chars().count() > MAX_WORD_CHARS) {
                let message = format!("This has at most {MAX_WORD_CHARS} characters.");
                findings.add(field, "too_long", message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(value: serde_json::Value) -> Fields {
        serde_json::from_value(value).expect("fields")
    }

    #[test]
    fn every_other_name_of_a_mode_is_read_and_only_the_canonical_one_written() {
        let table = [
            ("OnDemand", "OnDemand"),
            ("On-demand", "OnDemand"),
            ("immediate", "OnDemand"),
            ("Scheduled", "OnTime"),
            ("on_time", "OnTime"),
            ("SPREAD", "Spread"),
            ("Trigger", "Trigger"),
        ];
        for (read, written) in table {
            assert_eq!(fields(json!({"mode": read})).stored()["mode"], written, "{read}");
        }
        serde_json::from_value::<Fields>(json!({"mode": "Sometimes"})).expect_err("no mode");
    }

    #[test]
    fn an_edit_keeps_what_it_does_not_name_and_null_takes_back() {
        let before = fields(json!({"name": "a", "daily_limit": 5, "auto_start": true}));
        let after = before.merged(&fields(json!({"name": "b", "daily_limit": null})));
        assert_eq!(after, fields(json!({"name": "b", "auto_start": true})));
        assert_eq!(
            serde_json::to_value(after.stored()).expect("JSON"),
            json!({"name": "b", "auto_start": true})
        );
    }

    #[test]
    fn texts_beyond_their_bounds_are_all_found() {
        let long = "x".repeat(MAX_TEXT_CHARS + 1);
        let wrong =
            fields(json!({"name": " ", "text": long, "channel": long, "window": {"from": "", "to": long}}));
        let mut findings = Findings::default();
        wrong.check_bounds(&mut findings);
        let found: Vec<_> = findings.errors().into_iter().map(|error| error.field).collect();
        assert_eq!(found, ["name", "text", "window.to", "channel"]);
        let mut findings = Findings::default();
        fields(json!({"name": "x".repeat(MAX_NAME_CHARS)})).check_bounds(&mut findings);
        assert!(findings.errors().is_empty());
    }
}
