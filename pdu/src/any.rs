//! `Pdu`: any decoded PDU, and the one place that writes a header with its length.
//!
//! Decoding dispatches on `command_id` over one whole frame; encoding either appends a correct PDU or nothing.

use bytes::BytesMut;

use crate::{
    AlertNotification, Bind, BindResp, BroadcastSm, BroadcastSmResp, CancelBroadcastSm, CancelSm, CommandId,
    CommandStatus, DataSm, DataSmResp, DecodeError, DeliverSm, DeliverSmResp, EncodeError, Frame, HEADER_LEN,
    Outbind, QueryBroadcastSm, QueryBroadcastSmResp, QuerySm, QuerySmResp, ReplaceSm, SubmitMulti,
    SubmitMultiResp, SubmitSm, SubmitSmResp,
};

macro_rules! pdus {
    (
        bodies { $($name:literal $variant:ident($body:ident $($absent:ident)?) = $id:ident,)* }
        headers { $($bare_name:literal $bare:ident = $bare_id:ident,)* }
    ) => {
        /// Any PDU, borrowing from its frame.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Pdu<'a> {
            $(#[doc = concat!("`", $name, "`")] $variant($body<'a>),)*
            $(#[doc = concat!("`", $bare_name, "`, a header alone")] $bare,)*
        }

        impl<'a> Pdu<'a> {
            /// Decodes the body of one whole frame; a body where none belongs is ignored.
            ///
            /// # Errors
            /// `UnknownCommand`, or what the decoder of that command says; the frame is lost, the stream is
            /// intact.
            #[inline]
            pub fn decode(frame: &Frame<'a>) -> Result<Self, DecodeError> {
                Ok(match frame.header.command_id {
                    $(CommandId::$id => Self::$variant($body::decode(frame.body)?),)*
                    $(CommandId::$bare_id => Self::$bare,)*
                    CommandId(other) => return Err(DecodeError::UnknownCommand(other)),
                })
            }

            /// The `command_id` that belongs to the variant.
            #[must_use]
            pub const fn command_id(&self) -> CommandId {
                match self {
                    $(Self::$variant(_) => CommandId::$id,)*
                    $(Self::$bare => CommandId::$bare_id,)*
                }
            }

            #[inline]
            fn encode_body(&self, status: CommandStatus, out: &mut BytesMut) -> Result<(), EncodeError> {
                match self {
                    $(Self::$variant(body) => {
                        $(if pdus!(@$absent status body) {
                            return Ok(());
                        })?
                        body.encode_body(out)
                    })*
                    $(Self::$bare => Ok(()),)*
                }
            }
        }
    };
    (@absent $status:ident $body:ident) => { !$status.is_ok() && $body.is_empty() };
}

// `absent` marks the responses that have no body when they refuse and say nothing else.
pdus! {
    bodies {
        "submit_sm" SubmitSm(SubmitSm) = SUBMIT_SM,
        "submit_sm_resp" SubmitSmResp(SubmitSmResp absent) = SUBMIT_SM_RESP,
        "deliver_sm" DeliverSm(DeliverSm) = DELIVER_SM,
        "deliver_sm_resp" DeliverSmResp(DeliverSmResp) = DELIVER_SM_RESP,
        "bind_transmitter" BindTransmitter(Bind) = BIND_TRANSMITTER,
        "bind_transmitter_resp" BindTransmitterResp(BindResp absent) = BIND_TRANSMITTER_RESP,
        "bind_receiver" BindReceiver(Bind) = BIND_RECEIVER,
        "bind_receiver_resp" BindReceiverResp(BindResp absent) = BIND_RECEIVER_RESP,
        "bind_transceiver" BindTransceiver(Bind) = BIND_TRANSCEIVER,
        "bind_transceiver_resp" BindTransceiverResp(BindResp absent) = BIND_TRANSCEIVER_RESP,
        "outbind" Outbind(Outbind) = OUTBIND,
        "data_sm" DataSm(DataSm) = DATA_SM,
        "data_sm_resp" DataSmResp(DataSmResp absent) = DATA_SM_RESP,
        "submit_multi" SubmitMulti(SubmitMulti) = SUBMIT_MULTI,
        "submit_multi_resp" SubmitMultiResp(SubmitMultiResp absent) = SUBMIT_MULTI_RESP,
        "query_sm" QuerySm(QuerySm) = QUERY_SM,
        "query_sm_resp" QuerySmResp(QuerySmResp absent) = QUERY_SM_RESP,
        "cancel_sm" CancelSm(CancelSm) = CANCEL_SM,
        "replace_sm" ReplaceSm(ReplaceSm) = REPLACE_SM,
        "alert_notification" AlertNotification(AlertNotification) = ALERT_NOTIFICATION,
        "broadcast_sm" BroadcastSm(BroadcastSm) = BROADCAST_SM,
        "broadcast_sm_resp" BroadcastSmResp(BroadcastSmResp absent) = BROADCAST_SM_RESP,
        "query_broadcast_sm" QueryBroadcastSm(QueryBroadcastSm) = QUERY_BROADCAST_SM,
        "query_broadcast_sm_resp" QueryBroadcastSmResp(QueryBroadcastSmResp absent) = QUERY_BROADCAST_SM_RESP,
        "cancel_broadcast_sm" CancelBroadcastSm(CancelBroadcastSm) = CANCEL_BROADCAST_SM,
    }
    headers {
        "enquire_link" EnquireLink = ENQUIRE_LINK,
        "enquire_link_resp" EnquireLinkResp = ENQUIRE_LINK_RESP,
        "unbind" Unbind = UNBIND,
        "unbind_resp" UnbindResp = UNBIND_RESP,
        "generic_nack" GenericNack = GENERIC_NACK,
        "cancel_sm_resp" CancelSmResp = CANCEL_SM_RESP,
        "replace_sm_resp" ReplaceSmResp = REPLACE_SM_RESP,
        "cancel_broadcast_sm_resp" CancelBroadcastSmResp = CANCEL_BROADCAST_SM_RESP,
    }
}

impl Pdu<'_> {
    /// Appends the whole PDU with a correct `command_length`.
    ///
    /// A response with a status other than zero and nothing to say gets no body (SMPP 3.4 sections 4.1.2, 4.4.2),
    /// but for `deliver_sm_resp`, whose one NUL some SMSCs insist on.
    ///
    /// # Errors
    /// `TooLong` or `NulInside`; `out` is as it was before.
    #[inline]
    pub fn encode(
        &self,
        status: CommandStatus,
        sequence_number: u32,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let start = out.len();
        let mut header = [0; HEADER_LEN];
        header[4..8].copy_from_slice(&self.command_id().0.to_be_bytes());
        header[8..12].copy_from_slice(&status.0.to_be_bytes());
        header[12..].copy_from_slice(&sequence_number.to_be_bytes());
        out.reserve(64);
        out.extend_from_slice(&header);
        let written = self.encode_body(status, out).and_then(|()| {
            u32::try_from(out.len() - start).map_err(|_| EncodeError::TooLong("PDU", u32::MAX as usize))
        });
        match written {
            Ok(command_length) => {
                out[start..start + 4].copy_from_slice(&command_length.to_be_bytes());
                Ok(())
            }
            Err(error) => {
                out.truncate(start);
                Err(error)
            }
        }
    }
}
