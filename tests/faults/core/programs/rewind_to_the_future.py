"""`rewind(to=t)` with a time in the future (a recording that shall begin at noon) begins at once.

Right: begins at `t`, or is refused.
"""

from fault_programs import Numbered, expect, pause

from rxstream import Device
from rxstream.data.clock import now_ns
from rxstream.errors import ParameterError

device, got = Device(Numbered()).open(), []
pause(0.2)
begin = now_ns() + 500_000_000
try:
    device.rewind(to=begin).subscribe(got.append)
except ParameterError as error:
    expect(True, f"refused: {error}")
pause(0.9)
off = (got[0].start - begin) / 1e9
expect(off > -0.02, f"begins {off:+.3f} s from the time that was asked for")
