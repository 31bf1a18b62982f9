//! `Pdu`: any decoded PDU, and the one place that writes a header with its length.
//!
//! Decoding dispatches on `command_id` over one whole frame; encoding either appends a correct PDU or nothing.

use bytes::{BufMut, BytesMut};

use crate::{
    Bind, BindResp, CommandId, CommandStatus, DecodeError, DeliverSm, DeliverSmResp, EncodeError, Frame,
    SubmitSm, SubmitSmResp,
};

/// Any PDU, borrowing from its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pdu<'a> {
    /// `bind_transmitter`
    BindTransmitter(Bind<'a>),
    /// `bind_transmitter_resp`
    BindTransmitterResp(BindResp<'a>),
    /// `bind_receiver`
    BindReceiver(Bind<'a>),
    /// `bind_receiver_resp`
    BindReceiverResp(BindResp<'a>),
    /// `bind_transceiver`
    BindTransceiver(Bind<'a>),
    /// `bind_transceiver_resp`
    BindTransceiverResp(BindResp<'a>),
    /// `submit_sm`
    SubmitSm(SubmitSm<'a>),
    /// `submit_sm_resp`
    SubmitSmResp(SubmitSmResp<'a>),
    /// `deliver_sm`
    DeliverSm(DeliverSm<'a>),
    /// `deliver_sm_resp`
    DeliverSmResp(DeliverSmResp<'a>),
    /// `enquire_link`
    EnquireLink,
    /// `enquire_link_resp`
    EnquireLinkResp,
    /// `unbind`
    Unbind,
    /// `unbind_resp`
    UnbindResp,
    /// `generic_nack`
    GenericNack,
}

impl<'a> Pdu<'a> {
    /// Decodes the body of one whole frame; a body where none belongs is ignored.
    ///
    /// # Errors
    /// `UnknownCommand`, or what the decoder of that command says; the frame is lost, the stream is intact.
    #[inline]
    pub fn decode(frame: &Frame<'a>) -> Result<Self, DecodeError> {
        let body = frame.body;
        Ok(match frame.header.command_id {
            CommandId::SUBMIT_SM_RESP => Self::SubmitSmResp(SubmitSmResp::decode(body)?),
            CommandId::DELIVER_SM => Self::DeliverSm(DeliverSm::decode(body)?),
            CommandId::SUBMIT_SM => Self::SubmitSm(SubmitSm::decode(body)?),
            CommandId::DELIVER_SM_RESP => Self::DeliverSmResp(DeliverSmResp::decode(body)?),
            CommandId::ENQUIRE_LINK => Self::EnquireLink,
            CommandId::ENQUIRE_LINK_RESP => Self::EnquireLinkResp,
            CommandId::UNBIND => Self::Unbind,
            CommandId::UNBIND_RESP => Self::UnbindResp,
            CommandId::GENERIC_NACK => Self::GenericNack,
            CommandId::BIND_TRANSMITTER => Self::BindTransmitter(Bind::decode(body)?),
            CommandId::BIND_RECEIVER => Self::BindReceiver(Bind::decode(body)?),
            CommandId::BIND_TRANSCEIVER => Self::BindTransceiver(Bind::decode(body)?),
            CommandId::BIND_TRANSMITTER_RESP => Self::BindTransmitterResp(BindResp::decode(body)?),
            CommandId::BIND_RECEIVER_RESP => Self::BindReceiverResp(BindResp::decode(body)?),
            CommandId::BIND_TRANSCEIVER_RESP => Self::BindTransceiverResp(BindResp::decode(body)?),
            CommandId(other) => return Err(DecodeError::UnknownCommand(other)),
        })
    }

    /// The `command_id` that belongs to the variant.
    #[must_use]
    pub const fn command_id(&self) -> CommandId {
        match self {
            Self::BindTransmitter(_) => CommandId::BIND_TRANSMITTER,
            Self::BindTransmitterResp(_) => CommandId::BIND_TRANSMITTER_RESP,
            Self::BindReceiver(_) => CommandId::BIND_RECEIVER,
            Self::BindReceiverResp(_) => CommandId::BIND_RECEIVER_RESP,
            Self::BindTransceiver(_) => CommandId::BIND_TRANSCEIVER,
            Self::BindTransceiverResp(_) => CommandId::BIND_TRANSCEIVER_RESP,
            Self::SubmitSm(_) => CommandId::SUBMIT_SM,
            Self::SubmitSmResp(_) => CommandId::SUBMIT_SM_RESP,
            Self::DeliverSm(_) => CommandId::DELIVER_SM,
            Self::DeliverSmResp(_) => CommandId::DELIVER_SM_RESP,
            Self::EnquireLink => CommandId::ENQUIRE_LINK,
            Self::EnquireLinkResp => CommandId::ENQUIRE_LINK_RESP,
            Self::Unbind => CommandId::UNBIND,
            Self::UnbindResp => CommandId::UNBIND_RESP,
            Self::GenericNack => CommandId::GENERIC_NACK,
        }
    }

    /// Appends the whole PDU with a correct `command_length`.
    ///
    /// A response with a status other than zero and nothing to say gets no body (SMPP 3.4 sections 4.1.2, 4.4.2).
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
        out.reserve(64);
        out.put_u32(0);
        out.put_u32(self.command_id().0);
        out.put_u32(status.0);
        out.put_u32(sequence_number);
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

    #[inline]
    fn encode_body(&self, status: CommandStatus, out: &mut BytesMut) -> Result<(), EncodeError> {
        let refused = status != CommandStatus::OK;
        match self {
            Self::BindTransmitter(bind) | Self::BindReceiver(bind) | Self::BindTransceiver(bind) => {
                bind.encode_body(out)
            }
            Self::BindTransmitterResp(resp)
            | Self::BindReceiverResp(resp)
            | Self::BindTransceiverResp(resp) => {
                if refused && resp.is_empty() {
                    Ok(())
                } else {
                    resp.encode_body(out)
                }
            }
            Self::SubmitSm(message) => message.encode_body(out),
            Self::DeliverSm(message) => message.encode_body(out),
            Self::SubmitSmResp(resp) => {
                if refused && resp.is_empty() {
                    Ok(())
                } else {
                    resp.encode_body(out)
                }
            }
            Self::DeliverSmResp(resp) => resp.encode_body(out),
            Self::EnquireLink
            | Self::EnquireLinkResp
            | Self::Unbind
            | Self::UnbindResp
            | Self::GenericNack => Ok(()),
        }
    }
}
