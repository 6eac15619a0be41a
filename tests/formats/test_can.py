"""CAN messages as a structured array: there and back."""

import can
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxstream.formats.can import CAN_DTYPE, CanFlag, channel_number, pack, unpack


@st.composite
def messages(draw: st.DrawFn) -> can.Message:
    """Return a message of classic CAN or CAN FD."""
    fd = draw(st.booleans())
    payload = draw(st.binary(max_size=64 if fd else 8))
    extended = draw(st.booleans())
    remote = not fd and draw(st.booleans())
    return can.Message(
        timestamp=draw(st.integers(0, 10**6)) / 1e3,
        arbitration_id=draw(st.integers(0, 0x1FFF_FFFF if extended else 0x7FF)),
        is_extended_id=extended,
        is_remote_frame=remote,
        is_error_frame=not remote and draw(st.booleans()),
        is_fd=fd,
        bitrate_switch=fd and draw(st.booleans()),
        error_state_indicator=fd and draw(st.booleans()),
        is_rx=draw(st.booleans()),
        channel=draw(st.integers(0, 100)),
        dlc=len(payload),
        data=None if remote else payload,
    )


@given(st.lists(messages(), max_size=8))
def test_unpack_is_the_inverse_of_pack(sent: list[can.Message]) -> None:
    times = np.array([round(message.timestamp * 1e9) for message in sent], np.int64)
    back = list(unpack(can, pack(sent), times))
    assert len(back) == len(sent)
    for message, expected in zip(back, sent, strict=True):
        assert message.equals(expected, timestamp_delta=1e-9)


@pytest.mark.parametrize("flag", CanFlag)
def test_flags_are_those_of_python_can(flag: CanFlag) -> None:
    """By the names of python-can's attributes, so that no two of them can have changed places."""
    row = np.zeros(1, CAN_DTYPE)
    row["flags"] = flag
    (message,) = unpack(can, row, np.zeros(1, np.int64))
    names = {
        CanFlag.EXTENDED: "is_extended_id", CanFlag.REMOTE: "is_remote_frame",
        CanFlag.ERROR: "is_error_frame", CanFlag.FD: "is_fd", CanFlag.BRS: "bitrate_switch",
        CanFlag.ESI: "error_state_indicator", CanFlag.RX: "is_rx",
    }  # fmt: skip
    assert {f for f, name in names.items() if getattr(message, name)} == {flag}


@pytest.mark.parametrize(
    ("channel", "number"),
    [(None, 0), (3, 3), ("can1", 1), ("/dev/ttyUSB12", 12), ("demo", 0), (-1, 0), (1 << 15, 0)],
)
def test_the_number_of_a_channel(channel: object, number: int) -> None:
    assert channel_number(channel) == number
