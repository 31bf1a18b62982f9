//! What one simulator does: every setting with its default. Times are microseconds of the simulator's own clock.

use super::fault::FaultRule;
use super::ids::IdForm;
use super::ledger::LedgerKind;

/// Settings of a simulator; the default is a fast SMSC that accepts everything and sends no receipts.
#[derive(Clone, Debug)]
pub struct Config {
    /// Seed of all chance: faults, jitter, receipt states, disorder.
    pub seed: u64,
    /// The number behind the first message id; an SMSC restarted as a new process wants another one.
    pub first_id: u64,
    /// Seconds since 1970 at `now_us` = 0, for the dates in receipts.
    pub start_unix_s: u64,
    /// The only accepted `system_id`; `None` accepts any.
    pub system_id: Option<String>,
    /// The password, when asked for.
    pub password: Option<String>,
    /// Fixed delay of a `submit_sm_resp`.
    pub latency_us: u64,
    /// Random addition to the delay, order kept.
    pub jitter_us: u64,
    /// Submits per second over all sessions, refused with THROTTLED beyond it; 0 for no limit.
    pub rate_per_s: u32,
    /// Shape of message ids.
    pub id_form: IdForm,
    /// Receipts; `None` sends none whatever `registered_delivery` asks.
    pub receipts: Option<ReceiptConfig>,
    /// Faults.
    pub faults: Vec<FaultRule>,
    /// Time between two octets under `slow_drip`.
    pub drip_us: u64,
    /// Largest `command_length` that is read.
    pub pdu_limit: u32,
    /// Whether to remember every accepted (destination, part) and count repetitions.
    pub count_duplicates: bool,
    /// Which ledger to keep.
    pub ledger: LedgerKind,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 0,
            first_id: 1,
            start_unix_s: 1_767_225_600,
            system_id: None,
            password: None,
            latency_us: 0,
            jitter_us: 0,
            rate_per_s: 0,
            id_form: IdForm::Hex,
            receipts: None,
            faults: Vec::new(),
            drip_us: 10_000,
            pdu_limit: pdu::MAX_COMMAND_LENGTH,
            count_duplicates: false,
            ledger: LedgerKind::Off,
        }
    }
}

/// Where the receipt names its message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReceiptFields {
    /// In the text and in the optional parameters.
    #[default]
    Both,
    /// In the text alone.
    TextOnly,
    /// In `receipted_message_id` and `message_state` alone; the text has an empty id.
    TlvOnly,
}

/// How receipts are made and delivered.
#[derive(Clone, Debug)]
pub struct ReceiptConfig {
    /// Time from accepting the submit to the receipt.
    pub delay_us: u64,
    /// Random addition to the delay; receipts overtake each other.
    pub disorder_us: u64,
    /// Shares of the final states.
    pub states: StateShares,
    /// Which fields name the message.
    pub fields: ReceiptFields,
    /// Whether an ENROUTE receipt precedes each final one, half way.
    pub intermediate: bool,
    /// Send receipts even when `registered_delivery` does not ask.
    pub unasked: bool,
    /// Unanswered `deliver_sm` per session.
    pub window: usize,
    /// Time from a temporary error to the next attempt.
    pub redeliver_us: u64,
    /// Time without `deliver_sm_resp` after which a receipt is delivered again; 0 for never.
    pub timeout_us: u64,
    /// Receipts kept per `system_id` while they wait; more are given up and counted.
    pub store_limit: usize,
}

impl Default for ReceiptConfig {
    fn default() -> Self {
        Self {
            delay_us: 0,
            disorder_us: 0,
            states: StateShares::default(),
            fields: ReceiptFields::Both,
            intermediate: false,
            unasked: false,
            window: 1_000,
            redeliver_us: 1_000_000,
            timeout_us: 30_000_000,
            store_limit: 10_000_000,
        }
    }
}

/// Shares of final states that are not DELIVRD; the rest is delivered. Each from 0 to 1, together at most 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StateShares {
    /// UNDELIV.
    pub undeliverable: f64,
    /// EXPIRED.
    pub expired: f64,
    /// REJECTD.
    pub rejected: f64,
}

impl StateShares {
    /// Whether the shares are shares and leave room for each other.
    pub(crate) fn is_sound(&self) -> bool {
        let shares = [self.undeliverable, self.expired, self.rejected];
        shares.iter().all(|share| (0.0..=1.0).contains(share)) && shares.iter().sum::<f64>() <= 1.0 + 1e-9
    }
}
