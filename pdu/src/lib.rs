//! SMPP 3.4 and 5.0 for both ends of a session: codec, text, segments, receipts and the legality of a session.
//!
//! Owns every octet of the protocol and nothing else: no sockets, no clocks, no runtime.
//! A malformed PDU never panics and never makes a decoder allocate more than the frame holds.
//!
//! The way of octets: [`cut_frame`] takes one PDU off a stream, [`Pdu::decode`] reads it, [`Receipt`] and
//! [`FoldedId`] say what it means for which message. The other way: [`text`] makes user data, a
//! [`SubmitTemplate`] or [`Pdu::encode`] the octets. [`SessionState`] knows what may be sent when.

mod any;
mod body;
mod broadcast;
mod command;
mod field;
mod header;
mod legality;
mod manage;
mod message;
mod message_id;
mod multi;
mod receipt;
mod session;
mod status;
mod tag;
mod template;
pub mod text;
mod time;
mod tlv;
pub mod udh;

pub use any::Pdu;
pub use broadcast::{
    BroadcastSm, BroadcastSmResp, CancelBroadcastSm, QueryBroadcastSm, QueryBroadcastSmResp,
};
pub use command::CommandId;
pub use field::{DecodeError, EncodeError};
pub use header::{Frame, FrameError, HEADER_LEN, Header, MAX_COMMAND_LENGTH, cut_frame};
pub use legality::{Direction, SessionState};
pub use manage::{AlertNotification, CancelSm, DataSm, DataSmResp, Outbind, QuerySm, QuerySmResp, ReplaceSm};
pub use message::{
    Address, DeliverSm, DeliverSmResp, SubmitSm, SubmitSmResp, esm_class, registered_delivery,
};
pub use message_id::{FoldedId, IdText, MessageIdForm, PackedId, ReceiptKeys, id_hash};
pub use multi::{
    Dest, DestBuf, DestIter, Dests, SubmitMulti, SubmitMultiResp, Unsuccess, UnsuccessBuf, UnsuccessIter,
    Unsuccesses,
};
pub use receipt::{MessageState, RECEIPT_TEXT_MAX, Receipt, ReceiptDate};
pub use session::{Bind, BindResp, INTERFACE_V34, INTERFACE_V50};
pub use status::CommandStatus;
pub use tag::Tag;
pub use template::{MAX_DIGITS, ResponseImage, SubmitTemplate, digits_of};
pub use time::{RELATIVE_MAX_S, SmppTime};
pub use tlv::{Tlv, TlvBuf, TlvIter, Tlvs};
