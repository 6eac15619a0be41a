"""Filters that the kernel applies to packets: classic BPF."""

import ctypes
import socket
import struct
from typing import TypeAlias

from rxstream.errors import ParameterError
from rxstream.printable import shown

__all__ = ["Program", "attach", "parse"]

Program: TypeAlias = list[tuple[int, int, int, int]]
"""Instructions: operation, steps to jump if true and if false, operand."""

# Most instructions of a filter, by the kernel.
_MOST = 4096

_SO_ATTACH_FILTER = 26

# Instructions of <linux/filter.h>: load a word, jump if equal, return.
_LOAD, _IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
# What the kernel knows of a packet besides its bytes, at addresses below zero.
_PACKET_TYPE, _LINK_TYPE = 0xFFFFF000 + 4, 0xFFFFF000 + 28
_OUTGOING, _LOOPBACK = 4, 772

# What goes through the loopback interface is seen as it leaves and as it comes: once is enough.
_ONCE: Program = [
    (_LOAD, 0, 0, _LINK_TYPE), (_IF_EQUAL, 0, 3, _LOOPBACK),
    (_LOAD, 0, 0, _PACKET_TYPE), (_IF_EQUAL, 0, 1, _OUTGOING), (_RETURN, 0, 0, 0),
]  # fmt: skip
_ALL: Program = [(_RETURN, 0, 0, 0x40000)]


def parse(text: str, name: str) -> Program:
    r"""Return the instructions that ``tcpdump -ddd`` has printed.

    Raises
    ------
    ParameterError
        If the text is something else.

    Examples
    --------
    >>> parse("1\n6 0 0 262144\n", "bpf")
    [(6, 0, 0, 262144)]
    >>> parse("udp port 53", "bpf")
    Traceback (most recent call last):
    rxstream.errors.ParameterError: bpf must be what tcpdump -ddd prints for a filter, ... port 53'
    """
    count, *lines = text.strip().split("\n")
    try:
        rows = [tuple(map(int, line.split())) for line in lines]
        whole = int(count) == len(rows) and 0 < len(rows) <= _MOST
    except ValueError:
        rows, whole = [], False
    limits = (1 << 16, 1 << 8, 1 << 8, 1 << 32)
    program: Program = []
    for row in rows:
        whole = whole and len(row) == len(limits)
        if whole and all(0 <= x < limit for x, limit in zip(row, limits, strict=True)):
            program.append((row[0], row[1], row[2], row[3]))
    if not whole or len(program) != len(rows):
        msg = (
            f"{name} must be what tcpdump -ddd prints for a filter, e.g. for 'udp port 53', not "
            f"{shown(text)}"
        )
        raise ParameterError(msg)
    return program


def attach(line: socket.socket, program: Program) -> None:
    """Have the kernel pass only what a program takes; of loopback packets one of two.

    Parameters
    ----------
    line
        A packet socket.
    program
        Its instructions; empty: all packets.

    Raises
    ------
    OSError
        If the kernel refuses the program.
    """
    steps = _ONCE + (program or _ALL)
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    # struct sock_fprog: a number, and a pointer at its natural place
    line.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER,
        struct.pack("HP", len(steps), ctypes.addressof(code)),
    )  # fmt: skip
