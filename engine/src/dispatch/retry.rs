//! What a refusal means: try again when the channel may, try again a few times, or accept it.

use pdu::CommandStatus;

/// Attempts of one unit that temporary errors may cost.
pub(crate) const MAX_ATTEMPTS: u8 = 3;

/// What to do with a refused unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// The whole channel slows down; the unit is sent again, as often as it takes.
    Throttle,
    /// Sent again.
    Again,
    /// A temporary error once too often.
    GiveUp,
    /// Refused for good.
    Final,
}

/// Classifies a refusal of the given attempt, 0 for the first.
pub(crate) fn classify(status: CommandStatus, attempt: u8) -> Class {
    match status {
        CommandStatus::THROTTLED | CommandStatus::MSG_QUEUE_FULL => Class::Throttle,
        CommandStatus::SYSTEM_ERROR | CommandStatus::RECEIVER_TEMPORARY if attempt < MAX_ATTEMPTS - 1 => {
            Class::Again
        }
        CommandStatus::SYSTEM_ERROR | CommandStatus::RECEIVER_TEMPORARY => Class::GiveUp,
        _ => Class::Final,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttling_is_retried_for_ever_and_a_system_error_three_times() {
        for attempt in 0..=u8::MAX - 1 {
            assert_eq!(classify(CommandStatus::THROTTLED, attempt), Class::Throttle);
            let expected = if attempt < 2 { Class::Again } else { Class::GiveUp };
            assert_eq!(classify(CommandStatus::SYSTEM_ERROR, attempt), expected);
            assert_eq!(classify(CommandStatus(0x0B), attempt), Class::Final);
        }
    }
}
