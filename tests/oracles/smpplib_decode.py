"""Reads PDUs with smpplib: one in hex per line of a file, one JSON object per line of output.

Every attribute that smpplib set while parsing is printed, integers as numbers and octets in hex.
"""

import json
import sys

from smpplib import command_codes, smpp


def reading(octets):
    pdu = smpp.parse_pdu(octets, sequence=0, allow_unknown_opt_params=True)
    facts = {
        "command_id": command_codes.get_command_code(pdu.command),
        "command_status": pdu.status,
        "sequence_number": pdu.sequence,
    }
    for name in pdu.params_order:
        value = getattr(pdu, name, None)
        if isinstance(value, bytes):
            facts[name] = value.hex()
        elif isinstance(value, int):
            facts[name] = value
    return facts


with open(sys.argv[1], encoding="ascii") as lines:
    for line in lines:
        print(json.dumps(reading(bytes.fromhex(line))))
