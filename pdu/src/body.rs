//! The macro that makes a PDU body from its list of fields: struct, decoder, encoder, redacted `Debug`.
//!
//! Kinds of fields: `text(max)` C-octet string, `tail(max)` the same whose NUL may be missing, `address(max)`,
//! `octet`, `short` octets behind a length octet, `list(Type)` counted list, `tlvs`. A `response` may be absent.

macro_rules! body_pdu {
    ($(#[$meta:meta])* $role:ident $name:ident {
        $($(#[$doc:meta])* $field:ident: $kind:ident $(($($arg:tt)*))?,)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name<'a> {
            $($(#[$doc])* pub $field: $crate::body::body_pdu!(@type $kind 'a $(($($arg)*))?),)*
        }

        /// Numbers, text and secrets stay out of logs and panic texts.
        impl core::fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }

        impl<'a> $name<'a> {
            /// Reads the body.
            ///
            /// # Errors
            /// `Truncated` or `TooLong` for the first field that does not fit.
            #[inline]
            pub fn decode(body: &'a [u8]) -> Result<Self, $crate::DecodeError> {
                $crate::body::body_pdu!(@absent $role body);
                let mut r = $crate::field::Reader::new(body);
                Ok(Self {
                    $($field: $crate::body::body_pdu!(@read r $kind stringify!($field) $(, ($($arg)*))?),)*
                })
            }

            /// Appends the body.
            ///
            /// # Errors
            /// `TooLong` or `NulInside`; `out` may then hold a part of the body.
            #[inline]
            pub fn encode_body(&self, out: &mut bytes::BytesMut) -> Result<(), $crate::EncodeError> {
                $($crate::body::body_pdu!(@write self.$field, out, $kind stringify!($field) $(, ($($arg)*))?);)*
                Ok(())
            }

            /// Whether every field is empty or zero.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                *self == Self::default()
            }
        }
    };

    (@absent request $body:ident) => {};
    (@absent response $body:ident) => {
        if $body.is_empty() {
            return Ok(Self::default());
        }
    };

    (@type text $a:lifetime ($max:expr)) => { &$a [u8] };
    (@type tail $a:lifetime ($max:expr)) => { &$a [u8] };
    (@type address $a:lifetime ($max:expr)) => { $crate::Address<$a> };
    (@type octet $a:lifetime) => { u8 };
    (@type short $a:lifetime) => { &$a [u8] };
    (@type list $a:lifetime ($list:ident)) => { $list<$a> };
    (@type tlvs $a:lifetime) => { $crate::Tlvs<$a> };

    (@read $r:ident text $name:expr, ($max:expr)) => { $r.c_octets($name, $max)? };
    (@read $r:ident tail $name:expr, ($max:expr)) => { $r.lenient_c_octets() };
    (@read $r:ident address $name:expr, ($max:expr)) => { $crate::Address::read(&mut $r, $name)? };
    (@read $r:ident octet $name:expr) => { $r.u8($name)? };
    (@read $r:ident short $name:expr) => {{
        let len = $r.u8($name)?;
        $r.octets($name, usize::from(len))?
    }};
    (@read $r:ident list $name:expr, ($list:ident)) => { $list::read(&mut $r)? };
    (@read $r:ident tlvs $name:expr) => { $crate::Tlvs::new($r.rest()) };

    (@write $value:expr, $out:ident, text $name:expr, ($max:expr)) => {
        $crate::field::put_c_octets($out, $name, $value, $max)?
    };
    (@write $value:expr, $out:ident, tail $name:expr, ($max:expr)) => {
        $crate::field::put_c_octets($out, $name, $value, $max)?
    };
    (@write $value:expr, $out:ident, address $name:expr, ($max:expr)) => { $value.write($out, $name, $max)? };
    (@write $value:expr, $out:ident, octet $name:expr) => { bytes::BufMut::put_u8($out, $value) };
    (@write $value:expr, $out:ident, short $name:expr) => {
        $crate::field::put_short_octets($out, $name, $value)?
    };
    (@write $value:expr, $out:ident, list $name:expr, ($list:ident)) => { $value.write($out) };
    (@write $value:expr, $out:ident, tlvs $name:expr) => { $out.extend_from_slice($value.as_bytes()) };
}
pub(crate) use body_pdu;
