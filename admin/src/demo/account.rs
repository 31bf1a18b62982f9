//! The exact account at the end of the demo: what the engine's books say beside what the simulator counted.
//!
//! Pure: two sets of counts come in, a table, sentences about disagreement and the JSON object come out.

use crate::lines::thousands;
use bench::smsc::Stats;
use engine::{ChannelStatus, Progress};
use serde::Serialize;
use std::time::Duration;

/// What the engine says.
#[derive(Clone, Debug, Default)]
pub(super) struct EngineSide {
    /// Recipients accepted by intake.
    pub(super) recipients: u64,
    /// Segments of each message.
    pub(super) parts: u8,
    /// Whether a part of them was sent in an earlier run, to an earlier simulator.
    pub(super) resumed: bool,
    /// The campaign's account, in recipients.
    pub(super) progress: Progress,
    /// What the channel did in this run, in segments.
    pub(super) channel: ChannelStatus,
    /// From the start to the last receipt.
    pub(super) elapsed: Duration,
    /// From the start to the last answer.
    pub(super) sending: Duration,
}

/// The JSON object of `--exit --json`: recipients but for `segments`.
#[derive(Debug, Serialize)]
struct Json {
    accepted: u64,
    submitted: u64,
    responses_ok: u64,
    delivered: u64,
    failed: u64,
    unknown: u64,
    segments: u64,
    elapsed_s: f64,
    submit_per_s: f64,
}

/// Both sides.
#[derive(Debug)]
pub(super) struct Account {
    engine: EngineSide,
    simulator: Stats,
}

impl Account {
    /// The account of two sides.
    pub(super) fn new(engine: EngineSide, simulator: Stats) -> Self {
        Self { engine, simulator }
    }

    /// Answers of any kind.
    fn answered(&self) -> u64 {
        let channel = &self.engine.channel;
        channel.accepted + self.refused()
    }

    fn refused(&self) -> u64 {
        let channel = &self.engine.channel;
        channel.refused + channel.throttled + channel.retried
    }

    fn receipts(&self) -> u64 {
        self.engine.channel.receipts + self.engine.channel.orphans
    }

    /// Segments whose fate nobody can tell: neither answered nor owned up to as unknown, nor ever sent although
    /// the campaign has nothing left to send.
    fn lost(&self) -> u64 {
        let counts = &self.engine.progress.counts;
        let channel = &self.engine.channel;
        let unanswered = channel.submitted.saturating_sub(self.answered() + channel.unknown);
        let is_whole = counts.queued + counts.in_flight + counts.cancelled + counts.skipped == 0;
        let expected = self.engine.recipients * u64::from(self.engine.parts);
        let unsent = match is_whole && !self.engine.resumed {
            true => expected.saturating_sub(channel.submitted),
            false => 0,
        };
        unanswered + unsent
    }

    /// The table, line by line.
    pub(super) fn table(&self) -> Vec<String> {
        let (engine, simulator) = (&self.engine.channel, &self.simulator);
        let row = |what: &str, engine: Option<u64>, simulator: Option<u64>| {
            let cell = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), thousands);
            format!("{what:<22}{:>14}{:>14}", cell(engine), cell(simulator))
        };
        let counts = &self.engine.progress.counts;
        let failed = self.failed();
        let mut lines = vec![
            format!("{:<22}{:>14}{:>14}", "segments", "engine", "simulator"),
            row("submitted", Some(engine.submitted), Some(simulator.submits)),
            row("accepted", Some(engine.accepted), Some(simulator.accepted)),
            row("refused", Some(self.refused()), Some(simulator.refused_total())),
            row("receipts", Some(self.receipts()), Some(simulator.receipts_acked)),
            row("  without a message", Some(engine.orphans), None),
            row("lost", Some(self.lost()), None),
            row("repeated", None, Some(simulator.duplicates)),
            format!(
                "recipients: {} = {} delivered + {} sent + {} failed + {} unknown + {} not sent",
                thousands(counts.total),
                thousands(counts.delivered),
                thousands(counts.sent),
                thousands(failed),
                thousands(counts.unknown),
                thousands(counts.queued + counts.in_flight + counts.cancelled + counts.skipped),
            ),
            format!(
                "{} segments answered in {:.2} s, {} a second; {:.2} s with receipts",
                thousands(self.answered()),
                self.engine.sending.as_secs_f64(),
                thousands(whole(self.per_second())),
                self.engine.elapsed.as_secs_f64(),
            ),
        ];
        if self.engine.resumed && counts.sent > 0 {
            let sent = thousands(counts.sent);
            lines.push(format!(
                "{sent} receipts will not come: they were due from the earlier run's simulator"
            ));
        }
        lines
    }

    /// What does not agree, a sentence each.
    pub(super) fn disagreements(&self) -> Vec<String> {
        let (engine, simulator) = (&self.engine.channel, &self.simulator);
        let counts = &self.engine.progress.counts;
        let pairs = [
            ("segments submitted", engine.submitted, "seen by the simulator", simulator.submits),
            ("segments accepted", engine.accepted, "accepted by the simulator", simulator.accepted),
            ("segments refused", self.refused(), "refused by the simulator", simulator.refused_total()),
            ("receipts taken", self.receipts(), "acknowledged to the simulator", simulator.receipts_acked),
            ("receipts found no message", engine.orphans, "allowed", 0),
            ("recipients in the account", counts.total, "accepted by intake", self.engine.recipients),
            ("segments lost", self.lost(), "allowed", 0),
            ("segments repeated", simulator.duplicates, "allowed", 0),
        ];
        let unequal = pairs.into_iter().filter(|(_, one, _, other)| one != other);
        unequal
            .map(|(what, one, against, other)| {
                format!("{} {what}, {} {against}", thousands(one), thousands(other))
            })
            .collect()
    }

    /// The JSON object.
    pub(super) fn json(&self) -> String {
        let counts = &self.engine.progress.counts;
        // `rejected` holds what the SMSC refused at once and what a receipt called rejected; only the latter was
        // accepted before.
        let rejected_later = counts.rejected.saturating_sub(self.engine.channel.refused);
        let accepted = counts.sent + counts.delivered + counts.undeliverable + counts.expired;
        let json = Json {
            accepted: self.engine.recipients,
            submitted: self.engine.progress.submitted,
            responses_ok: accepted + rejected_later,
            delivered: counts.delivered,
            failed: self.failed(),
            unknown: counts.unknown,
            segments: self.engine.channel.submitted,
            elapsed_s: rounded(self.engine.elapsed.as_secs_f64(), 1000.0),
            submit_per_s: rounded(self.per_second(), 10.0),
        };
        serde_json::to_string(&json).expect("numbers and fixed names are JSON")
    }

    fn failed(&self) -> u64 {
        let counts = &self.engine.progress.counts;
        counts.undeliverable + counts.rejected + counts.expired + counts.failed
    }

    fn per_second(&self) -> f64 {
        self.engine.channel.submitted as f64 / self.engine.sending.as_secs_f64().max(0.001)
    }
}

fn rounded(value: f64, places: f64) -> f64 {
    (value * places).round() / places
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is positive and far below 2^63"
)]
fn whole(rate: f64) -> u64 {
    rate.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::model::Counts;

    fn sides() -> (EngineSide, Stats) {
        let counts = Counts { total: 10, delivered: 10, ..Counts::default() };
        let channel = ChannelStatus { submitted: 20, accepted: 20, receipts: 20, ..ChannelStatus::default() };
        let engine = EngineSide {
            recipients: 10,
            parts: 2,
            progress: Progress { counts, segments: counts, submitted: 10, repeated: 0 },
            channel,
            elapsed: Duration::from_secs(4),
            sending: Duration::from_secs(2),
            ..EngineSide::default()
        };
        (engine, Stats { submits: 20, accepted: 20, receipts_acked: 20, ..Stats::default() })
    }

    #[test]
    fn equal_sides_agree_and_the_object_has_exactly_its_keys() {
        let (engine, simulator) = sides();
        let account = Account::new(engine, simulator);
        assert_eq!(account.disagreements(), Vec::<String>::new());
        assert_eq!(
            account.json(),
            r#"{"accepted":10,"submitted":10,"responses_ok":10,"delivered":10,"failed":0,"unknown":0,"segments":20,"elapsed_s":4.0,"submit_per_s":10.0}"#
        );
    }

    #[test]
    fn each_disagreement_is_told_on_its_own() {
        let told = |change: fn(&mut EngineSide, &mut Stats)| {
            let (mut engine, mut simulator) = sides();
            change(&mut engine, &mut simulator);
            Account::new(engine, simulator).disagreements()
        };
        assert_eq!(told(|_, s| s.accepted = 19), ["20 segments accepted, 19 accepted by the simulator"]);
        assert_eq!(told(|_, s| s.duplicates = 1), ["1 segments repeated, 0 allowed"]);
        assert_eq!(told(|e, _| e.recipients = 9), ["10 recipients in the account, 9 accepted by intake"]);
        let unanswered = told(|e, s| (e.channel.accepted, s.accepted) = (19, 19));
        assert_eq!(unanswered, ["1 segments lost, 0 allowed"]);
    }

    #[test]
    fn what_is_known_to_be_unknown_is_not_lost() {
        let (mut engine, mut simulator) = sides();
        (engine.channel.accepted, engine.channel.unknown) = (19, 1);
        simulator.accepted = 19;
        assert_eq!(Account::new(engine, simulator).lost(), 0);
    }
}
