//! PDUs that open a session: the three binds and their responses.
//!
//! SMPP 3.4 section 4.1, SMPP 5.0 section 4.1.1.

use bytes::{BufMut, BytesMut};

use crate::{
    DecodeError, EncodeError,
    body::body_pdu,
    field::{Reader, put_c_octets},
};

const SYSTEM_ID_MAX: usize = 15;
/// The specification says 8; providers hand out longer passwords, and the peer is the one to refuse them.
const PASSWORD_MAX: usize = 64;
const SYSTEM_TYPE_MAX: usize = 12;
const ADDRESS_RANGE_MAX: usize = 40;

/// `interface_version` of SMPP 3.4.
pub const INTERFACE_V34: u8 = 0x34;
/// `interface_version` of SMPP 5.0.
pub const INTERFACE_V50: u8 = 0x50;

/// The body shared by `bind_transmitter`, `bind_receiver` and `bind_transceiver`.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Bind<'a> {
    /// Who binds, at most 15 octets.
    pub system_id: &'a [u8],
    /// Secret of that account, at most 8 octets by specification, 64 accepted here.
    pub password: &'a [u8],
    /// Kind of ESME, at most 12 octets, often empty.
    pub system_type: &'a [u8],
    /// 0x34 or 0x50; anything up to 0x33 means SMPP 3.3.
    pub interface_version: u8,
    /// Type of number of `address_range`.
    pub addr_ton: u8,
    /// Numbering plan of `address_range`.
    pub addr_npi: u8,
    /// Addresses served by the ESME, at most 40 octets, usually empty.
    pub address_range: &'a [u8],
}

/// The password stays out of logs and panic texts.
impl core::fmt::Debug for Bind<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Bind")
            .field("system_id", &self.system_id.escape_ascii().to_string())
            .field("system_type", &self.system_type.escape_ascii().to_string())
            .field("interface_version", &self.interface_version)
            .finish_non_exhaustive()
    }
}

impl<'a> Bind<'a> {
    /// Reads the body; octets behind `address_range` are ignored.
    ///
    /// # Errors
    /// `Truncated` or `TooLong` for the first field that does not fit.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        Ok(Self {
            system_id: r.c_octets("system_id", SYSTEM_ID_MAX)?,
            password: r.c_octets("password", PASSWORD_MAX)?,
            system_type: r.c_octets("system_type", SYSTEM_TYPE_MAX)?,
            interface_version: r.u8("interface_version")?,
            addr_ton: r.u8("addr_ton")?,
            addr_npi: r.u8("addr_npi")?,
            address_range: r.c_octets("address_range", ADDRESS_RANGE_MAX)?,
        })
    }

    /// Appends the body.
    ///
    /// # Errors
    /// `TooLong` or `NulInside`; `out` may then hold a part of the body.
    pub fn encode_body(&self, out: &mut BytesMut) -> Result<(), EncodeError> {
        put_c_octets(out, "system_id", self.system_id, SYSTEM_ID_MAX)?;
        put_c_octets(out, "password", self.password, PASSWORD_MAX)?;
        put_c_octets(out, "system_type", self.system_type, SYSTEM_TYPE_MAX)?;
        out.put_slice(&[self.interface_version, self.addr_ton, self.addr_npi]);
        put_c_octets(out, "address_range", self.address_range, ADDRESS_RANGE_MAX)
    }
}

body_pdu! {
    /// The body of the three bind responses; absent when the bind was refused.
    response BindResp {
        /// Identity of the SMSC.
        system_id: tail(SYSTEM_ID_MAX),
        /// `sc_interface_version` and, in SMPP 5.0, `congestion_state`.
        tlvs: tlvs,
    }
}
