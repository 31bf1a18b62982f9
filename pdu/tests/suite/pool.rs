//! Generated fields from which every PDU is built, once with any octets and once as strict peers want them.

use proptest::{collection::vec, prelude::*};

use pdu::{
    Address, AlertNotification, Bind, BindResp, BroadcastSm, BroadcastSmResp, CancelBroadcastSm, CancelSm,
    CommandStatus, DataSm, DataSmResp, DeliverSm, DeliverSmResp, Dest, DestBuf, Outbind, Pdu,
    QueryBroadcastSm, QueryBroadcastSmResp, QuerySm, QuerySmResp, ReplaceSm, SubmitMulti, SubmitMultiResp,
    SubmitSm, SubmitSmResp, Tag, TlvBuf, Unsuccess, UnsuccessBuf,
};

/// Owned fields; the PDUs of [`Pool::pdus`] borrow from it.
#[derive(Debug)]
pub(crate) struct Pool {
    service_type: Vec<u8>,
    system_id: Vec<u8>,
    password: Vec<u8>,
    system_type: Vec<u8>,
    range: Vec<u8>,
    addresses: [Vec<u8>; 2],
    id: Vec<u8>,
    times: [Vec<u8>; 2],
    octets: [u8; 10],
    text: Vec<u8>,
    dests: DestBuf,
    unsuccesses: UnsuccessBuf,
    tlvs: TlvBuf,
}

fn c_octets(max: usize) -> BoxedStrategy<Vec<u8>> {
    vec(1_u8..=255, 0..=max).boxed()
}

fn digits(max: usize) -> BoxedStrategy<Vec<u8>> {
    vec(b'0'..=b'9', 0..=max).boxed()
}

fn pool(
    word: fn(usize) -> BoxedStrategy<Vec<u8>>,
    time: BoxedStrategy<Vec<u8>>,
    octet: core::ops::RangeInclusive<u8>,
    tag: BoxedStrategy<u16>,
) -> impl Strategy<Value = Pool> {
    let words = (word(5), word(15), word(8), word(12), word(40), [word(20), word(20)], word(64));
    let lists = (vec((any::<bool>(), word(20)), 0..5), vec((word(20), 1_u32..300), 0..5));
    let tlvs = vec((tag, vec(any::<u8>(), 0..40)), 0..4);
    let rest = ([time.clone(), time], proptest::array::uniform10(octet), vec(any::<u8>(), 0..=255));
    (words, lists, tlvs, rest).prop_map(|(words, (dests, refused), tlvs, (times, octets, text))| {
        let (service_type, system_id, password, system_type, range, addresses, id) = words;
        let mut pool = Pool {
            service_type,
            system_id,
            password,
            system_type,
            range,
            addresses,
            id,
            times,
            octets,
            text,
            dests: DestBuf::new(),
            unsuccesses: UnsuccessBuf::new(),
            tlvs: TlvBuf::new(),
        };
        for (list, name) in &dests {
            let address = Address { ton: 1, npi: 1, addr: name };
            let dest = if *list { Dest::List(name) } else { Dest::Sme(address) };
            pool.dests.push(&dest).expect("names are of at most 20 octets");
        }
        for (name, status) in &refused {
            let dest = Address { ton: 2, npi: 3, addr: name };
            let unsuccess = Unsuccess { dest, status: CommandStatus(*status) };
            pool.unsuccesses.push(&unsuccess).expect("names are of at most 20 octets");
        }
        for (tag, value) in &tlvs {
            pool.tlvs.push(Tag(*tag), value).expect("values are of at most 40 octets");
        }
        pool
    })
}

/// Any octets that the wire allows.
pub(crate) fn wild() -> impl Strategy<Value = Pool> {
    pool(c_octets, c_octets(16), 0..=255, any::<u16>().boxed())
}

/// Digits, full or empty times, small integers, vendors' TLVs.
pub(crate) fn strict() -> impl Strategy<Value = Pool> {
    let time = prop_oneof![Just(Vec::new()), Just(b"240101120000000+".to_vec())].boxed();
    pool(digits, time, 0..=1, (0x1400_u16..0x1500).boxed())
}

/// The commands that are a header alone.
const HEADERS: [Pdu<'static>; 8] = [
    Pdu::EnquireLink,
    Pdu::EnquireLinkResp,
    Pdu::Unbind,
    Pdu::UnbindResp,
    Pdu::GenericNack,
    Pdu::CancelSmResp,
    Pdu::ReplaceSmResp,
    Pdu::CancelBroadcastSmResp,
];

impl Pool {
    /// One PDU of every command.
    pub(crate) fn pdus(&self) -> Vec<Pdu<'_>> {
        let [a, b, c, d, ..] = self.octets;
        let source = Address { ton: a, npi: b, addr: &self.addresses[0] };
        let dest = Address { ton: c, npi: d, addr: &self.addresses[1] };
        let (message_id, tlvs) = (&self.id[..], self.tlvs.tlvs());
        let bind = Bind {
            system_id: &self.system_id,
            password: &self.password,
            system_type: &self.system_type,
            interface_version: a,
            addr_ton: b,
            addr_npi: c,
            address_range: &self.range,
        };
        let bind_resp = BindResp { system_id: &self.system_id, tlvs };
        let mut pdus = vec![
            Pdu::BindTransmitter(bind),
            Pdu::BindReceiver(bind),
            Pdu::BindTransceiver(bind),
            Pdu::BindTransmitterResp(bind_resp),
            Pdu::BindReceiverResp(bind_resp),
            Pdu::BindTransceiverResp(bind_resp),
            Pdu::SubmitSm(self.submit(source, dest)),
            Pdu::SubmitSmResp(SubmitSmResp { message_id, tlvs }),
            Pdu::DeliverSm(self.deliver(dest, source)),
            Pdu::DeliverSmResp(DeliverSmResp { message_id, tlvs }),
        ];
        pdus.extend(HEADERS);
        pdus.extend(self.rare(source, dest));
        pdus
    }

    fn submit<'a>(&'a self, source: Address<'a>, dest: Address<'a>) -> SubmitSm<'a> {
        let [a, .., e, f, g, h, i, j] = self.octets;
        SubmitSm {
            service_type: &self.service_type,
            source,
            dest,
            esm_class: e,
            protocol_id: f,
            priority_flag: g,
            schedule_delivery_time: &self.times[0],
            validity_period: &self.times[1],
            registered_delivery: h,
            replace_if_present_flag: a,
            data_coding: i,
            sm_default_msg_id: j,
            short_message: &self.text,
            tlvs: self.tlvs.tlvs(),
        }
    }

    fn deliver<'a>(&'a self, source: Address<'a>, dest: Address<'a>) -> DeliverSm<'a> {
        let [a, .., e, f, g, h, i, j] = self.octets;
        DeliverSm {
            service_type: &self.service_type,
            source,
            dest,
            esm_class: e,
            protocol_id: f,
            priority_flag: g,
            schedule_delivery_time: &self.times[0],
            validity_period: &self.times[1],
            registered_delivery: h,
            replace_if_present_flag: a,
            data_coding: i,
            sm_default_msg_id: j,
            short_message: &self.text,
            tlvs: self.tlvs.tlvs(),
        }
    }

    fn rare<'a>(&'a self, source: Address<'a>, dest: Address<'a>) -> [Pdu<'a>; 15] {
        let [a, b, c, d, e, f, ..] = self.octets;
        let (service_type, message_id, tlvs) = (&self.service_type[..], &self.id[..], self.tlvs.tlvs());
        let (schedule_delivery_time, validity_period) = (&self.times[0][..], &self.times[1][..]);
        let state =
            QuerySmResp { message_id, final_date: &self.times[0], message_state: a, error_code: b, tlvs };
        [
            Pdu::Outbind(Outbind { system_id: &self.system_id, password: &self.password }),
            Pdu::DataSm(DataSm {
                service_type,
                source,
                dest,
                esm_class: a,
                registered_delivery: b,
                data_coding: c,
                tlvs,
            }),
            Pdu::DataSmResp(DataSmResp { message_id, tlvs }),
            Pdu::SubmitMulti(SubmitMulti {
                service_type,
                source,
                dests: self.dests.list(),
                esm_class: a,
                protocol_id: b,
                priority_flag: c,
                schedule_delivery_time,
                validity_period,
                registered_delivery: d,
                replace_if_present_flag: e,
                data_coding: f,
                sm_default_msg_id: a,
                short_message: &self.text,
                tlvs,
            }),
            Pdu::SubmitMultiResp(SubmitMultiResp { message_id, unsuccesses: self.unsuccesses.list(), tlvs }),
            Pdu::QuerySm(QuerySm { message_id, source }),
            Pdu::QuerySmResp(state),
            Pdu::CancelSm(CancelSm { service_type, message_id, source, dest }),
            Pdu::ReplaceSm(ReplaceSm {
                message_id,
                source,
                schedule_delivery_time,
                validity_period,
                registered_delivery: a,
                sm_default_msg_id: b,
                short_message: &self.text,
                tlvs,
            }),
            Pdu::AlertNotification(AlertNotification { source, esme: dest, tlvs }),
            Pdu::BroadcastSm(BroadcastSm {
                service_type,
                source,
                message_id,
                priority_flag: a,
                schedule_delivery_time,
                validity_period,
                replace_if_present_flag: b,
                data_coding: c,
                sm_default_msg_id: d,
                tlvs,
            }),
            Pdu::BroadcastSmResp(BroadcastSmResp { message_id, tlvs }),
            Pdu::QueryBroadcastSm(QueryBroadcastSm { message_id, source, tlvs }),
            Pdu::QueryBroadcastSmResp(QueryBroadcastSmResp { message_id, tlvs }),
            Pdu::CancelBroadcastSm(CancelBroadcastSm { service_type, message_id, source, tlvs }),
        ]
    }
}
