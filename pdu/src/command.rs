//! Command ids and command status codes, as open newtypes: a peer may send any value and none is an error here.
//!
//! SMPP 3.4 sections 5.1.2.1 and 5.1.3, SMPP 5.0 sections 4.7.5 and 4.7.6.

/// A `command_id`; responses carry the request's id with the top bit set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId(pub u32);

/// A `command_status`; zero is success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandStatus(pub u32);

impl CommandId {
    /// Answers a PDU that cannot be understood.
    pub const GENERIC_NACK: Self = Self(0x8000_0000);
    /// Binds a receiver session.
    pub const BIND_RECEIVER: Self = Self(0x0000_0001);
    /// Answers `bind_receiver`.
    pub const BIND_RECEIVER_RESP: Self = Self(0x8000_0001);
    /// Binds a transmitter session.
    pub const BIND_TRANSMITTER: Self = Self(0x0000_0002);
    /// Answers `bind_transmitter`.
    pub const BIND_TRANSMITTER_RESP: Self = Self(0x8000_0002);
    /// Hands a message to the SMSC.
    pub const SUBMIT_SM: Self = Self(0x0000_0004);
    /// Answers `submit_sm`.
    pub const SUBMIT_SM_RESP: Self = Self(0x8000_0004);
    /// Hands a message or receipt to the ESME.
    pub const DELIVER_SM: Self = Self(0x0000_0005);
    /// Answers `deliver_sm`.
    pub const DELIVER_SM_RESP: Self = Self(0x8000_0005);
    /// Ends a session in order.
    pub const UNBIND: Self = Self(0x0000_0006);
    /// Answers `unbind`.
    pub const UNBIND_RESP: Self = Self(0x8000_0006);
    /// Binds a transceiver session.
    pub const BIND_TRANSCEIVER: Self = Self(0x0000_0009);
    /// Answers `bind_transceiver`.
    pub const BIND_TRANSCEIVER_RESP: Self = Self(0x8000_0009);
    /// Asks whether the peer is alive.
    pub const ENQUIRE_LINK: Self = Self(0x0000_0015);
    /// Answers `enquire_link`.
    pub const ENQUIRE_LINK_RESP: Self = Self(0x8000_0015);

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
}

impl CommandStatus {
    /// No error.
    pub const OK: Self = Self(0x0000_0000);
    /// Message queue full.
    pub const MSG_QUEUE_FULL: Self = Self(0x0000_0014);
    /// Throttling error: the ESME exceeded its rate.
    pub const THROTTLED: Self = Self(0x0000_0058);
}
