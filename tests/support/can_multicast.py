"""CAN FD between two processes over udp_multicast; run in a network of its own.

Another process sends; this one takes, and answers each message by `can_send`.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import can
import numpy as np
from can_fd_sender import ANSWER, ASKED, CHANNEL, fd_message
from numpy.typing import NDArray

from rxstream import Device, concat
from rxstream import operators as ops
from rxstream.devices.can import Can, CanFilter
from rxstream.sinks import can_send
from rxstream.testing import check_source

BUS: dict[str, Any] = {"interface": "udp_multicast", "fd": True, "options": {"hop_limit": 0}}


def answered(data: NDArray[Any]) -> NDArray[Any]:
    """Return answers to messages."""
    data = data.copy()
    data["arbitration_id"] = ANSWER
    return data


def main() -> None:
    """Print what came and what was answered, as JSON."""
    wanted = (CanFilter(ASKED, 0x1FFFFFFF, extended=True),)
    chunks: list[Any] = []
    device = Device(Can(CHANNEL, filters=wanted, **BUS))
    device.subscribe(chunks.append)
    with can_send(CHANNEL, **BUS) as sink, device:
        device.pipe(ops.map_data(answered)).subscribe(sink)
        command = [sys.executable, str(Path(__file__).with_name("can_fd_sender.py"))]
        numbers = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    whole = concat(chunks)
    with can.Bus(CHANNEL, interface="udp_multicast", hop_limit=0) as bus:
        check_source(lambda: Can(CHANNEL, **BUS), feed=lambda: bus.send(fd_message(0)))
    got = {
        "numbers": whole.data["data"][:, :4].copy().view("<u4")[:, 0].tolist(),
        "flags": np.unique(whole.data["flags"]).tolist(),
        "lengths": np.unique(whole.data["dlc"]).tolist(),
        "gaps": len(whole.gaps), "sent": sink.sent, "answers": numbers,
    }  # fmt: skip
    print(json.dumps(got))


if __name__ == "__main__":
    main()
