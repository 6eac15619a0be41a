"""A J1939 database decodes no message of a real truck: the source address differs.

Right: 2500 rpm. In J1939 the identifier is priority, PGN and source address; the database stands
for the PGN, so 0x0CF00400 from the engine at address 0 is EEC1 (Vector's VFrameFormat "J1939PG").
"""

from fault_files import decoded, row
from fault_programs import expect

from rxstream.devices.can import CanFlag
from rxstream.errors import RxStreamError

dbc = """VERSION ""
BO_ 2364540158 EEC1: 8 X
 SG_ EngineSpeed : 24|16@1+ (0.125,0) [0|8031.875] "rpm" X
BA_DEF_ "ProtocolType" STRING ;
BA_DEF_ BO_ "VFrameFormat" ENUM "StandardCAN","ExtendedCAN","reserved","J1939PG";
BA_DEF_DEF_ "ProtocolType" "";
BA_DEF_DEF_ "VFrameFormat" "J1939PG";
BA_ "ProtocolType" "J1939";
BA_ "VFrameFormat" BO_ 2364540158 3;
"""
message = row(0x0CF00400, bytes([0, 0, 0, 0x20, 0x4E, 0, 0, 0]), CanFlag.EXTENDED)
try:
    speed = float(decoded(message, dbc).data["EngineSpeed"][0])
except RxStreamError as error:
    expect(False, error)
expect(speed == 2500, f"{speed} rpm")
