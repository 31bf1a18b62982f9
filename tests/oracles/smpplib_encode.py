"""Writes PDUs with smpplib: one JSON object per line of a file, one PDU in hex per line of output.

`command` names the PDU; the other members are its fields, octets as text in Latin-1.
"""

import json
import sys

from smpplib import smpp

OCTETS = ("short_message", "message_payload", "network_error_code")

with open(sys.argv[1], encoding="utf-8") as lines:
    for line in lines:
        fields = json.loads(line)
        command = fields.pop("command")
        for name in OCTETS:
            if name in fields:
                fields[name] = fields[name].encode("latin-1")
        pdu = smpp.make_pdu(command, **fields)
        pdu.sequence = fields["sequence"]
        print(pdu.generate().hex())
