//! PDUs that carry messages: `submit_sm`, `deliver_sm` and their responses.
//!
//! Decoding borrows and accepts what peers send in practice: longer addresses, any octet in an address, absent
//! response bodies. Encoding keeps to the limits. SMPP 3.4 sections 4.4 and 4.6, SMPP 5.0 sections 4.2.1 and 4.3.1.

use bytes::{BufMut, BytesMut};

use crate::{
    DecodeError, EncodeError, Tlvs,
    body::body_pdu,
    field::{Reader, put_c_octets, put_short_octets},
};

pub(crate) const SERVICE_TYPE_MAX: usize = 5;
pub(crate) const ADDRESS_MAX: usize = 20;
/// Accepted from a peer: `data_sm` allows 64 and some SMSCs use that everywhere.
pub(crate) const ADDRESS_MAX_RECEIVED: usize = 64;
pub(crate) const TIME_MAX: usize = 16;
pub(crate) const MESSAGE_ID_MAX: usize = 64;

/// The fields before `sm_length` at their longest.
const FIXED_OCTETS: usize = (SERVICE_TYPE_MAX + 1) + 2 * (2 + ADDRESS_MAX + 1) + 3 + 2 * (TIME_MAX + 1) + 4;

/// Bits of `esm_class` (SMPP 3.4 section 5.2.12).
pub mod esm_class {
    /// Mask of the message type, bits 5 to 2.
    pub const TYPE_MASK: u8 = 0x3C;
    /// Message type of an SMSC delivery receipt.
    pub const RECEIPT: u8 = 0x04;
    /// Message type of an intermediate delivery notification.
    pub const INTERMEDIATE: u8 = 0x20;
    /// The short message begins with a user data header.
    pub const UDHI: u8 = 0x40;
    /// A reply path is set.
    pub const REPLY_PATH: u8 = 0x80;
    /// Mask of the messaging mode, bits 1 and 0.
    pub const MODE_MASK: u8 = 0x03;
    /// Store-and-forward mode.
    pub const STORE_AND_FORWARD: u8 = 0x03;
}

/// Bits of `registered_delivery` (SMPP 3.4 section 5.2.17).
pub mod registered_delivery {
    /// No receipt.
    pub const NONE: u8 = 0x00;
    /// A receipt on success and on failure.
    pub const FINAL: u8 = 0x01;
    /// A receipt on failure only.
    pub const FAILURE: u8 = 0x02;
    /// A receipt on success only (SMPP 5.0).
    pub const SUCCESS: u8 = 0x03;
    /// Intermediate notifications, to be combined with one of the above.
    pub const INTERMEDIATE: u8 = 0x10;
}

/// A source or destination: type of number, numbering plan and the address itself.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Address<'a> {
    /// Type of number: 0 unknown, 1 international, 2 national, 3 network, 5 alphanumeric.
    pub ton: u8,
    /// Numbering plan: 0 unknown, 1 E.164.
    pub npi: u8,
    /// Digits or text, at most 20 octets to be sent and 64 to be received.
    pub addr: &'a [u8],
}

/// The number stays out of logs and panic texts.
impl core::fmt::Debug for Address<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Address({}, {}, {} octets)", self.ton, self.npi, self.addr.len())
    }
}

impl<'a> Address<'a> {
    #[inline]
    pub(crate) fn read(r: &mut Reader<'a>, field: &'static str) -> Result<Self, DecodeError> {
        Ok(Self { ton: r.u8(field)?, npi: r.u8(field)?, addr: r.c_octets(field, ADDRESS_MAX_RECEIVED)? })
    }

    #[inline]
    pub(crate) fn write(
        &self,
        out: &mut impl BufMut,
        field: &'static str,
        max: usize,
    ) -> Result<(), EncodeError> {
        out.put_slice(&[self.ton, self.npi]);
        put_c_octets(out, field, self.addr, max)
    }
}

macro_rules! message_pdu {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name<'a> {
            /// Application service, at most 5 octets, usually empty.
            pub service_type: &'a [u8],
            /// Who sends.
            pub source: Address<'a>,
            /// Who receives.
            pub dest: Address<'a>,
            /// Mode, type and features, see [`esm_class`].
            pub esm_class: u8,
            /// GSM protocol identifier.
            pub protocol_id: u8,
            /// 0 (lowest) to 3, 4 in SMPP 5.0.
            pub priority_flag: u8,
            /// Time of first delivery, empty or 16 octets.
            pub schedule_delivery_time: &'a [u8],
            /// End of validity, empty or 16 octets.
            pub validity_period: &'a [u8],
            /// Which receipts are wanted, see [`registered_delivery`].
            pub registered_delivery: u8,
            /// 1 replaces an earlier message with equal source, destination and service type.
            pub replace_if_present_flag: u8,
            /// Encoding of the text: 0 SMSC default, 3 Latin-1, 4 binary, 8 UCS-2.
            pub data_coding: u8,
            /// Canned message of the SMSC, 0 for none.
            pub sm_default_msg_id: u8,
            /// User data of at most 255 octets (254 in SMPP 3.4).
            pub short_message: &'a [u8],
            /// Optional parameters.
            pub tlvs: Tlvs<'a>,
        }

        /// Numbers and text stay out of logs and panic texts.
        impl core::fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("source", &self.source)
                    .field("dest", &self.dest)
                    .field("esm_class", &self.esm_class)
                    .field("data_coding", &self.data_coding)
                    .field("sm_length", &self.short_message.len())
                    .field("tlv_octets", &self.tlvs.as_bytes().len())
                    .finish_non_exhaustive()
            }
        }

        impl<'a> $name<'a> {
            /// Reads the body; whatever follows `short_message` is left to the TLV iterator.
            ///
            /// # Errors
            /// `Truncated` or `TooLong` for the first field that does not fit.
            #[inline]
            pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
                let mut r = Reader::new(body);
                Ok(Self {
                    service_type: r.c_octets("service_type", SERVICE_TYPE_MAX)?,
                    source: Address::read(&mut r, "source_addr")?,
                    dest: Address::read(&mut r, "destination_addr")?,
                    esm_class: r.u8("esm_class")?,
                    protocol_id: r.u8("protocol_id")?,
                    priority_flag: r.u8("priority_flag")?,
                    schedule_delivery_time: r.c_octets("schedule_delivery_time", TIME_MAX)?,
                    validity_period: r.c_octets("validity_period", TIME_MAX)?,
                    registered_delivery: r.u8("registered_delivery")?,
                    replace_if_present_flag: r.u8("replace_if_present_flag")?,
                    data_coding: r.u8("data_coding")?,
                    sm_default_msg_id: r.u8("sm_default_msg_id")?,
                    short_message: {
                        let len = r.u8("sm_length")?;
                        r.octets("short_message", usize::from(len))?
                    },
                    tlvs: Tlvs::new(r.rest()),
                })
            }

            /// Appends the body.
            ///
            /// # Errors
            /// `TooLong` or `NulInside`; `out` may then hold a part of the body.
            #[inline]
            pub fn encode_body(&self, out: &mut BytesMut) -> Result<(), EncodeError> {
                // The fields of bounded length are laid out on the stack: one append instead of fourteen.
                let mut fixed = [0; FIXED_OCTETS];
                let mut rest = &mut fixed[..];
                put_c_octets(&mut rest, "service_type", self.service_type, SERVICE_TYPE_MAX)?;
                self.source.write(&mut rest, "source_addr", ADDRESS_MAX)?;
                self.dest.write(&mut rest, "destination_addr", ADDRESS_MAX)?;
                rest.put_slice(&[self.esm_class, self.protocol_id, self.priority_flag]);
                put_c_octets(&mut rest, "schedule_delivery_time", self.schedule_delivery_time, TIME_MAX)?;
                put_c_octets(&mut rest, "validity_period", self.validity_period, TIME_MAX)?;
                rest.put_slice(&[
                    self.registered_delivery,
                    self.replace_if_present_flag,
                    self.data_coding,
                    self.sm_default_msg_id,
                ]);
                let len = FIXED_OCTETS - rest.len();
                out.reserve(len + 1 + self.short_message.len() + self.tlvs.as_bytes().len());
                out.extend_from_slice(&fixed[..len]);
                put_short_octets(out, "short_message", self.short_message)?;
                out.extend_from_slice(self.tlvs.as_bytes());
                Ok(())
            }

            /// The user data: `short_message`, or `message_payload` when that is empty.
            #[inline]
            #[must_use]
            pub fn user_data(&self) -> &'a [u8] {
                if self.short_message.is_empty() {
                    self.tlvs.message_payload().unwrap_or_default()
                } else {
                    self.short_message
                }
            }

            /// Whether the user data begins with a user data header.
            #[inline]
            #[must_use]
            pub const fn has_udh(&self) -> bool {
                self.esm_class & esm_class::UDHI != 0
            }
        }
    };
}

message_pdu! {
    /// `submit_sm`: a message from the ESME to the SMSC.
    SubmitSm
}
message_pdu! {
    /// `deliver_sm`: a message or a delivery receipt from the SMSC to the ESME.
    DeliverSm
}

impl DeliverSm<'_> {
    /// Whether `esm_class` says that this is a final receipt.
    #[inline]
    #[must_use]
    pub const fn is_receipt(&self) -> bool {
        self.esm_class & esm_class::TYPE_MASK == esm_class::RECEIPT
    }

    /// Whether `esm_class` says that this is an intermediate notification.
    #[inline]
    #[must_use]
    pub const fn is_intermediate(&self) -> bool {
        self.esm_class & esm_class::TYPE_MASK == esm_class::INTERMEDIATE
    }
}

body_pdu! {
    /// `submit_sm_resp`; its body may be absent.
    response SubmitSmResp {
        /// Id given by the SMSC, empty when there is none. More than 64 octets are accepted from a peer.
        message_id: tail(MESSAGE_ID_MAX),
        /// Optional parameters, SMPP 5.0 or vendors'.
        tlvs: tlvs,
    }
}

body_pdu! {
    /// `deliver_sm_resp`; its `message_id` is unused and empty.
    response DeliverSmResp {
        /// Unused.
        message_id: tail(MESSAGE_ID_MAX),
        /// Optional parameters, SMPP 5.0 or vendors'.
        tlvs: tlvs,
    }
}

impl<'a> SubmitSmResp<'a> {
    /// The message id alone, without a look at the TLVs; `None` when there is none.
    #[inline]
    #[must_use]
    pub fn message_id_of(body: &'a [u8]) -> Option<&'a [u8]> {
        let id = Reader::new(body).lenient_c_octets();
        (!id.is_empty()).then_some(id)
    }
}
