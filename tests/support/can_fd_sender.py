"""Sends CAN FD over udp_multicast by python-can alone; prints what was answered, as JSON."""

import json

import can

CHANNEL = "239.74.163.2"
ASKED, ANSWER = 0x18FF0000, 0x10FF0000
COUNT = 500
# messages that the sockets hold for sure
BATCH = 20


def fd_message(number: int) -> can.Message:
    """Return a message of CAN FD with its number."""
    return can.Message(
        arbitration_id=ASKED, is_fd=True, bitrate_switch=True,
        error_state_indicator=bool(number % 2), data=number.to_bytes(4, "little") + bytes(60),
    )  # fmt: skip


def main() -> None:
    """Send messages, a batch as the last one was answered."""
    numbers: list[int] = []
    with can.Bus(CHANNEL, interface="udp_multicast", hop_limit=0) as bus:
        for first in range(0, COUNT, BATCH):
            for number in range(first, first + BATCH):
                bus.send(fd_message(number))
            while len(numbers) < first + BATCH:
                message = bus.recv(20)
                if message is None:
                    break
                if message.arbitration_id == ANSWER:
                    numbers.append(int.from_bytes(message.data[:4], "little"))
    print(json.dumps(numbers))


if __name__ == "__main__":
    main()
