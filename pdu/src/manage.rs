//! PDUs about messages already submitted and about sessions: query, cancel, replace, data, outbind, alert.
//!
//! SMPP 3.4 sections 4.1.7, 4.7 to 4.10 and 4.12, SMPP 5.0 sections 4.1.1.7, 4.1.3 and 4.5.

use crate::{
    body::body_pdu,
    message::{ADDRESS_MAX, ADDRESS_MAX_RECEIVED, MESSAGE_ID_MAX, SERVICE_TYPE_MAX, TIME_MAX},
};

body_pdu! {
    /// `query_sm`: asks for the state of a message.
    request QuerySm {
        /// Id given by the SMSC, at most 64 octets.
        message_id: text(MESSAGE_ID_MAX),
        /// Source address of that message.
        source: address(ADDRESS_MAX),
    }
}

body_pdu! {
    /// `query_sm_resp`.
    response QuerySmResp {
        /// Id of the request.
        message_id: text(MESSAGE_ID_MAX),
        /// Time of the final state, empty or 16 octets.
        final_date: text(TIME_MAX),
        /// See [`MessageState::from_code`](crate::MessageState::from_code).
        message_state: octet,
        /// Network error, 0 for none.
        error_code: octet,
        /// Optional parameters of SMPP 5.0.
        tlvs: tlvs,
    }
}

body_pdu! {
    /// `cancel_sm`: one message by id, or all between two addresses.
    request CancelSm {
        /// At most 5 octets.
        service_type: text(SERVICE_TYPE_MAX),
        /// Empty to cancel by addresses.
        message_id: text(MESSAGE_ID_MAX),
        /// Source address of the message.
        source: address(ADDRESS_MAX),
        /// Destination, empty when the id is given.
        dest: address(ADDRESS_MAX),
    }
}

body_pdu! {
    /// `replace_sm`: new text and times for a message not yet delivered.
    request ReplaceSm {
        /// Id given by the SMSC.
        message_id: text(MESSAGE_ID_MAX),
        /// Source address of the message.
        source: address(ADDRESS_MAX),
        /// Empty or 16 octets.
        schedule_delivery_time: text(TIME_MAX),
        /// Empty or 16 octets.
        validity_period: text(TIME_MAX),
        /// Which receipts are wanted.
        registered_delivery: octet,
        /// Canned message of the SMSC, 0 for none.
        sm_default_msg_id: octet,
        /// New text of at most 255 octets.
        short_message: short,
        /// `message_payload` of SMPP 5.0.
        tlvs: tlvs,
    }
}

body_pdu! {
    /// `data_sm`: a message whose text is a TLV, in either direction.
    request DataSm {
        /// At most 5 octets.
        service_type: text(SERVICE_TYPE_MAX),
        /// Who sends, at most 64 octets.
        source: address(ADDRESS_MAX_RECEIVED),
        /// Who receives, at most 64 octets.
        dest: address(ADDRESS_MAX_RECEIVED),
        /// Mode, type and features.
        esm_class: octet,
        /// Which receipts are wanted.
        registered_delivery: octet,
        /// Encoding of the text.
        data_coding: octet,
        /// `message_payload` and whatever else.
        tlvs: tlvs,
    }
}

body_pdu! {
    /// `data_sm_resp`.
    response DataSmResp {
        /// Id given by the SMSC.
        message_id: tail(MESSAGE_ID_MAX),
        /// `delivery_failure_reason` and the like.
        tlvs: tlvs,
    }
}

body_pdu! {
    /// `outbind`: the SMSC asks the ESME to bind.
    request Outbind {
        /// Identity of the SMSC, at most 15 octets.
        system_id: text(15),
        /// Its secret, at most 8 octets by specification, 64 accepted here.
        password: text(64),
    }
}

body_pdu! {
    /// `alert_notification`: a subscriber is reachable again; it has no response.
    request AlertNotification {
        /// Address of the subscriber, at most 64 octets.
        source: address(ADDRESS_MAX_RECEIVED),
        /// Address of the ESME, at most 64 octets.
        esme: address(ADDRESS_MAX_RECEIVED),
        /// `ms_availability_status`.
        tlvs: tlvs,
    }
}
