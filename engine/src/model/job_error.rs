//! What went wrong with a campaign as a piece of work: lines of its file, its building, its binds, its store.
//!
//! Never what went wrong with one recipient's message: those codes are in the state columns. The two are stored,
//! asked for and explained apart.

use serde::{Deserialize, Serialize};

/// Job errors that are kept for a campaign; those beyond are counted. As many as anybody will look through.
pub const MAX_JOB_ERRORS: usize = 10_000;

/// Longest [`JobError::detail`] in characters: two sentences.
pub const MAX_JOB_DETAIL_CHARS: usize = 300;

macro_rules! codes {
    ($($(#[$doc:meta])+ $name:ident = $code:literal, $sentence:literal;)+) => {
        /// What went wrong. The codes are stable; the sentences may be reworded.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(into = "&'static str", try_from = "String")]
        pub enum JobErrorCode { $($(#[$doc])+ $name,)+ }

        impl JobErrorCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The stable code.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// One sentence for people.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)+ }
            }
        }
    };
}

codes! {
    /// The number column of a line is empty.
    LineEmpty = "line_empty", "The line has no number.";
    /// It holds something that no phone number has.
    LineNotANumber = "line_not_a_number", "The number column of the line does not hold a phone number.";
    /// Fewer digits than any number of that country.
    LineTooShort = "line_too_short", "The line's number has too few digits.";
    /// More digits than any number of that country.
    LineTooLong = "line_too_long", "The line's number has too many digits.";
    /// No country has this calling code.
    LineUnknownCountryCode = "line_unknown_country_code", "The line's number does not begin with the calling code of a country.";
    /// A national form, but no region was given.
    LineNationalWithoutRegion = "line_national_without_region", "The line's number is a national one and no default region was chosen.";
    /// The region has no such number.
    LineInvalidForRegion = "line_invalid_for_region", "The default region has no such number as the line's.";
    /// A spreadsheet changed the number.
    LineSpreadsheetNumber = "line_spreadsheet_number", "A spreadsheet rewrote the line's number; format the column as text and export again.";
    /// A control character stands in the number.
    LineControlCharacter = "line_control_character", "The line's number contains a control character.";
    /// The line is not readable text.
    LineBadEncoding = "line_bad_encoding", "The line is not readable text; save the file as UTF-8.";
    /// The line has more octets than allowed.
    LineOverlong = "line_overlong", "The line is longer than allowed and was left out.";
    /// The line has too few columns.
    LineMissingColumn = "line_missing_column", "The line lacks a column that the campaign needs.";
    /// A quote was opened and never closed.
    LineBadQuoting = "line_bad_quoting", "A quotation mark of the line is opened and not closed.";
    /// It repeats the number of an earlier line.
    LineDuplicate = "line_duplicate", "The line repeats the number of an earlier one, which is used.";
    /// The value of a variable cannot be used.
    LineBadValue = "line_bad_value", "A value of the line is missing or longer than its variable allows.";
    /// The text cannot be sent as it is.
    TextInvalid = "text_invalid", "The text cannot be sent: its variables, encoding or length do not fit the campaign.";
    /// The sender's revision is not approved, or was withdrawn.
    SenderNotApproved = "sender_not_approved", "The sender of the campaign is not approved, or its approval was withdrawn.";
    /// The content is not the approved one.
    ContentChanged = "content_changed", "The content is not the one that was approved.";
    /// The stored recipients are not the approved ones.
    RecipientsChanged = "recipients_changed", "The stored recipients are not those that were approved.";
    /// The campaign has no recipients to send to.
    NoRecipients = "no_recipients", "The campaign has nobody to send to.";
    /// No configured channel may carry it.
    NoChannel = "no_channel", "No channel may carry this campaign.";
    /// A bind that it needs is refused.
    BindRefused = "bind_refused", "The SMSC refuses a bind that the campaign needs.";
    /// Its schedule cannot be kept.
    PlanInfeasible = "plan_infeasible", "The schedule cannot be kept with the campaign's limits, days and quiet hours.";
    /// It is large and its pre-flight says no.
    Preflight = "preflight", "The campaign is large and its pre-flight says no; it starts by itself once that says go.";
    /// Its time ended before it was done.
    WindowOver = "window_over", "The time of the campaign ended before everything was sent.";
    /// The store could not be read or written.
    Store = "store", "The store could not be read or written; the work goes on when it can.";
    /// A defect of the engine.
    Internal = "internal", "The engine failed in a way that it should not; its log tells more.";
}

impl From<JobErrorCode> for &'static str {
    fn from(code: JobErrorCode) -> Self {
        code.code()
    }
}

impl TryFrom<String> for JobErrorCode {
    type Error = String;

    fn try_from(code: String) -> Result<Self, String> {
        Self::ALL.iter().copied().find(|known| known.code() == code).ok_or(format!("no job error: {code}"))
    }
}

/// One thing that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobError {
    /// Its place among those of the campaign, from 1; given by the store, whatever its writer says.
    pub seq: u64,
    /// When, millisecond precision.
    pub at: jiff::Timestamp,
    /// What.
    pub code: JobErrorCode,
    /// Which line of the recipient file, from 1.
    pub line: Option<u64>,
    /// What the code does not say; the store keeps [`MAX_JOB_DETAIL_CHARS`] of it. Never a full number or a text.
    pub detail: String,
}

/// Job errors of a campaign in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobErrors {
    /// A page of those that were kept.
    pub items: Vec<JobError>,
    /// All that were noted, kept or not.
    pub noted: u64,
}

impl JobErrors {
    /// Those that were noted and not kept.
    #[must_use]
    pub const fn beyond(&self) -> u64 {
        self.noted.saturating_sub(MAX_JOB_ERRORS as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_and_sentence_is_its_own_and_a_code_finds_its_way_back() {
        let count = JobErrorCode::ALL.len();
        let codes: BTreeSet<_> = JobErrorCode::ALL.iter().map(|code| code.code()).collect();
        let sentences: BTreeSet<_> = JobErrorCode::ALL.iter().map(|code| code.sentence()).collect();
        assert_eq!((codes.len(), sentences.len()), (count, count));
        for code in JobErrorCode::ALL {
            let json = serde_json::to_value(code).expect("a word");
            assert_eq!(json, code.code());
            assert_eq!(serde_json::from_value::<JobErrorCode>(json).expect("the same word"), *code);
        }
        serde_json::from_str::<JobErrorCode>("\"other\"").expect_err("the list is closed");
    }
}
