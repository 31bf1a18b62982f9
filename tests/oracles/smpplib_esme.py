"""An ESME made of smpplib: binds, submits, waits for every response and receipt, unbinds.

    smpplib_esme.py PORT PASSWORD MESSAGES

Submits MESSAGES short texts and one long text in several parts, each with a receipt wanted. Prints one JSON object:
`accepted` message ids in order of the responses, `receipts` as [id in the TLV, text, state], or `refused` with the status
of a bind that was not accepted.
"""

import json
import sys

from smpplib import client as smpp_client
from smpplib import consts, exceptions, gsm

LONG_TEXT = "Every part of a long text is a message of its own to the SMSC. " * 6
# A peer that says nothing for so long has failed; no wait depends on this number.
SILENCE_S = 60


def parts_of(text):
    parts, encoding, message_type = gsm.make_parts(text)
    return [(part, encoding, message_type) for part in parts]


def talk(client, messages):
    accepted, receipts = [], []
    client.set_message_sent_handler(lambda pdu: accepted.append(pdu.message_id.decode()))

    def received(pdu):
        receipts.append([pdu.receipted_message_id.decode(), pdu.short_message.decode("latin-1"), pdu.message_state])

    client.set_message_received_handler(received)
    texts = [parts_of(f"Message {number}") for number in range(messages)] + [parts_of(LONG_TEXT)]
    parts = [(f"4917{number:08}", *part) for number, text in enumerate(texts) for part in text]
    for number, part, encoding, message_type in parts:
        client.send_message(
            source_addr_ton=consts.SMPP_TON_ALNUM,
            source_addr_npi=consts.SMPP_NPI_UNK,
            source_addr="Shop",
            dest_addr_ton=consts.SMPP_TON_INTL,
            dest_addr_npi=consts.SMPP_NPI_ISDN,
            destination_addr=number,
            short_message=part,
            data_coding=encoding,
            esm_class=message_type,
            registered_delivery=True,
        )
    while len(accepted) < len(parts) or len(receipts) < len(parts):
        client.read_once(auto_send_enquire_link=False)
    return {"accepted": accepted, "receipts": receipts}


def main(port, password, messages):
    client = smpp_client.Client("127.0.0.1", port, timeout=SILENCE_S, allow_unknown_opt_params=True)
    client.connect()
    try:
        client.bind_transceiver(system_id="shop", password=password)
        heard = talk(client, messages)
        client.unbind()
    except exceptions.PDUError as error:
        heard = {"refused": error.args[1]}
    client.disconnect()
    print(json.dumps(heard))


main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
