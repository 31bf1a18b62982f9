//! What an error code means to people, in two places that must not be mixed up.
//!
//! The same `command_status` means one thing for the work as a whole (a bind, the building of a campaign) and another
//! for one recipient's message. A receipt's error is the network's own number and shares none of these meanings.
//! Sentences say what happened and, where somebody can do something about it, what.

use crate::model::record::reason;
use pdu::CommandStatus;

/// Codes that SMPP leaves to the vendors of SMSCs.
const VENDOR: std::ops::RangeInclusive<u32> = 0x400..=0x4FF;

/// The engine's reasons; SMPP reserves these codes.
const REASONS: std::ops::RangeInclusive<u32> = 0x1_0000..=0x1_FFFF;

/// Whether the code is a reason of the engine, not a `command_status`.
#[must_use]
pub fn is_engine_reason(code: u32) -> bool {
    REASONS.contains(&code)
}

/// The name of a code: `ESME_RTHROTTLED` and its like, or the engine's own; `None` for reserved and vendors' codes.
#[must_use]
pub fn code_name(code: u32) -> Option<&'static str> {
    match code {
        reason::OPTED_OUT => Some("opted_out"),
        reason::BLOCKED => Some("blocked"),
        reason::NO_ROUTE => Some("no_route"),
        reason::RENDERING => Some("rendering"),
        reason::TOO_LATE => Some("too_late"),
        reason::UNSENDABLE => Some("unsendable"),
        code => CommandStatus(code).name(),
    }
}

/// What a code means for the work: a bind, the building of a campaign, the campaign as a whole.
#[must_use]
pub fn explain_job(code: u32) -> &'static str {
    match of_reason(code).or_else(|| of_status(CommandStatus(code))) {
        Some((job, _)) => job,
        None if VENDOR.contains(&code) => {
            "The SMSC answered with an error of its vendor's own; its documentation, or its operator, tells what stopped the work."
        }
        None if is_engine_reason(code) => {
            "A reason of the engine that this version does not know stopped the work."
        }
        None => "The SMSC answered with a status that SMPP reserves; ask its operator what stopped the work.",
    }
}

/// What a code in a `submit_sm_resp`, or a reason of the engine, means for one recipient's message.
#[must_use]
pub fn explain_message(code: u32) -> &'static str {
    match of_reason(code).or_else(|| of_status(CommandStatus(code))) {
        Some((_, message)) => message,
        None if VENDOR.contains(&code) => {
            "The SMSC refused this message with an error of its vendor's own; its documentation, or its operator, tells why."
        }
        None if is_engine_reason(code) => {
            "The engine settled this message for a reason that this version does not know; it was not sent."
        }
        None => "The SMSC refused this message with a status that SMPP reserves; ask its operator why.",
    }
}

/// What the error of a delivery receipt means for one recipient's message; 0 is a receipt without one. Most networks
/// write the errors of GSM 09.02, some their own: the sentences say so.
#[must_use]
pub const fn explain_receipt(error: u32) -> &'static str {
    match error {
        0 => "The SMSC accepted the message and later reported that it was not delivered, without a reason.",
        1 => "The network reports that the number is not assigned to anybody (GSM: unknown subscriber).",
        5 => "The network reports that it cannot tell whose number this is (GSM: unidentified subscriber).",
        6 => "The network reports that the handset is out of reach for now (GSM: absent subscriber).",
        9 => "The network reports that the subscriber may not use it (GSM: illegal subscriber).",
        11 => "The network reports that the number cannot get SMS (GSM: teleservice not provisioned).",
        12 => "The network reports that the handset is barred from it (GSM: illegal equipment).",
        13 => "The network reports that messages to the number are barred (GSM: call barred).",
        21 => {
            "The network reports that it does not support what the message asks for (GSM: facility not supported)."
        }
        27 => {
            "The network reports that the handset is switched off or out of reach (GSM: absent subscriber for SMS)."
        }
        28 => "The network reports that the handset cannot receive messages (GSM: incompatible terminal).",
        31 => {
            "The network reports that the handset was busy with another message (GSM: subscriber busy for SMS)."
        }
        32 => {
            "The network reports that the handset did not take the message, often because its memory is full (GSM: delivery failure)."
        }
        33 => {
            "The network reports that too many messages wait for the handset (GSM: message waiting list full)."
        }
        34 => "The network reports a failure of its own (GSM: system failure).",
        35 => "The network reports that a field of the message was missing on its way (GSM: data missing).",
        36 => {
            "The network reports that a field of the message was not as expected on its way (GSM: unexpected data value)."
        }
        _ => {
            "The network reports an error of its own in the receipt; the operator of the SMSC can tell what it means."
        }
    }
}

fn of_reason(code: u32) -> Option<(&'static str, &'static str)> {
    Some(match code {
        reason::OPTED_OUT => (
            "Recipients who opted out were left out of the campaign; the others are not affected.",
            "The number opted out of the workspace's messages; nothing was sent to it.",
        ),
        reason::BLOCKED => (
            "Recipients on a block list were left out of the campaign; the others are not affected.",
            "The number is on a block list of the workspace or the installation; nothing was sent to it.",
        ),
        reason::NO_ROUTE => (
            "No configured channel takes some of the campaign's numbers; check the prefixes and workspaces of the channels.",
            "No channel takes this number; nothing was sent to it.",
        ),
        reason::RENDERING => (
            "With the values of some recipients the text is longer, or needs another encoding, than was approved.",
            "With this recipient's values the text is longer, or needs another encoding, than was approved; it was not sent.",
        ),
        reason::TOO_LATE => (
            "The time of the campaign ended before all of its messages were sent.",
            "The time for this message ended before it was its turn; it was not sent.",
        ),
        reason::UNSENDABLE => (
            "Messages of the campaign cannot be written as SMPP; check its sender and text.",
            "This message cannot be written as SMPP, for instance because its number is impossible; it was not sent.",
        ),
        _ => return None,
    })
}

macro_rules! statuses {
    ($($name:ident $job:literal $message:literal;)*) => {
        /// For the work, and for one message.
        const fn of_status(status: CommandStatus) -> Option<(&'static str, &'static str)> {
            match status {
                $(CommandStatus::$name => Some(($job, $message)),)*
                _ => None,
            }
        }
    };
}

statuses! {
OK
    "The SMSC did what the engine asked: the bind stands."
    "The SMSC accepted the message; what became of it later, a receipt tells.";
INVALID_MESSAGE_LENGTH
    "The SMSC found the length of the campaign's messages impossible; check the text and whether the channel takes long messages."
    "The SMSC refused the message because of the length of its text; it is not sent again.";
INVALID_COMMAND_LENGTH
    "The SMSC could not follow the length of what the engine wrote; the bind may be closed. Check that the peer speaks SMPP 3.4."
    "The SMSC found the packet of this message malformed and dropped it; it is not sent again.";
INVALID_COMMAND_ID
    "The SMSC does not know the command; the kind of bind, or its version of SMPP, does not fit the channel's configuration."
    "The SMSC does not take messages by this command; the message is not sent again.";
INCORRECT_BIND_STATUS
    "The session is not bound for what was asked; a receiver cannot send. Check the kind of bind of the channel."
    "The session that carried the message was not bound for sending; the message did not go out.";
ALREADY_BOUND
    "The SMSC holds that this account is bound already; an old session has not timed out yet, or the account is used elsewhere."
    "The session that carried the message was rebinding; the message did not go out.";
INVALID_PRIORITY_FLAG
    "The account may not use this priority; the setting is the channel's, every campaign on it is hit."
    "The SMSC refused the message for its priority; it is not sent again.";
INVALID_REGISTERED_DELIVERY
    "The account may not ask for receipts in this way; ask the operator which receipts the contract includes."
    "The SMSC refused the message because it asks for a receipt; it is not sent again.";
SYSTEM_ERROR
    "The SMSC has an internal fault; the bind is tried again after a pause, and campaigns go on when it stands."
    "The SMSC had an internal fault each time the message was tried; it was given up after the allowed attempts.";
INVALID_SOURCE_ADDRESS
    "The SMSC does not let this account use the sender name; register it with the operator before the campaign goes on."
    "The SMSC refused the sender of this message, perhaps only for this recipient's network; it is not sent again.";
INVALID_DEST_ADDRESS
    "The SMSC finds many numbers of the campaign impossible; check country codes and the channel's type of number."
    "The SMSC holds that this recipient's number does not exist or cannot be reached over this channel.";
INVALID_MESSAGE_ID
    "The SMSC does not know a message that it was asked about; nothing in the campaign waits for that answer."
    "The SMSC does not know the id of this message; its fate can no longer be asked for.";
BIND_FAILED
    "The SMSC refuses the bind without a reason; ask the operator about the account, its addresses and its binds."
    "The session that was to carry the message could not be bound; the message did not go out.";
INVALID_PASSWORD
    "The password of the channel is wrong or has expired; no campaign can use the channel until it is corrected."
    "The SMSC no longer accepts the account's password in this session; the message did not go out.";
INVALID_SYSTEM_ID
    "The account of the channel is unknown to the SMSC or locked; no campaign can use the channel until that is settled."
    "The SMSC does not know the account that sent the message; it did not go out.";
CANCEL_FAILED
    "Messages already handed over could not be taken back; cancelling a campaign stops only what was not yet sent."
    "The SMSC could not take this message back; it may be delivered.";
REPLACE_FAILED
    "The SMSC could not replace messages handed over before; campaigns do not rely on that."
    "The earlier message could not be replaced by this one; the recipient may get the earlier one.";
MSG_QUEUE_FULL
    "The SMSC's queue for this account is full; sending slows down by itself and goes on, but the end will be later."
    "The SMSC had no room for the message in its queue; it waits and is sent again.";
INVALID_SERVICE_TYPE
    "The service type of the channel is not one of the account's; correct the channel's configuration."
    "The SMSC refused the message for its service type; it is not sent again.";
INVALID_NUMBER_OF_DESTS
    "The SMSC was given a list of recipients of an impossible length; the engine sends to one at a time, so look for a proxy between."
    "The SMSC counted an impossible number of recipients in the message; it is not sent again.";
INVALID_LIST_NAME
    "The SMSC was given a distribution list that it does not have; campaigns use none, so look for a proxy between."
    "The SMSC took the recipient for a distribution list that it does not have; the message is not sent again.";
INVALID_DEST_FLAG
    "The SMSC could not tell numbers from lists; campaigns use numbers only, so look for a proxy between."
    "The SMSC could not tell whether the recipient is a number or a list; the message is not sent again.";
INVALID_SUBMIT_WITH_REPLACE
    "The account may not replace messages by sending new ones; take that setting out of the channel."
    "The SMSC does not replace an earlier message by this one; it is not sent again.";
INVALID_ESM_CLASS
    "The account may not send messages of this class; long messages need the operator's consent to user data headers."
    "The SMSC refused the message for its class, as a rule because it is part of a long one; it is not sent again.";
CANNOT_SUBMIT_TO_LIST
    "The account may not send to distribution lists; campaigns do not, so look for a proxy between."
    "The SMSC took the recipient for a distribution list and may not send to it.";
SUBMIT_FAILED
    "The SMSC refuses to take messages without saying why; if every message is hit, ask about credit and contract."
    "The SMSC refused this message without saying why; it is not sent again.";
INVALID_SOURCE_TON
    "The sender's type of number does not suit the SMSC; correct it in the sender's revision and have it approved."
    "The SMSC refused the message for its sender's type of number; it is not sent again.";
INVALID_SOURCE_NPI
    "The sender's numbering plan does not suit the SMSC; correct it in the sender's revision and have it approved."
    "The SMSC refused the message for its sender's numbering plan; it is not sent again.";
INVALID_DEST_TON
    "The recipients' type of number does not suit the SMSC; it is part of the sender's revision and hits every message."
    "The SMSC refused the message for the recipient's type of number; it is not sent again.";
INVALID_DEST_NPI
    "The recipients' numbering plan does not suit the SMSC; it is part of the sender's revision and hits every message."
    "The SMSC refused the message for the recipient's numbering plan; it is not sent again.";
INVALID_SYSTEM_TYPE
    "The system type of the channel is not the one that the SMSC expects; correct the channel's configuration."
    "The SMSC refused the message for the system type of its session; it did not go out.";
INVALID_REPLACE_FLAG
    "The replace flag of the channel has a value that the SMSC does not know; correct the channel's configuration."
    "The SMSC refused the message for its replace flag; it is not sent again.";
INVALID_NUMBER_OF_MESSAGES
    "The SMSC was asked about an impossible number of messages; nothing in the campaign waits for that answer."
    "The SMSC counted an impossible number of messages in this one; it is not sent again.";
THROTTLED
    "The engine sent faster than the account may; the channel slows down by itself. Lower its rate if this lasts."
    "The message came faster than the account may send; it waits and is sent again.";
INVALID_SCHEDULE
    "The SMSC does not take scheduled messages in this form; the engine schedules by itself, so look for a proxy between."
    "The SMSC refused the message for its delivery time; it is not sent again.";
INVALID_EXPIRY
    "The validity of the campaign is shorter or longer than the SMSC allows; choose another one and have it approved."
    "The SMSC refused the message for its validity period; it is not sent again.";
INVALID_DEFAULT_MESSAGE
    "The SMSC does not have the predefined message that the channel names; correct the channel's configuration."
    "The SMSC has no such predefined message for this recipient; it is not sent again.";
RECEIVER_TEMPORARY
    "The other side cannot take what the engine sends for now; work goes on when it can."
    "The recipient's side had a temporary error each time the message was tried; it was given up after the allowed attempts.";
RECEIVER_PERMANENT
    "The other side cannot take what the engine sends, and will not; ask the operator before going on."
    "The recipient's side cannot take the message, now or later; it is not sent again.";
RECEIVER_REJECTED
    "The other side rejects what the engine sends; a filter of the operator may have caught the campaign."
    "The recipient's side, or a filter before it, rejected this message; it is not sent again.";
QUERY_FAILED
    "The SMSC could not answer a question about a message; nothing in the campaign waits for that answer."
    "The SMSC could not tell what became of this message; only a receipt can.";
INVALID_TLV_STREAM
    "The SMSC cannot read optional fields at all; the channel must be set to SMPP without them."
    "The SMSC could not read the optional fields of the message; it is not sent again.";
TLV_NOT_ALLOWED
    "The SMSC does not allow an optional field that the channel uses; take it out of the channel's configuration."
    "The SMSC refused the message for an optional field that it does not allow; it is not sent again.";
INVALID_TLV_LENGTH
    "An optional field of the channel has a length that the SMSC does not take; correct the channel's configuration."
    "An optional field of the message has a length that the SMSC does not take; it is not sent again.";
MISSING_TLV
    "The operator expects an optional field that the channel does not set, in some countries a registered template; add it."
    "The message lacks an optional field that the SMSC expects; it is not sent again.";
INVALID_TLV_VALUE
    "An optional field of the channel has a value that the SMSC does not take; correct the channel's configuration."
    "An optional field of the message has a value that the SMSC does not take; it is not sent again.";
DELIVERY_FAILURE
    "The SMSC tried to deliver at once and could not; if every message is hit, the network behind it is down."
    "The SMSC tried to deliver the message at once and could not; it is not sent again.";
UNKNOWN_ERROR
    "The SMSC failed and does not say how; if it lasts, ask the operator before going on."
    "The SMSC refused this message and does not know why; it is not sent again.";
SERVICE_TYPE_UNAUTHORISED
    "The account may not use the channel's service type; ask the operator to allow it or choose another one."
    "The account may not send messages of this service type; it is not sent again.";
PROHIBITED
    "The account is barred from this operation; ask the operator about contract and credit before going on."
    "The account is barred from sending this message, perhaps only to this destination; it is not sent again.";
SERVICE_TYPE_UNAVAILABLE
    "The channel's service type is out of order at the SMSC; wait for the operator or choose another one."
    "The service that was to carry the message was out of order; it is not sent again.";
SERVICE_TYPE_DENIED
    "The SMSC denies the account the channel's service type; ask the operator to allow it or choose another one."
    "The SMSC denied the message its service type; it is not sent again.";
INVALID_DATA_CODING
    "The SMSC does not take the campaign's encoding; choose the other encoding and have the campaign approved anew."
    "The SMSC refused the message for its encoding; it is not sent again.";
INVALID_SOURCE_SUBUNIT
    "The channel names a part of the sending device that the SMSC does not know; correct the channel's configuration."
    "The SMSC refused the message for the part of the sending device that it names; it is not sent again.";
INVALID_DEST_SUBUNIT
    "The channel addresses a part of handsets that the SMSC does not know; correct the channel's configuration."
    "The SMSC does not know the part of the handset that the message is for; it is not sent again.";
INVALID_BROADCAST_FREQUENCY
    "The SMSC took the work for a cell broadcast with an impossible interval; campaigns are no broadcasts, so look for a proxy between."
    "The SMSC took the message for a cell broadcast with an impossible interval; it is not sent again.";
INVALID_BROADCAST_ALIAS
    "The SMSC took the work for a cell broadcast with an impossible alias; campaigns are no broadcasts, so look for a proxy between."
    "The SMSC took the message for a cell broadcast with an impossible alias; it is not sent again.";
INVALID_BROADCAST_AREA_FORMAT
    "The SMSC took the work for a cell broadcast to an unreadable area; campaigns are no broadcasts, so look for a proxy between."
    "The SMSC took the message for a cell broadcast to an unreadable area; it is not sent again.";
INVALID_NUMBER_OF_AREAS
    "The SMSC took the work for a cell broadcast to too many areas; campaigns are no broadcasts, so look for a proxy between."
    "The SMSC took the message for a cell broadcast to too many areas; it is not sent again.";
INVALID_BROADCAST_CONTENT
    "The SMSC took the work for a cell broadcast of an unknown content; campaigns are no broadcasts, so look for a proxy between."
    "The SMSC took the message for a cell broadcast of an unknown content; it is not sent again.";
INVALID_BROADCAST_CLASS
    "The SMSC took the work for a cell broadcast of an unknown class; campaigns are no broadcasts, so look for a proxy between."
    "The SMSC took the message for a cell broadcast of an unknown class; it is not sent again.";
BROADCAST_FAILED
    "The SMSC took the work for a cell broadcast and could not do it; campaigns are no broadcasts, so look for a proxy between."
    "The SMSC took the message for a cell broadcast and could not send it; it is not sent again.";
BROADCAST_QUERY_FAILED
    "The SMSC could not answer a question about a cell broadcast; campaigns ask none, so look for a proxy between."
    "The SMSC took this message for a cell broadcast and cannot tell what became of it; only a receipt can.";
BROADCAST_CANCEL_FAILED
    "The SMSC could not stop a cell broadcast; campaigns are no broadcasts, so look for a proxy between."
    "The SMSC took this message for a cell broadcast and could not take it back; it may be delivered.";
INVALID_BROADCAST_REPETITION
    "The SMSC took the work for a cell broadcast with an impossible number of repetitions; look for a proxy between."
    "The SMSC took the message for a cell broadcast with an impossible number of repetitions; it is not sent again.";
INVALID_BROADCAST_GROUP
    "The SMSC took the work for a cell broadcast to an unknown service group; campaigns are no broadcasts, so look for a proxy between."
    "The SMSC took the message for a cell broadcast to an unknown service group; it is not sent again.";
INVALID_BROADCAST_CHANNEL
    "The SMSC took the work for a cell broadcast on an unknown channel; campaigns are no broadcasts, so look for a proxy between."
    "The SMSC took the message for a cell broadcast on an unknown channel; it is not sent again.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const KNOWN_REASONS: [u32; 6] = [
        reason::OPTED_OUT,
        reason::BLOCKED,
        reason::NO_ROUTE,
        reason::RENDERING,
        reason::TOO_LATE,
        reason::UNSENDABLE,
    ];

    /// Every code that has sentences of its own.
    fn known() -> Vec<u32> {
        CommandStatus::ALL.iter().map(|status| status.0).chain(KNOWN_REASONS).collect()
    }

    #[test]
    fn every_named_code_means_one_thing_for_the_work_and_another_for_a_message() {
        assert_eq!(known().len(), 67 + KNOWN_REASONS.len());
        let unnamed =
            [explain_job(0x450), explain_message(0x450), explain_job(0x500), explain_message(0x500)];
        let mut sentences = BTreeSet::new();
        for code in known() {
            assert!(code_name(code).is_some(), "{code:#x}");
            for sentence in [explain_job(code), explain_message(code)] {
                assert!(!unnamed.contains(&sentence), "{code:#x}: {sentence}");
                assert!(sentence.ends_with('.') && sentence.len() > 40, "{code:#x}: {sentence}");
                assert!(sentences.insert(sentence), "{code:#x}: said of two things: {sentence}");
            }
        }
        assert_eq!(sentences.len(), 2 * known().len());
    }

    #[test]
    fn codes_without_a_name_are_explained_by_their_range() {
        let named = known();
        for (code, word) in [
            (0x09, "reserves"),
            (0x3FF, "reserves"),
            (0x400, "vendor"),
            (0x4FF, "vendor"),
            (0x500, "reserves"),
            (0xFFFF, "reserves"),
            (0x1_0000, "engine"),
            (0x1_FFFF, "engine"),
            (0x2_0000, "reserves"),
            (u32::MAX, "reserves"),
        ] {
            assert!(!named.contains(&code) && code_name(code).is_none());
            assert!(explain_job(code).contains(word), "{code:#x}");
            assert!(explain_message(code).contains(word), "{code:#x}");
            assert_ne!(explain_job(code), explain_message(code), "{code:#x}");
        }
    }

    #[test]
    fn a_receipts_error_is_never_read_as_a_command_status() {
        let sentences: BTreeSet<_> = (0..=0xFFFF).map(explain_receipt).collect();
        assert_eq!(sentences.len(), 18);
        for code in known() {
            assert_ne!(explain_receipt(code), explain_message(code), "{code:#x}");
            assert_ne!(explain_receipt(code), explain_job(code), "{code:#x}");
        }
    }

    #[test]
    fn only_codes_beyond_smpp_are_the_engines() {
        assert!(KNOWN_REASONS.into_iter().all(is_engine_reason));
        assert!(!CommandStatus::ALL.iter().any(|status| is_engine_reason(status.0)));
    }
}
