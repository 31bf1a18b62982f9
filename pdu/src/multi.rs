//! `submit_multi`: one message to up to 255 destinations, and the list of those that were refused.
//!
//! Both lists are checked once by the decoder and then read from the borrowed octets.
//! SMPP 3.4 section 4.5, SMPP 5.0 section 4.2.3.

use bytes::{BufMut, BytesMut};

use crate::{
    Address, CommandStatus, DecodeError, EncodeError,
    body::body_pdu,
    field::{Reader, put_c_octets},
    message::{ADDRESS_MAX, MESSAGE_ID_MAX, SERVICE_TYPE_MAX, TIME_MAX},
};

const SME: u8 = 1;
const DISTRIBUTION_LIST: u8 = 2;
const LIST_NAME_MAX: usize = 20;

/// A destination of `submit_multi`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dest<'a> {
    /// One subscriber.
    Sme(Address<'a>),
    /// A distribution list kept by the SMSC, by name of at most 20 octets.
    List(&'a [u8]),
}

/// A destination that `submit_multi` could not serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsuccess<'a> {
    /// Which one.
    pub dest: Address<'a>,
    /// Why.
    pub status: CommandStatus,
}

macro_rules! counted_list {
    ($(#[$doc:meta])* $list:ident, $(#[$buf_doc:meta])* $buf:ident, $(#[$iter_doc:meta])* $iter:ident of $item:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $list<'a> {
            count: u8,
            raw: &'a [u8],
        }

        impl<'a> $list<'a> {
            /// How many there are.
            #[must_use]
            pub const fn len(&self) -> usize {
                self.count as usize
            }

            /// Whether there is none.
            #[must_use]
            pub const fn is_empty(&self) -> bool {
                self.count == 0
            }

            /// All of them in order.
            #[must_use]
            pub const fn iter(&self) -> $iter<'a> {
                $iter { rest: Reader::new(self.raw), left: self.count }
            }

            pub(crate) fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
                let count = r.u8(stringify!($list))?;
                let start = r.rest();
                for _ in 0..count {
                    $item::read(r)?;
                }
                Ok(Self { count, raw: &start[..start.len() - r.rest().len()] })
            }

            pub(crate) fn write(&self, out: &mut BytesMut) {
                out.put_u8(self.count);
                out.extend_from_slice(self.raw);
            }
        }

        $(#[$iter_doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $iter<'a> {
            rest: Reader<'a>,
            left: u8,
        }

        impl<'a> Iterator for $iter<'a> {
            type Item = $item<'a>;

            fn next(&mut self) -> Option<$item<'a>> {
                self.left = self.left.checked_sub(1)?;
                $item::read(&mut self.rest).ok()
            }
        }

        $(#[$buf_doc])*
        #[derive(Clone, Debug, Default)]
        pub struct $buf {
            count: u8,
            raw: BytesMut,
        }

        impl $buf {
            /// An empty list, without allocation.
            #[must_use]
            pub fn new() -> Self {
                Self::default()
            }

            /// Appends one.
            ///
            /// # Errors
            /// `TooLong` or `NulInside` for the field at fault, `TooLong` above 255; the list is as before then.
            pub fn push(&mut self, item: &$item<'_>) -> Result<&mut Self, EncodeError> {
                let count = self.count.checked_add(1).ok_or(EncodeError::TooLong(stringify!($list), 255))?;
                let before = self.raw.len();
                if let Err(error) = item.write(&mut self.raw) {
                    self.raw.truncate(before);
                    return Err(error);
                }
                self.count = count;
                Ok(self)
            }

            /// What has been written so far.
            #[must_use]
            pub fn list(&self) -> $list<'_> {
                $list { count: self.count, raw: &self.raw }
            }
        }
    };
}

counted_list! {
    /// The destinations of a `submit_multi`.
    Dests,
    /// Builds the destinations of a `submit_multi`.
    DestBuf,
    /// Iterator over destinations, made by [`Dests::iter`].
    DestIter of Dest
}

counted_list! {
    /// The refused destinations in a `submit_multi_resp`.
    Unsuccesses,
    /// Builds the refused destinations of a `submit_multi_resp`.
    UnsuccessBuf,
    /// Iterator over refused destinations, made by [`Unsuccesses::iter`].
    UnsuccessIter of Unsuccess
}

impl<'a> Dest<'a> {
    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        match r.u8("dest_flag")? {
            SME => Ok(Self::Sme(Address::read(r, "destination_addr")?)),
            DISTRIBUTION_LIST => Ok(Self::List(r.c_octets("dl_name", LIST_NAME_MAX)?)),
            other => Err(DecodeError::DestFlag(other)),
        }
    }

    fn write(&self, out: &mut BytesMut) -> Result<(), EncodeError> {
        match self {
            Self::Sme(address) => {
                out.put_u8(SME);
                address.write(out, "destination_addr", ADDRESS_MAX)
            }
            Self::List(name) => {
                out.put_u8(DISTRIBUTION_LIST);
                put_c_octets(out, "dl_name", name, LIST_NAME_MAX)
            }
        }
    }
}

impl<'a> Unsuccess<'a> {
    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            dest: Address::read(r, "destination_addr")?,
            status: CommandStatus(r.u32("error_status_code")?),
        })
    }

    fn write(&self, out: &mut BytesMut) -> Result<(), EncodeError> {
        self.dest.write(out, "destination_addr", ADDRESS_MAX)?;
        out.put_u32(self.status.0);
        Ok(())
    }
}

body_pdu! {
    /// `submit_multi`.
    request SubmitMulti {
        /// At most 5 octets.
        service_type: text(SERVICE_TYPE_MAX),
        /// Who sends.
        source: address(ADDRESS_MAX),
        /// Who receives.
        dests: list(Dests),
        /// Mode, type and features.
        esm_class: octet,
        /// GSM protocol identifier.
        protocol_id: octet,
        /// 0 (lowest) to 3, 4 in SMPP 5.0.
        priority_flag: octet,
        /// Empty or 16 octets.
        schedule_delivery_time: text(TIME_MAX),
        /// Empty or 16 octets.
        validity_period: text(TIME_MAX),
        /// Which receipts are wanted.
        registered_delivery: octet,
        /// Reserved, 0.
        replace_if_present_flag: octet,
        /// Encoding of the text.
        data_coding: octet,
        /// Canned message of the SMSC, 0 for none.
        sm_default_msg_id: octet,
        /// User data of at most 255 octets.
        short_message: short,
        /// Optional parameters.
        tlvs: tlvs,
    }
}

body_pdu! {
    /// `submit_multi_resp`.
    response SubmitMultiResp {
        /// Id given by the SMSC.
        message_id: text(MESSAGE_ID_MAX),
        /// Destinations that were refused.
        unsuccesses: list(Unsuccesses),
        /// Optional parameters.
        tlvs: tlvs,
    }
}
