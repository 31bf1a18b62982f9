//! How campaigns are written: from the fields that people fill in and the list they upload to what an approval binds.
//!
//! `fields` is the one type of the writable fields, `judge` checks them as a whole against workspace, senders, channels
//! and time, `findings` gathers everything that is wrong. `upload`, `inline` and `list` put recipients into the journal as
//! far as `quota` lets them, `outlook` tells what would be sent when. Invariant: a draft, a one-call campaign, an edit and a resend pass the same
//! judgement, and nothing here writes a campaign: routes do, in one transaction with its audit event.

pub(crate) mod edit;
pub(crate) mod fields;
pub(crate) mod findings;
pub(crate) mod inline;
pub(crate) mod judge;
pub(crate) mod list;
pub(crate) mod outlook;
pub(crate) mod quota;
pub(crate) mod reception;
pub(crate) mod rejects;
pub(crate) mod source;
pub(crate) mod upload;
