"""Functions that other processes can import, and one whose calls the test holds."""

import os
import threading
from dataclasses import dataclass, field
from typing import Any

from rxstream import Chunk


def doubled(chunk: Chunk[Any]) -> Chunk[Any]:
    return chunk.with_data(chunk.data * 2)


def same(chunk: Chunk[Any]) -> Chunk[Any]:
    return chunk


def where(_: object) -> int:
    return os.getpid()


def broken(chunk: Chunk[Any]) -> float:
    msg = f"no good: {chunk.index}"
    raise ValueError(msg)


def die(_: object) -> None:
    os._exit(3)


@dataclass
class Held:
    """A function whose calls each wait until they are let go, and are counted."""

    count: int
    gates: list[threading.Event] = field(default_factory=list)
    begun: list[int] = field(default_factory=list)
    running: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.gates = [threading.Event() for _ in range(self.count)]

    def __call__(self, number: int) -> int:
        with self.lock:
            self.begun.append(number)
            self.running += 1
            self.most = max(self.most, self.running)
        assert self.gates[number].wait(30)
        with self.lock:
            self.running -= 1
        return number * 10

    def release(self) -> None:
        for gate in self.gates:
            gate.set()
