"""CAN messages and a database for them."""

from typing import Any

import numpy as np

from rxstream.devices.can import CAN_DTYPE

DBC = """VERSION ""
BO_ 291 Engine: 8 ECU
 SG_ Speed : 0|16@1+ (0.25,0) [0|0] "rpm" ECU
 SG_ Count : 16|8@1+ (1,0) [0|0] "" ECU
BO_ 2147484000 Gear: 8 ECU
 SG_ Page M : 7|8@0+ (1,0) [0|0] "" ECU
 SG_ Torque m0 : 15|16@0- (0.1,-5) [0|0] "Nm" ECU
 SG_ Pressure m1 : 15|32@0- (1,0) [0|0] "Pa" ECU
 SG_ Count : 63|8@0+ (1,0) [0|0] "" ECU
 SG_ data : 48|4@1+ (1,0) [0|0] "" ECU
VAL_ 2147484000 Page 0 "torque" 1 "pressure" ;
"""


def rows(*messages: tuple[int, bytes, int]) -> Any:
    """Return messages of identifier, data and flags."""
    out = np.zeros(len(messages), CAN_DTYPE)
    for row, (identifier, data, flags) in zip(out, messages, strict=True):
        row["arbitration_id"], row["dlc"], row["flags"] = identifier, len(data), flags
        row["data"][: len(data)] = list(data)
    return out
