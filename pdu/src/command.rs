//! Command ids, as an open newtype: a peer may send any value and none is an error here.
//!
//! SMPP 3.4 section 5.1.2.1, SMPP 5.0 section 4.7.5.

/// A `command_id`; responses carry the request's id with the top bit set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId(pub u32);

macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $text:literal;)*) => {
        impl CommandId {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// Every command of SMPP 3.4 and 5.0.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name in the specification, `None` for an unknown command.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

commands! {
    /// Answers a PDU that cannot be understood.
    GENERIC_NACK = 0x8000_0000, "generic_nack";
    /// Binds a receiver session.
    BIND_RECEIVER = 0x0000_0001, "bind_receiver";
    /// Answers `bind_receiver`.
    BIND_RECEIVER_RESP = 0x8000_0001, "bind_receiver_resp";
    /// Binds a transmitter session.
    BIND_TRANSMITTER = 0x0000_0002, "bind_transmitter";
    /// Answers `bind_transmitter`.
    BIND_TRANSMITTER_RESP = 0x8000_0002, "bind_transmitter_resp";
    /// Asks for the state of a message.
    QUERY_SM = 0x0000_0003, "query_sm";
    /// Answers `query_sm`.
    QUERY_SM_RESP = 0x8000_0003, "query_sm_resp";
    /// Hands a message to the SMSC.
    SUBMIT_SM = 0x0000_0004, "submit_sm";
    /// Answers `submit_sm`.
    SUBMIT_SM_RESP = 0x8000_0004, "submit_sm_resp";
    /// Hands a message or receipt to the ESME.
    DELIVER_SM = 0x0000_0005, "deliver_sm";
    /// Answers `deliver_sm`.
    DELIVER_SM_RESP = 0x8000_0005, "deliver_sm_resp";
    /// Ends a session in order.
    UNBIND = 0x0000_0006, "unbind";
    /// Answers `unbind`.
    UNBIND_RESP = 0x8000_0006, "unbind_resp";
    /// Replaces a message not yet delivered.
    REPLACE_SM = 0x0000_0007, "replace_sm";
    /// Answers `replace_sm`.
    REPLACE_SM_RESP = 0x8000_0007, "replace_sm_resp";
    /// Cancels messages not yet delivered.
    CANCEL_SM = 0x0000_0008, "cancel_sm";
    /// Answers `cancel_sm`.
    CANCEL_SM_RESP = 0x8000_0008, "cancel_sm_resp";
    /// Binds a transceiver session.
    BIND_TRANSCEIVER = 0x0000_0009, "bind_transceiver";
    /// Answers `bind_transceiver`.
    BIND_TRANSCEIVER_RESP = 0x8000_0009, "bind_transceiver_resp";
    /// Asks an ESME to bind.
    OUTBIND = 0x0000_000B, "outbind";
    /// Asks whether the peer is alive.
    ENQUIRE_LINK = 0x0000_0015, "enquire_link";
    /// Answers `enquire_link`.
    ENQUIRE_LINK_RESP = 0x8000_0015, "enquire_link_resp";
    /// Hands one message for many to the SMSC.
    SUBMIT_MULTI = 0x0000_0021, "submit_multi";
    /// Answers `submit_multi`.
    SUBMIT_MULTI_RESP = 0x8000_0021, "submit_multi_resp";
    /// Tells that a subscriber is reachable again.
    ALERT_NOTIFICATION = 0x0000_0102, "alert_notification";
    /// Hands a message over, in either direction.
    DATA_SM = 0x0000_0103, "data_sm";
    /// Answers `data_sm`.
    DATA_SM_RESP = 0x8000_0103, "data_sm_resp";
    /// Hands a cell broadcast to the SMSC (SMPP 5.0).
    BROADCAST_SM = 0x0000_0111, "broadcast_sm";
    /// Answers `broadcast_sm`.
    BROADCAST_SM_RESP = 0x8000_0111, "broadcast_sm_resp";
    /// Asks for the state of a broadcast (SMPP 5.0).
    QUERY_BROADCAST_SM = 0x0000_0112, "query_broadcast_sm";
    /// Answers `query_broadcast_sm`.
    QUERY_BROADCAST_SM_RESP = 0x8000_0112, "query_broadcast_sm_resp";
    /// Cancels a broadcast (SMPP 5.0).
    CANCEL_BROADCAST_SM = 0x0000_0113, "cancel_broadcast_sm";
    /// Answers `cancel_broadcast_sm`.
    CANCEL_BROADCAST_SM_RESP = 0x8000_0113, "cancel_broadcast_sm_resp";
}

impl CommandId {
    /// The response id that belongs to this request.
    #[must_use]
    pub const fn response(self) -> Self {
        Self(self.0 | 0x8000_0000)
    }

    /// Whether the top bit marks a response (`generic_nack` included).
    #[must_use]
    pub const fn is_response(self) -> bool {
        self.0 & 0x8000_0000 != 0
    }

    /// Whether this is one of the three binds.
    #[must_use]
    pub const fn is_bind(self) -> bool {
        matches!(self, Self::BIND_RECEIVER | Self::BIND_TRANSMITTER | Self::BIND_TRANSCEIVER)
    }
}

#[cfg(test)]
mod tests {
    use super::CommandId;

    #[test]
    fn every_request_but_two_has_its_response_and_every_response_its_request() {
        assert_eq!(CommandId::ALL.len(), 33);
        for id in CommandId::ALL {
            let name = id.name().unwrap_or_default();
            if id.is_response() {
                let request = CommandId(id.0 & 0x7FFF_FFFF);
                assert!(*id == CommandId::GENERIC_NACK || request.response() == *id);
            } else {
                let answered = !matches!(*id, CommandId::OUTBIND | CommandId::ALERT_NOTIFICATION);
                let answer = id.response().name();
                assert_eq!(answer, answered.then(|| format!("{name}_resp")).as_deref());
            }
            assert_eq!(id.is_bind(), name.starts_with("bind_") && !id.is_response());
        }
        let known = (0..0x200).chain(0x8000_0000..0x8000_0200).filter(|id| CommandId(*id).name().is_some());
        assert_eq!(known.count(), CommandId::ALL.len());
    }
}
