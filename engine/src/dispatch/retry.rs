//! What a refusal means: slow down and try again, try again later a few times, or accept it.
//!
//! One table over every status that the specification names; what it does not name, vendors' codes among it, is
//! final. A campaign may have rules of its own. Invariant: throttling never costs an attempt, and a unit is given up
//! only behind its last attempt; proved by `every_named_status_has_its_class`.

use crate::model::RetryRule;
use pdu::CommandStatus;

/// Attempts that a temporary error may cost a unit, where the table says nothing else.
const ATTEMPTS: u8 = 3;

/// What a status is, apart from any campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nature {
    /// The channel sends faster than it may.
    Throttling,
    /// Likely to pass: so many attempts in all, so many seconds apart.
    Temporary(u8, u32),
    /// Sending the same again gives the same.
    Permanent,
}

/// What to do with a refused unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Sent again as soon as the channel may, as often as it takes; no attempt is counted.
    Same,
    /// Sent again after so many seconds, one attempt later.
    After(u32),
    /// Its attempts are used up: failed.
    GiveUp,
    /// Refused for good: rejected.
    Final,
}

/// The answer to a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) then: Then,
    /// Whether the channel has to slow down.
    pub(crate) slows: bool,
    /// Whether the SMSC itself has failed: a run of those opens the channel's breaker.
    pub(crate) is_system: bool,
}

/// The engine's own table.
pub(crate) fn nature(status: CommandStatus) -> Nature {
    match status {
        CommandStatus::THROTTLED | CommandStatus::MSG_QUEUE_FULL => Nature::Throttling,
        // The SMSC's inside: soon better, or the breaker opens.
        CommandStatus::SYSTEM_ERROR => Nature::Temporary(ATTEMPTS, 2),
        // Our session is not what it should be: it is bound anew within seconds.
        CommandStatus::INCORRECT_BIND_STATUS => Nature::Temporary(ATTEMPTS, 5),
        CommandStatus::SUBMIT_FAILED | CommandStatus::RECEIVER_TEMPORARY | CommandStatus::UNKNOWN_ERROR => {
            Nature::Temporary(ATTEMPTS, 10)
        }
        CommandStatus::DELIVERY_FAILURE | CommandStatus::SERVICE_TYPE_UNAVAILABLE => {
            Nature::Temporary(ATTEMPTS, 30)
        }
        _ => Nature::Permanent,
    }
}

/// Judges a refusal of the given attempt, 0 for the first; `rules` are the campaign's.
pub(crate) fn judge(status: CommandStatus, attempt: u8, rules: &[RetryRule]) -> Verdict {
    let nature = nature(status);
    let rule = rules.iter().find(|rule| rule.status == status.0);
    let then = match (rule, nature) {
        (None, Nature::Throttling) => Then::Same,
        (None, Nature::Permanent) => Then::Final,
        (None, Nature::Temporary(attempts, delay_s)) => again(attempt, attempts, delay_s),
        (Some(rule), Nature::Permanent) if rule.attempts <= 1 => Then::Final,
        (Some(rule), _) => again(attempt, rule.attempts, rule.delay_s),
    };
    let is_system = matches!(
        status,
        CommandStatus::SYSTEM_ERROR | CommandStatus::SUBMIT_FAILED | CommandStatus::UNKNOWN_ERROR
    );
    Verdict { then, slows: nature == Nature::Throttling, is_system }
}

fn again(attempt: u8, attempts: u8, delay_s: u32) -> Then {
    if attempt.saturating_add(1) < attempts { Then::After(delay_s) } else { Then::GiveUp }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every status that is not final; all others are.
    const TABLE: [(CommandStatus, Nature); 9] = [
        (CommandStatus::INCORRECT_BIND_STATUS, Nature::Temporary(3, 5)),
        (CommandStatus::SYSTEM_ERROR, Nature::Temporary(3, 2)),
        (CommandStatus::MSG_QUEUE_FULL, Nature::Throttling),
        (CommandStatus::SUBMIT_FAILED, Nature::Temporary(3, 10)),
        (CommandStatus::THROTTLED, Nature::Throttling),
        (CommandStatus::RECEIVER_TEMPORARY, Nature::Temporary(3, 10)),
        (CommandStatus::DELIVERY_FAILURE, Nature::Temporary(3, 30)),
        (CommandStatus::UNKNOWN_ERROR, Nature::Temporary(3, 10)),
        (CommandStatus::SERVICE_TYPE_UNAVAILABLE, Nature::Temporary(3, 30)),
    ];

    #[test]
    fn every_named_status_has_its_class() {
        let mut statuses = CommandStatus::ALL.to_vec();
        statuses.extend([
            CommandStatus(0x09),
            CommandStatus(0x400),
            CommandStatus(0x4FF),
            CommandStatus(u32::MAX),
        ]);
        for status in statuses {
            let expected = TABLE.iter().find(|row| row.0 == status).map_or(Nature::Permanent, |row| row.1);
            assert_eq!(nature(status), expected, "{status}");
            let slows = expected == Nature::Throttling;
            let then: Vec<Then> = (0..4).map(|attempt| judge(status, attempt, &[]).then).collect();
            let wanted = match expected {
                Nature::Throttling => [Then::Same; 4],
                Nature::Temporary(3, s) => [Then::After(s), Then::After(s), Then::GiveUp, Then::GiveUp],
                Nature::Temporary(..) => unreachable!("all have three attempts"),
                Nature::Permanent => [Then::Final; 4],
            };
            assert_eq!(then, wanted, "{status}");
            assert_eq!(judge(status, 0, &[]).slows, slows, "{status}");
        }
    }

    #[test]
    fn throttling_is_tried_again_for_ever_and_never_overflows() {
        for attempt in [0, 1, 200, u8::MAX] {
            assert_eq!(judge(CommandStatus::THROTTLED, attempt, &[]).then, Then::Same);
            assert_eq!(judge(CommandStatus::SYSTEM_ERROR, attempt.max(2), &[]).then, Then::GiveUp);
        }
    }

    #[test]
    fn a_campaigns_rule_replaces_the_table_for_its_status_alone() {
        let rule =
            |status: CommandStatus, attempts, delay_s| RetryRule { status: status.0, attempts, delay_s };
        let rules = [
            rule(CommandStatus::SYSTEM_ERROR, 1, 9),
            rule(CommandStatus::INVALID_DEST_ADDRESS, 2, 60),
            rule(CommandStatus::INVALID_SOURCE_ADDRESS, 1, 60),
            rule(CommandStatus::THROTTLED, 5, 0),
            rule(CommandStatus(0x0401), 4, 300),
        ];
        let then = |status, attempt| judge(status, attempt, &rules).then;
        assert_eq!(then(CommandStatus::SYSTEM_ERROR, 0), Then::GiveUp, "one attempt is no retry");
        assert_eq!(then(CommandStatus::INVALID_DEST_ADDRESS, 0), Then::After(60));
        assert_eq!(then(CommandStatus::INVALID_DEST_ADDRESS, 1), Then::GiveUp);
        assert_eq!(then(CommandStatus::INVALID_SOURCE_ADDRESS, 0), Then::Final, "still a refusal");
        assert_eq!([3, 4].map(|n| then(CommandStatus::THROTTLED, n)), [Then::After(0), Then::GiveUp]);
        assert!(judge(CommandStatus::THROTTLED, 0, &rules).slows, "the channel slows down all the same");
        assert_eq!(then(CommandStatus(0x0401), 2), Then::After(300));
        assert_eq!(then(CommandStatus::RECEIVER_TEMPORARY, 0), Then::After(10));
    }
}
