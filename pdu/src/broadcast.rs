//! Cell broadcast of SMPP 5.0: submit, query, cancel. Areas, content type and repetition are TLVs.
//!
//! SMPP 5.0 sections 4.4 and 4.6.

use crate::{
    body::body_pdu,
    message::{ADDRESS_MAX, MESSAGE_ID_MAX, SERVICE_TYPE_MAX, TIME_MAX},
};

body_pdu! {
    /// `broadcast_sm`.
    request BroadcastSm {
        /// At most 5 octets.
        service_type: text(SERVICE_TYPE_MAX),
        /// Who sends.
        source: address(ADDRESS_MAX),
        /// Id of a broadcast to be replaced, else empty.
        message_id: text(MESSAGE_ID_MAX),
        /// 0 (lowest) to 4.
        priority_flag: octet,
        /// Empty or 16 octets.
        schedule_delivery_time: text(TIME_MAX),
        /// Empty or 16 octets.
        validity_period: text(TIME_MAX),
        /// 1 replaces an earlier broadcast.
        replace_if_present_flag: octet,
        /// Encoding of the text.
        data_coding: octet,
        /// Canned message of the SMSC, 0 for none.
        sm_default_msg_id: octet,
        /// `broadcast_area_identifier`, `broadcast_content_type`, `broadcast_rep_num`,
        /// `broadcast_frequency_interval` are mandatory here.
        tlvs: tlvs,
    }
}

body_pdu! {
    /// `broadcast_sm_resp`.
    response BroadcastSmResp {
        /// Id given by the SMSC.
        message_id: tail(MESSAGE_ID_MAX),
        /// `broadcast_error_status` and failed areas.
        tlvs: tlvs,
    }
}

body_pdu! {
    /// `query_broadcast_sm`.
    request QueryBroadcastSm {
        /// Id given by the SMSC.
        message_id: text(MESSAGE_ID_MAX),
        /// Source address of the broadcast.
        source: address(ADDRESS_MAX),
        /// `user_message_reference`.
        tlvs: tlvs,
    }
}

body_pdu! {
    /// `query_broadcast_sm_resp`.
    response QueryBroadcastSmResp {
        /// Id of the request.
        message_id: tail(MESSAGE_ID_MAX),
        /// `message_state`, `broadcast_area_identifier`, `broadcast_area_success`.
        tlvs: tlvs,
    }
}

body_pdu! {
    /// `cancel_broadcast_sm`.
    request CancelBroadcastSm {
        /// At most 5 octets.
        service_type: text(SERVICE_TYPE_MAX),
        /// Id of the broadcast, empty to cancel by source and content type.
        message_id: text(MESSAGE_ID_MAX),
        /// Source address of the broadcast.
        source: address(ADDRESS_MAX),
        /// `broadcast_content_type`, `user_message_reference`.
        tlvs: tlvs,
    }
}
