//! Faults: what can be asked for, how it is written on the command line and how chance picks one.
//!
//! A submit meets at most one fault: the shares of all submit faults partition one draw, so a share is exactly
//! the expected fraction of submits. Session faults are drawn once per bind, link faults once per `enquire_link`.

use pdu::CommandStatus;
use rand_chacha::{ChaCha8Rng, rand_core::Rng};

use super::response::status;

/// One kind of misbehaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Refuses the submit with `ESME_RTHROTTLED` (0x58).
    Throttled,
    /// Refuses the submit with `ESME_RMSGQFUL` (0x14).
    QueueFull,
    /// Refuses the submit with `ESME_RSYSERR` (0x08).
    SysErr,
    /// Refuses the submit with the given status.
    Refuse(u32),
    /// Accepts the submit and never answers it.
    NoResponse,
    /// Answers the submit twice.
    DuplicateResponse,
    /// Answers the submit 1 to 20 ms late, behind later ones.
    Disorder,
    /// Answers with a sequence number that was never asked.
    WrongSequence,
    /// Answers with a `deliver_sm_resp` where a `submit_sm_resp` belongs.
    WrongCommand,
    /// Answers with `generic_nack`; the message is not accepted.
    GenericNack,
    /// Writes 1 to 64 random octets into the stream in place of the response.
    Garbage,
    /// Writes a response whose `command_length` is 0, 4 or 2^31.
    BadLength,
    /// Writes half of the response, then closes.
    Truncated,
    /// Accepts the submit, then closes with FIN before answering.
    Drop,
    /// Accepts the submit, then resets the connection before answering.
    Reset,
    /// Accepts the submit, then neither reads nor writes any more while the connection stays open.
    HalfOpen,
    /// Sends `unbind` in mid-window and closes once it is answered, or after 5 s.
    UnbindMid,
    /// Sends the receipt before the response.
    ReceiptsFirst,
    /// Sends the receipt twice.
    ReceiptDuplicate,
    /// Sends one more receipt for a message id that was never issued.
    ReceiptUnknownId,
    /// Sends a receipt whose dates are not dates.
    ReceiptBadDate,
    /// Sends an intermediate state after the final receipt.
    ReceiptLateIntermediate,
    /// Accepts with an empty message id.
    EmptyMessageId,
    /// Accepts with a message id of 65 octets, one more than allowed.
    LongMessageId,
    /// Never answers any submit of the session.
    NeverRespond,
    /// Writes one octet at a time, one each `drip_us`.
    SlowDrip,
    /// Sends a burst of 100 `enquire_link` every 100 ms.
    EnquireFlood,
    /// Refuses the bind with `ESME_RBINDFAIL` (0x0D) and closes.
    BindRefuse,
    /// Never answers the bind.
    BindSilent,
    /// Does not answer an `enquire_link`.
    EnquireIgnore,
    /// Refuses the first N binds with `ESME_RALYBND` (0x05).
    AlreadyBound,
    /// Closes a connection after its Nth submit, which is accepted but not answered.
    CloseAfter,
}

/// When chance decides about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Submit,
    Session,
    EnquireLink,
    Count,
}

/// Every fault with its name, in the order of the enum.
const NAMES: [(Fault, &str); Fault::KINDS] = [
    (Fault::Throttled, "throttled"),
    (Fault::QueueFull, "queue_full"),
    (Fault::SysErr, "syserr"),
    (Fault::Refuse(0), "refuse"),
    (Fault::NoResponse, "no_response"),
    (Fault::DuplicateResponse, "duplicate_response"),
    (Fault::Disorder, "disorder"),
    (Fault::WrongSequence, "wrong_sequence"),
    (Fault::WrongCommand, "wrong_command"),
    (Fault::GenericNack, "generic_nack"),
    (Fault::Garbage, "garbage"),
    (Fault::BadLength, "bad_length"),
    (Fault::Truncated, "truncated"),
    (Fault::Drop, "drop"),
    (Fault::Reset, "reset"),
    (Fault::HalfOpen, "half_open"),
    (Fault::UnbindMid, "unbind_mid"),
    (Fault::ReceiptsFirst, "receipts_first"),
    (Fault::ReceiptDuplicate, "receipt_duplicate"),
    (Fault::ReceiptUnknownId, "receipt_unknown_id"),
    (Fault::ReceiptBadDate, "receipt_bad_date"),
    (Fault::ReceiptLateIntermediate, "receipt_late_intermediate"),
    (Fault::EmptyMessageId, "empty_message_id"),
    (Fault::LongMessageId, "long_message_id"),
    (Fault::NeverRespond, "never_respond"),
    (Fault::SlowDrip, "slow_drip"),
    (Fault::EnquireFlood, "enquire_flood"),
    (Fault::BindRefuse, "bind_refuse"),
    (Fault::BindSilent, "bind_silent"),
    (Fault::EnquireIgnore, "enquire_ignore"),
    (Fault::AlreadyBound, "already_bound"),
    (Fault::CloseAfter, "close_after"),
];

impl Fault {
    /// How many kinds there are.
    pub const KINDS: usize = 32;

    /// Every kind, `Refuse` with status 0.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(fault, _)| *fault)
    }

    /// The name on the command line, in the counts and in the ledger.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES[self.index()].1
    }

    /// Position in the table of kinds.
    pub(crate) fn index(self) -> usize {
        let kind = std::mem::discriminant(&self);
        NAMES
            .iter()
            .position(|(fault, _)| std::mem::discriminant(fault) == kind)
            .expect("the table names every kind")
    }

    /// The status of a plain refusal.
    pub(crate) fn refusal(self) -> Option<CommandStatus> {
        match self {
            Self::Throttled => Some(CommandStatus::THROTTLED),
            Self::QueueFull => Some(CommandStatus::MSG_QUEUE_FULL),
            Self::SysErr => Some(status::SYSTEM_ERROR),
            Self::Refuse(code) => Some(CommandStatus(code)),
            _ => None,
        }
    }

    fn moment(self) -> Moment {
        match self {
            Self::NeverRespond
            | Self::SlowDrip
            | Self::EnquireFlood
            | Self::BindRefuse
            | Self::BindSilent => Moment::Session,
            Self::EnquireIgnore => Moment::EnquireLink,
            Self::AlreadyBound | Self::CloseAfter => Moment::Count,
            _ => Moment::Submit,
        }
    }
}

/// A fault with how often it strikes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaultRule {
    /// What happens.
    pub fault: Fault,
    /// A share from 0 to 1, or the whole number N of `already_bound` and `close_after`.
    pub amount: f64,
}

/// Why a fault was not understood; the text is for the person at the command line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// The kind is not in the table.
    #[error("unknown fault `{0}`: use one of {1}")]
    UnknownKind(String, String),
    /// The share is no number from 0 to 1.
    #[error("the share of `{0}` must be a number from 0 to 1, not `{1}`")]
    BadShare(String, String),
    /// The count is no whole number of at least 1.
    #[error("`{0}` wants a whole number of at least 1, as in `{0}:3`, not `{1}`")]
    BadCount(String, String),
    /// A `refuse` without a usable status.
    #[error("`refuse` wants a status in hexadecimal and a share, as in `refuse:0x45:0.1`, not `{0}`")]
    BadStatus(String),
    /// The submit faults leave no room for each other.
    #[error("the shares of the submit faults add up to {0}, more than 1")]
    SharesAboveOne(String),
    /// The states leave no room for each other.
    #[error("the shares of the receipt states must be from 0 to 1 and add up to at most 1")]
    BadStateShares,
    /// A fault of receipts while receipts are off.
    #[error("the fault `{0}` needs receipts: add --receipts")]
    NeedsReceipts(&'static str),
}

impl FaultRule {
    /// `fault` with `amount` (a share, or N for the counted kinds).
    #[must_use]
    pub fn new(fault: Fault, amount: f64) -> Self {
        Self { fault, amount }
    }
}

impl std::str::FromStr for FaultRule {
    type Err = FaultError;

    /// Reads `KIND:SHARE`, `KIND` (share 1), `refuse:STATUSHEX[:SHARE]`, `already_bound:N` or `close_after:N`.
    fn from_str(text: &str) -> Result<Self, FaultError> {
        let (name, rest) = text.split_once(':').map_or((text, None), |(name, rest)| (name, Some(rest)));
        let Some((fault, _)) = NAMES.iter().find(|(_, known)| *known == name) else {
            let known: Vec<_> = NAMES.iter().map(|(_, known)| *known).collect();
            return Err(FaultError::UnknownKind(name.to_owned(), known.join(", ")));
        };
        if matches!(fault, Fault::Refuse(_)) {
            return parse_refuse(rest.unwrap_or(""));
        }
        if fault.moment() == Moment::Count {
            let count: u32 = rest
                .and_then(|count| count.parse().ok())
                .filter(|count| *count > 0)
                .ok_or_else(|| FaultError::BadCount(name.to_owned(), rest.unwrap_or("").to_owned()))?;
            return Ok(Self { fault: *fault, amount: f64::from(count) });
        }
        Ok(Self { fault: *fault, amount: parse_share(name, rest)? })
    }
}

fn parse_refuse(rest: &str) -> Result<FaultRule, FaultError> {
    let (code, share) = rest.split_once(':').map_or((rest, None), |(code, share)| (code, Some(share)));
    let digits = code.strip_prefix("0x").unwrap_or(code);
    match u32::from_str_radix(digits, 16) {
        Ok(code) if code != 0 => {
            Ok(FaultRule { fault: Fault::Refuse(code), amount: parse_share("refuse", share)? })
        }
        _ => Err(FaultError::BadStatus(rest.to_owned())),
    }
}

fn parse_share(name: &str, text: Option<&str>) -> Result<f64, FaultError> {
    let Some(text) = text else { return Ok(1.0) };
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err(FaultError::BadShare(name.to_owned(), text.to_owned())),
    }
}

/// The rules made ready for drawing.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaultPlan {
    /// Submit faults with the upper bound of their part of the draw.
    submit: Vec<(u64, Fault)>,
    /// Session and link faults with their own bound.
    own: Vec<(u64, Fault)>,
    /// N of `already_bound`.
    pub(crate) already_bound: u64,
    /// N of `close_after`, 0 for never.
    pub(crate) close_after: u64,
}

impl FaultPlan {
    /// Checks the rules and turns shares into bounds of a 32-bit draw.
    pub(crate) fn new(rules: &[FaultRule]) -> Result<Self, FaultError> {
        let mut plan = Self::default();
        let mut sum = 0.0;
        for rule in rules {
            match rule.fault.moment() {
                Moment::Submit => {
                    sum += rule.amount;
                    plan.submit.push((bound(sum), rule.fault));
                }
                Moment::Session | Moment::EnquireLink => plan.own.push((bound(rule.amount), rule.fault)),
                Moment::Count if rule.fault == Fault::AlreadyBound => plan.already_bound = whole(rule.amount),
                Moment::Count => plan.close_after = whole(rule.amount),
            }
        }
        // A little slack, because shares such as ten times 0.1 do not add up exactly.
        if sum > 1.0 + 1e-9 {
            return Err(FaultError::SharesAboveOne(format!("{sum:.3}")));
        }
        Ok(plan)
    }

    /// Refuses faults of receipts, for a simulator that sends none.
    pub(crate) fn refuse_receipt_faults(rules: &[FaultRule]) -> Result<(), FaultError> {
        let name = |rule: &FaultRule| rule.fault.name();
        match rules.iter().map(name).find(|name| name.starts_with("receipt")) {
            Some(name) => Err(FaultError::NeedsReceipts(name)),
            None => Ok(()),
        }
    }

    /// Whether a submit can meet a fault at all.
    pub(crate) fn touches_submits(&self) -> bool {
        !self.submit.is_empty() || self.close_after > 0
    }

    /// Draws the fault of one submit; chance is spent only when there are submit faults.
    pub(crate) fn draw_submit(&self, rng: &mut ChaCha8Rng) -> Option<Fault> {
        if self.submit.is_empty() {
            return None;
        }
        let draw = u64::from(rng.next_u32());
        self.submit.iter().find(|(bound, _)| draw < *bound).map(|(_, fault)| *fault)
    }

    /// Draws whether a session or link fault strikes.
    pub(crate) fn draw(&self, fault: Fault, rng: &mut ChaCha8Rng) -> bool {
        let Some((bound, _)) = self.own.iter().find(|(_, kind)| *kind == fault) else { return false };
        u64::from(rng.next_u32()) < *bound
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of 0 to 1 fits by its check"
)]
fn bound(share: f64) -> u64 {
    (share * 4_294_967_296.0) as u64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are parsed as u32")]
fn whole(amount: f64) -> u64 {
    amount as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn the_table_is_in_the_order_of_the_enum_and_every_name_parses() {
        for (index, fault) in Fault::all().enumerate() {
            assert_eq!(fault.index(), index);
            let text = match fault {
                Fault::Refuse(_) => "refuse:45:0.5".to_owned(),
                Fault::AlreadyBound | Fault::CloseAfter => format!("{}:3", fault.name()),
                _ => format!("{}:0.5", fault.name()),
            };
            let rule: FaultRule = text.parse().expect("own name");
            assert_eq!(rule.fault.index(), index);
        }
    }

    #[test]
    fn parse_errors_are_sentences() {
        let error = |text: &str| text.parse::<FaultRule>().expect_err("wrong").to_string();
        assert!(error("thrttled:1").starts_with("unknown fault `thrttled`: use one of throttled, "));
        assert_eq!(error("drop:2"), "the share of `drop` must be a number from 0 to 1, not `2`");
        assert_eq!(
            error("close_after:0.5"),
            "`close_after` wants a whole number of at least 1, as in `close_after:3`, not `0.5`"
        );
        assert!(error("refuse:0.1").starts_with("`refuse` wants a status in hexadecimal"));
        assert_eq!("never_respond".parse::<FaultRule>().expect("share 1").amount, 1.0);
        let rules = [FaultRule::new(Fault::Drop, 0.6), FaultRule::new(Fault::SysErr, 0.6)];
        assert_eq!(
            FaultPlan::new(&rules).expect_err("too much").to_string(),
            "the shares of the submit faults add up to 1.200, more than 1"
        );
    }

    #[test]
    fn shares_partition_one_draw() {
        let rules = [FaultRule::new(Fault::Throttled, 0.25), FaultRule::new(Fault::SysErr, 0.5)];
        let plan = FaultPlan::new(&rules).expect("valid");
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut seen = [0_u32; 3];
        for _ in 0..40_000 {
            match plan.draw_submit(&mut rng) {
                Some(Fault::Throttled) => seen[0] += 1,
                Some(Fault::SysErr) => seen[1] += 1,
                _ => seen[2] += 1,
            }
        }
        assert!((9_700..10_300).contains(&seen[0]), "{seen:?}");
        assert!((19_700..20_300).contains(&seen[1]), "{seen:?}");
    }
}
