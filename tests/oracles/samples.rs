//! The PDUs that the judges get: every kind, every way of carrying text, and both of the fast paths of the encoder.

use bytes::BytesMut;
use pdu::text::{Concat, Encoding, Segments};
use pdu::{
    Address, Bind, BindResp, CommandId, CommandStatus, DeliverSm, DeliverSmResp, Pdu, ResponseImage,
    SubmitSm, SubmitSmResp, SubmitTemplate, Tag, TlvBuf, Tlvs,
};

use super::{Facts, Sample, hex};

/// A value of an optional parameter.
#[derive(Clone, Copy)]
pub(super) enum Value {
    U8(u8),
    U16(u16),
    Text(&'static str),
    Octets(&'static [u8]),
}

/// Optional parameters that a message to the SMSC may carry.
const OF_A_SUBMIT: [(Tag, Value); 6] = [
    (Tag::USER_MESSAGE_REFERENCE, Value::U16(0x0708)),
    (Tag::SAR_MSG_REF_NUM, Value::U16(0x1234)),
    (Tag::SAR_TOTAL_SEGMENTS, Value::U8(3)),
    (Tag::SAR_SEGMENT_SEQNUM, Value::U8(2)),
    (Tag::SOURCE_PORT, Value::U16(9200)),
    (Tag::MESSAGE_PAYLOAD, Value::Octets(&[b'p'; 700])),
];
/// Optional parameters of a receipt.
const OF_A_RECEIPT: [(Tag, Value); 3] = [
    (Tag::RECEIPTED_MESSAGE_ID, Value::Text("00B8BE19")),
    (Tag::MESSAGE_STATE, Value::U8(2)),
    (Tag::NETWORK_ERROR_CODE, Value::Octets(&[3, 1, 2])),
];
/// Optional parameters of a bind's answer.
const OF_A_BIND: [(Tag, Value); 2] =
    [(Tag::SC_INTERFACE_VERSION, Value::U8(0x50)), (Tag::CONGESTION_STATE, Value::U8(40))];
/// What a receipt says in words.
const RECEIPT: &[u8] =
    b"id:12131897 sub:001 dlvrd:001 submit date:2612312358 done date:2612312359 stat:DELIVRD err:000 text:Hi";

/// A message, in one direction or the other, with something in every mandatory field.
macro_rules! message {
    ($kind:ident) => {
        $kind {
            service_type: b"CMT",
            source: Address { ton: 5, npi: 0, addr: b"Shop" },
            dest: Address { ton: 1, npi: 1, addr: b"491701234567" },
            esm_class: 0x03,
            protocol_id: 0x11,
            priority_flag: 2,
            schedule_delivery_time: b"261231235959000+",
            validity_period: b"000001000000000R",
            registered_delivery: 0x11,
            replace_if_present_flag: 1,
            data_coding: 4,
            sm_default_msg_id: 9,
            short_message: &[0, 1, 0x7F, 0x80, 0xFF],
            tlvs: Tlvs::EMPTY,
        }
    };
}

/// What a message, in one direction or the other, means.
macro_rules! message_facts {
    ($message:expr) => {
        vec![
            ("service_type", text($message.service_type)),
            ("source_addr_ton", $message.source.ton.to_string()),
            ("source_addr_npi", $message.source.npi.to_string()),
            ("source_addr", text($message.source.addr)),
            ("dest_addr_ton", $message.dest.ton.to_string()),
            ("dest_addr_npi", $message.dest.npi.to_string()),
            ("destination_addr", text($message.dest.addr)),
            ("esm_class", $message.esm_class.to_string()),
            ("protocol_id", $message.protocol_id.to_string()),
            ("priority_flag", $message.priority_flag.to_string()),
            ("schedule_delivery_time", text($message.schedule_delivery_time)),
            ("validity_period", text($message.validity_period)),
            ("registered_delivery", $message.registered_delivery.to_string()),
            ("replace_if_present_flag", $message.replace_if_present_flag.to_string()),
            ("data_coding", $message.data_coding.to_string()),
            ("sm_default_msg_id", $message.sm_default_msg_id.to_string()),
            ("sm_length", $message.short_message.len().to_string()),
            ("short_message", hex($message.short_message)),
        ]
    };
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// What the body of a daily PDU means, its optional parameters left out.
fn body_facts(pdu: &Pdu<'_>) -> Vec<(&'static str, String)> {
    match pdu {
        Pdu::BindTransmitter(bind) | Pdu::BindReceiver(bind) | Pdu::BindTransceiver(bind) => vec![
            ("system_id", text(bind.system_id)),
            ("password", text(bind.password)),
            ("system_type", text(bind.system_type)),
            ("interface_version", bind.interface_version.to_string()),
            ("addr_ton", bind.addr_ton.to_string()),
            ("addr_npi", bind.addr_npi.to_string()),
            ("address_range", text(bind.address_range)),
        ],
        Pdu::BindTransmitterResp(resp) | Pdu::BindReceiverResp(resp) | Pdu::BindTransceiverResp(resp) => {
            vec![("system_id", text(resp.system_id))]
        }
        Pdu::SubmitSm(message) => message_facts!(message),
        Pdu::DeliverSm(message) => message_facts!(message),
        Pdu::SubmitSmResp(resp) => vec![("message_id", text(resp.message_id))],
        _ => Vec::new(),
    }
}

/// A field and what is meant by it.
pub(super) type Meant = (&'static str, &'static str);

/// Optional parameters, encoded, and what they mean.
#[derive(Default)]
pub(super) struct Parameters {
    buffer: TlvBuf,
    facts: Vec<(&'static str, String)>,
}

impl Parameters {
    pub(super) fn of(values: &[(Tag, Value)]) -> Self {
        let (mut buffer, mut facts) = (TlvBuf::new(), Vec::new());
        for (tag, value) in values {
            let (said, written) = match *value {
                Value::U8(number) => (number.to_string(), Ok(buffer.push_u8(*tag, number))),
                Value::U16(number) => (number.to_string(), Ok(buffer.push_u16(*tag, number))),
                Value::Text(said) => (said.to_owned(), buffer.push_c_octets(*tag, said.as_bytes())),
                Value::Octets(octets) => (hex(octets), buffer.push(*tag, octets)),
            };
            written.expect("the value of a sample fits");
            facts.push((tag.name().expect("the tag of a sample has a name"), said));
        }
        let tags: Vec<String> = values.iter().map(|(tag, _)| tag.0.to_string()).collect();
        facts.push(("tags", tags.join(",")));
        Self { buffer, facts }
    }

    pub(super) fn tlvs(&self) -> Tlvs<'_> {
        self.buffer.tlvs()
    }

    /// Notes mandatory fields of the PDU that will carry these parameters.
    pub(super) fn meaning(mut self, fields: &[Meant]) -> Self {
        self.facts.extend(fields.iter().map(|(name, value)| (*name, (*value).to_owned())));
        self
    }
}

/// The samples made so far; each gets the next sequence number.
#[derive(Default)]
pub(super) struct Samples {
    pub(super) made: Vec<Sample>,
}

impl Samples {
    /// A PDU without optional parameters, through the plain encoder.
    pub(super) fn plain(&mut self, name: &str, status: u32, pdu: &Pdu<'_>) {
        self.with(name, status, pdu, &Parameters::default());
    }

    /// A PDU that carries these optional parameters, through the plain encoder.
    pub(super) fn with(&mut self, name: &str, status: u32, pdu: &Pdu<'_>, parameters: &Parameters) {
        let facts = body_facts(pdu).into_iter().chain(parameters.facts.clone()).collect();
        let mut octets = BytesMut::new();
        pdu.encode(CommandStatus(status), self.next(), &mut octets).expect("a sample keeps to the limits");
        self.push(name, (pdu.command_id(), status), &octets, facts);
    }

    fn next(&self) -> u32 {
        u32::try_from(self.made.len()).expect("few samples") + 1
    }

    fn push(
        &mut self,
        name: &str,
        head: (CommandId, u32),
        octets: &[u8],
        facts: Vec<(&'static str, String)>,
    ) {
        let mut meant = Facts::from_iter(facts);
        meant.insert("command_id", head.0.0.to_string());
        meant.insert("command_status", head.1.to_string());
        meant.insert("sequence_number", self.next().to_string());
        self.made.push(Sample { name: name.to_owned(), octets: octets.to_vec(), meant });
    }
}

/// Every kind of PDU that a bind exchanges day by day, full and refused, through the plain encoder.
pub(super) fn daily_kinds() -> Vec<Sample> {
    let mut samples = Samples::default();
    let bind = Bind {
        system_id: b"shop",
        password: b"secret",
        system_type: b"vms",
        interface_version: 0x34,
        addr_ton: 1,
        addr_npi: 1,
        address_range: b"^4917",
    };
    samples.plain("bind_transmitter", 0, &Pdu::BindTransmitter(bind));
    samples.plain("bind_receiver", 0, &Pdu::BindReceiver(bind));
    samples.plain("bind_transceiver", 0, &Pdu::BindTransceiver(bind));
    samples.plain("an empty bind", 0, &Pdu::BindTransceiver(Bind::default()));
    let of_a_bind = Parameters::of(&OF_A_BIND);
    let bare = BindResp { system_id: b"smsc", tlvs: Tlvs::EMPTY };
    let full = BindResp { tlvs: of_a_bind.tlvs(), ..bare };
    samples.plain("bind_transmitter_resp", 0, &Pdu::BindTransmitterResp(bare));
    samples.with("bind_receiver_resp", 0, &Pdu::BindReceiverResp(full), &of_a_bind);
    samples.with("bind_transceiver_resp", 0, &Pdu::BindTransceiverResp(full), &of_a_bind);
    samples.plain("a refused bind", 0x0E, &Pdu::BindTransceiverResp(BindResp::default()));
    samples.plain("submit_sm", 0, &Pdu::SubmitSm(message!(SubmitSm)));
    samples.plain("an empty submit_sm", 0, &Pdu::SubmitSm(SubmitSm::default()));
    let longest = SubmitSm { short_message: &[0xA5; 254], ..message!(SubmitSm) };
    samples.plain("the longest short_message", 0, &Pdu::SubmitSm(longest));
    let of_a_submit = Parameters::of(&OF_A_SUBMIT);
    let submit = SubmitSm { tlvs: of_a_submit.tlvs(), short_message: b"", ..message!(SubmitSm) };
    samples.with("submit_sm with parameters", 0, &Pdu::SubmitSm(submit), &of_a_submit);
    let message_id = b"0221067780";
    samples.plain("submit_sm_resp", 0, &Pdu::SubmitSmResp(SubmitSmResp { message_id, tlvs: Tlvs::EMPTY }));
    samples.plain("a throttled submit_sm", 0x58, &Pdu::SubmitSmResp(SubmitSmResp::default()));
    samples.plain("deliver_sm", 0, &Pdu::DeliverSm(message!(DeliverSm)));
    let of_a_receipt = Parameters::of(&OF_A_RECEIPT);
    let receipt = DeliverSm { esm_class: 4, short_message: RECEIPT, ..message!(DeliverSm) };
    let receipt = DeliverSm { tlvs: of_a_receipt.tlvs(), ..receipt };
    samples.with("a receipt", 0, &Pdu::DeliverSm(receipt), &of_a_receipt);
    samples.plain("deliver_sm_resp", 0, &Pdu::DeliverSmResp(DeliverSmResp::default()));
    samples.plain("enquire_link", 0, &Pdu::EnquireLink);
    samples.plain("enquire_link_resp", 0, &Pdu::EnquireLinkResp);
    samples.plain("unbind", 0, &Pdu::Unbind);
    samples.plain("unbind_resp", 0, &Pdu::UnbindResp);
    samples.plain("generic_nack", 3, &Pdu::GenericNack);
    samples.made
}

/// What the engine writes in bulk: templates patched for numbers of every length, and ready-made answers.
pub(super) fn fast_paths() -> Vec<Sample> {
    let mut samples = Samples::default();
    let base = message!(SubmitSm);
    let template = SubmitTemplate::new(&base).expect("a template of the message");
    for digits in 1..=15 {
        let number = 987_654_321_012_345 / 10_u64.pow(15 - digits);
        let addr = number.to_string();
        let mut octets = BytesMut::new();
        template.push(samples.next(), number, &mut octets).expect("the number has 1 to 15 digits");
        let dest = Address { addr: addr.as_bytes(), ..base.dest };
        let facts = body_facts(&Pdu::SubmitSm(SubmitSm { dest, ..base }));
        samples.push("a template", (CommandId::SUBMIT_SM, 0), &octets, facts);
    }
    let images = [
        (CommandId::DELIVER_SM_RESP, 0, ResponseImage::DELIVER_SM_RESP),
        (CommandId::DELIVER_SM_RESP, 0x64, ResponseImage::deliver_sm_resp(CommandStatus(0x64))),
        (CommandId::ENQUIRE_LINK, 0, ResponseImage::ENQUIRE_LINK),
        (CommandId::ENQUIRE_LINK_RESP, 0, ResponseImage::ENQUIRE_LINK_RESP),
        (CommandId::UNBIND, 0, ResponseImage::UNBIND),
        (CommandId::UNBIND_RESP, 0, ResponseImage::UNBIND_RESP),
        (CommandId::GENERIC_NACK, 2, ResponseImage::generic_nack(CommandStatus(2))),
        (CommandId::SUBMIT_SM_RESP, 0x14, ResponseImage::refusal(CommandId::SUBMIT_SM, CommandStatus(0x14))),
    ];
    for (id, status, image) in images {
        let mut octets = BytesMut::new();
        image.push(samples.next(), &mut octets);
        samples.push("a ready-made answer", (id, status), &octets, Vec::new());
    }
    samples.made
}

/// A text and the PDUs that carry it.
pub(super) struct Carried {
    pub(super) text: String,
    pub(super) concat: Concat,
    pub(super) parts: Vec<Sample>,
}

/// Texts in all encodings and all ways of concatenation, each as the PDUs of its segments.
pub(super) fn texts() -> Vec<Carried> {
    let gsm =
        "@£$¥èéùìòÇ\nØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCXYZÄÖÑÜ§¿abcxyzäöñüà[\\]^{|}~€";
    // Only characters of one UTF-16 unit: the dissector reads UCS-2 to the letter and knows no surrogate pairs.
    let wide = "Привет, Καλημέρα, 你好, 안녕 – “quoted” ﬁ";
    let latin = "Grüße aus Ålesund ½ ©";
    let texts = [(Encoding::Gsm7, gsm), (Encoding::Ucs2, wide), (Encoding::Latin1, latin)];
    let mut carried = Vec::new();
    for (encoding, text) in texts {
        for concat in [Concat::Udh8, Concat::Udh16, Concat::Sar, Concat::Payload] {
            for text in [text.to_owned(), text.repeat(7)] {
                let parts = segments(&text, encoding, concat);
                carried.push(Carried { text, concat, parts });
            }
        }
    }
    carried
}

/// The reference in every header of these samples.
pub(super) const REFERENCE: u16 = 0x0142;

fn segments(text: &str, encoding: Encoding, concat: Concat) -> Vec<Sample> {
    let mut samples = Samples::default();
    let mut encoded = Vec::new();
    encoding.encode(text, &mut encoded).expect("the text fits its encoding");
    let base = SubmitSm { data_coding: encoding.data_coding(), esm_class: 0, ..message!(SubmitSm) };
    for segment in Segments::new(&encoded, encoding, concat).expect("few segments").iter() {
        let (mut data, mut tlvs) = (Vec::new(), TlvBuf::new());
        let has_header = segment.user_data(REFERENCE, &mut data);
        let esm_class = if has_header { 0x40 } else { 0 };
        if concat == Concat::Sar && segment.total > 1 {
            tlvs.push_sar(REFERENCE, segment.total, segment.number);
        }
        let short_message: &[u8] = if concat == Concat::Payload { b"" } else { &data };
        if concat == Concat::Payload {
            tlvs.push(Tag::MESSAGE_PAYLOAD, &data).expect("the text fits a payload");
        }
        let message = SubmitSm { esm_class, short_message, tlvs: tlvs.tlvs(), ..base };
        let mut octets = BytesMut::new();
        let sequence = samples.next();
        Pdu::SubmitSm(message)
            .encode(CommandStatus::OK, sequence, &mut octets)
            .expect("a segment keeps to the limits");
        samples.push("a segment", (CommandId::SUBMIT_SM, 0), &octets, body_facts(&Pdu::SubmitSm(message)));
    }
    samples.made
}
