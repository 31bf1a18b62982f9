//! Command status codes with their names and meanings, as an open newtype: vendors own 0x400 to 0x4FF.
//!
//! SMPP 3.4 section 5.1.3, SMPP 5.0 section 4.7.6. What a status means for a retry is the channel's business.

/// A `command_status`; zero is success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandStatus(pub u32);

macro_rules! statuses {
    ($($name:ident = $value:literal, $text:literal, $meaning:literal;)*) => {
        impl CommandStatus {
            $(#[doc = concat!($meaning, ", `", $text, "`.")] pub const $name: Self = Self($value);)*

            /// Every status that SMPP 3.4 and 5.0 define, ascending.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name in the specification, `None` for a reserved or vendor's value.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($text),)*
                    _ => None,
                }
            }

            /// What it means, in words; reserved and vendors' values are named as such.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self.0 {
                    $($value => $meaning,)*
                    0x400..=0x4FF => "Error of the SMSC vendor",
                    _ => "Reserved status",
                }
            }
        }
    };
}

statuses! {
    OK = 0x00, "ESME_ROK", "No error";
    INVALID_MESSAGE_LENGTH = 0x01, "ESME_RINVMSGLEN", "Message length is invalid";
    INVALID_COMMAND_LENGTH = 0x02, "ESME_RINVCMDLEN", "Command length is invalid";
    INVALID_COMMAND_ID = 0x03, "ESME_RINVCMDID", "Command id is invalid";
    INCORRECT_BIND_STATUS = 0x04, "ESME_RINVBNDSTS", "Command is not allowed in this bind state";
    ALREADY_BOUND = 0x05, "ESME_RALYBND", "ESME is already bound";
    INVALID_PRIORITY_FLAG = 0x06, "ESME_RINVPRTFLG", "Priority flag is invalid";
    INVALID_REGISTERED_DELIVERY = 0x07, "ESME_RINVREGDLVFLG", "Registered delivery flag is invalid";
    SYSTEM_ERROR = 0x08, "ESME_RSYSERR", "System error";
    INVALID_SOURCE_ADDRESS = 0x0A, "ESME_RINVSRCADR", "Source address is invalid";
    INVALID_DEST_ADDRESS = 0x0B, "ESME_RINVDSTADR", "Destination address is invalid";
    INVALID_MESSAGE_ID = 0x0C, "ESME_RINVMSGID", "Message id is invalid";
    BIND_FAILED = 0x0D, "ESME_RBINDFAIL", "Bind failed";
    INVALID_PASSWORD = 0x0E, "ESME_RINVPASWD", "Password is invalid";
    INVALID_SYSTEM_ID = 0x0F, "ESME_RINVSYSID", "System id is invalid";
    CANCEL_FAILED = 0x11, "ESME_RCANCELFAIL", "Cancel failed";
    REPLACE_FAILED = 0x13, "ESME_RREPLACEFAIL", "Replace failed";
    MSG_QUEUE_FULL = 0x14, "ESME_RMSGQFUL", "Message queue is full";
    INVALID_SERVICE_TYPE = 0x15, "ESME_RINVSERTYP", "Service type is invalid";
    INVALID_NUMBER_OF_DESTS = 0x33, "ESME_RINVNUMDESTS", "Number of destinations is invalid";
    INVALID_LIST_NAME = 0x34, "ESME_RINVDLNAME", "Distribution list name is invalid";
    INVALID_DEST_FLAG = 0x40, "ESME_RINVDESTFLAG", "Destination flag is invalid";
    INVALID_SUBMIT_WITH_REPLACE = 0x42, "ESME_RINVSUBREP", "Submit with replace is not supported";
    INVALID_ESM_CLASS = 0x43, "ESME_RINVESMCLASS", "Esm class is invalid";
    CANNOT_SUBMIT_TO_LIST = 0x44, "ESME_RCNTSUBDL", "Cannot submit to distribution list";
    SUBMIT_FAILED = 0x45, "ESME_RSUBMITFAIL", "Submit failed";
    INVALID_SOURCE_TON = 0x48, "ESME_RINVSRCTON", "Source type of number is invalid";
    INVALID_SOURCE_NPI = 0x49, "ESME_RINVSRCNPI", "Source numbering plan is invalid";
    INVALID_DEST_TON = 0x50, "ESME_RINVDSTTON", "Destination type of number is invalid";
    INVALID_DEST_NPI = 0x51, "ESME_RINVDSTNPI", "Destination numbering plan is invalid";
    INVALID_SYSTEM_TYPE = 0x53, "ESME_RINVSYSTYP", "System type is invalid";
    INVALID_REPLACE_FLAG = 0x54, "ESME_RINVREPFLAG", "Replace if present flag is invalid";
    INVALID_NUMBER_OF_MESSAGES = 0x55, "ESME_RINVNUMMSGS", "Number of messages is invalid";
    THROTTLED = 0x58, "ESME_RTHROTTLED", "ESME exceeded its rate";
    INVALID_SCHEDULE = 0x61, "ESME_RINVSCHED", "Scheduled delivery time is invalid";
    INVALID_EXPIRY = 0x62, "ESME_RINVEXPIRY", "Validity period is invalid";
    INVALID_DEFAULT_MESSAGE = 0x63, "ESME_RINVDFTMSGID", "Predefined message is invalid or not found";
    RECEIVER_TEMPORARY = 0x64, "ESME_RX_T_APPN", "Receiver has a temporary error";
    RECEIVER_PERMANENT = 0x65, "ESME_RX_P_APPN", "Receiver has a permanent error";
    RECEIVER_REJECTED = 0x66, "ESME_RX_R_APPN", "Receiver rejected the message";
    QUERY_FAILED = 0x67, "ESME_RQUERYFAIL", "Query failed";
    INVALID_TLV_STREAM = 0xC0, "ESME_RINVTLVSTREAM", "Optional part of the PDU is invalid";
    TLV_NOT_ALLOWED = 0xC1, "ESME_RTLVNOTALLWD", "TLV is not allowed";
    INVALID_TLV_LENGTH = 0xC2, "ESME_RINVTLVLEN", "TLV length is invalid";
    MISSING_TLV = 0xC3, "ESME_RMISSINGTLV", "Expected TLV is missing";
    INVALID_TLV_VALUE = 0xC4, "ESME_RINVTLVVAL", "TLV value is invalid";
    DELIVERY_FAILURE = 0xFE, "ESME_RDELIVERYFAILURE", "Transaction delivery failed";
    UNKNOWN_ERROR = 0xFF, "ESME_RUNKNOWNERR", "Unknown error";
    SERVICE_TYPE_UNAUTHORISED = 0x100, "ESME_RSERTYPUNAUTH", "ESME is not authorised for this service type";
    PROHIBITED = 0x101, "ESME_RPROHIBITED", "ESME is prohibited from this operation";
    SERVICE_TYPE_UNAVAILABLE = 0x102, "ESME_RSERTYPUNAVAIL", "Service type is unavailable";
    SERVICE_TYPE_DENIED = 0x103, "ESME_RSERTYPDENIED", "Service type is denied";
    INVALID_DATA_CODING = 0x104, "ESME_RINVDCS", "Data coding scheme is invalid";
    INVALID_SOURCE_SUBUNIT = 0x105, "ESME_RINVSRCADDRSUBUNIT", "Source address subunit is invalid";
    INVALID_DEST_SUBUNIT = 0x106, "ESME_RINVDSTADDRSUBUNIT", "Destination address subunit is invalid";
    INVALID_BROADCAST_FREQUENCY = 0x107, "ESME_RINVBCASTFREQINT", "Broadcast frequency interval is invalid";
    INVALID_BROADCAST_ALIAS = 0x108, "ESME_RINVBCASTALIAS_NAME", "Broadcast alias name is invalid";
    INVALID_BROADCAST_AREA_FORMAT = 0x109, "ESME_RINVBCASTAREAFMT", "Broadcast area format is invalid";
    INVALID_NUMBER_OF_AREAS = 0x10A, "ESME_RINVNUMBCAST_AREAS", "Number of broadcast areas is invalid";
    INVALID_BROADCAST_CONTENT = 0x10B, "ESME_RINVBCASTCNTTYPE", "Broadcast content type is invalid";
    INVALID_BROADCAST_CLASS = 0x10C, "ESME_RINVBCASTMSGCLASS", "Broadcast message class is invalid";
    BROADCAST_FAILED = 0x10D, "ESME_RBCASTFAIL", "Broadcast failed";
    BROADCAST_QUERY_FAILED = 0x10E, "ESME_RBCASTQUERYFAIL", "Query of a broadcast failed";
    BROADCAST_CANCEL_FAILED = 0x10F, "ESME_RBCASTCANCELFAIL", "Cancel of a broadcast failed";
    INVALID_BROADCAST_REPETITION = 0x110, "ESME_RINVBCAST_REP", "Number of broadcasts is invalid";
    INVALID_BROADCAST_GROUP = 0x111, "ESME_RINVBCASTSRVGRP", "Broadcast service group is invalid";
    INVALID_BROADCAST_CHANNEL = 0x112, "ESME_RINVBCASTCHANIND", "Broadcast channel indicator is invalid";
}

impl CommandStatus {
    /// Whether the operation succeeded.
    #[inline]
    #[must_use]
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }
}

/// The name with the number, or the number and its kind.
impl core::fmt::Display for CommandStatus {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:#x} {}", self.0, self.name().unwrap_or(self.description()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::CommandStatus;

    #[test]
    fn every_status_has_a_name_and_a_meaning_of_its_own() {
        assert_eq!(CommandStatus::ALL.len(), 67);
        assert!(CommandStatus::ALL.is_sorted_by(|a, b| a < b));
        let names: HashSet<_> = CommandStatus::ALL.iter().map(|status| status.name()).collect();
        let meanings: HashSet<_> = CommandStatus::ALL.iter().map(|status| status.description()).collect();
        assert_eq!((names.len(), meanings.len()), (67, 67));
        assert!(names.iter().all(|name| name.is_some_and(|name| name.starts_with("ESME_R"))));
    }

    #[test]
    fn no_other_value_has_a_name() {
        assert_eq!((0..=0x1_0000).filter(|value| CommandStatus(*value).name().is_some()).count(), 67);
        assert_eq!(CommandStatus(0x09).description(), "Reserved status");
        assert_eq!(CommandStatus(0x450).description(), "Error of the SMSC vendor");
        assert_eq!(CommandStatus(u32::MAX).description(), "Reserved status");
        assert_eq!(CommandStatus::THROTTLED.to_string(), "0x58 ESME_RTHROTTLED");
        assert_eq!(CommandStatus(0x450).to_string(), "0x450 Error of the SMSC vendor");
        assert!(CommandStatus::OK.is_ok() && !CommandStatus::THROTTLED.is_ok());
    }
}
