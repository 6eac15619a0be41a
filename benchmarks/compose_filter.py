"""A band-pass over 64 channels at 1 kHz, against peers in blocks and scipy on the whole."""

import importlib.util
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np
from common import Case
from numpy.typing import NDArray
from reactivex import operators as rxo
from reactivex.subject import Subject
from scipy import signal

from rxstream import Chunk, StreamInfo
from rxstream import operators as ops

_RATE, _CHANNELS, _ORDER, _BAND = 1000.0, 64, 4, (8.0, 30.0)

Reader = Callable[[Any], object]
Runner = Callable[[NDArray[Any], int, Reader], float]


def _sections() -> NDArray[Any]:
    return np.asarray(signal.butter(_ORDER, _BAND, "bandpass", fs=_RATE, output="sos"))


def _blocks(data: NDArray[Any], size: int) -> list[NDArray[Any]]:
    return [data[k : k + size] for k in range(0, len(data), size)]


def _rest() -> NDArray[Any]:
    return np.zeros((_ORDER, 2, _CHANNELS))


# -- each takes the signal, the size of a block, and a function that reads a filtered block;
#    it returns the time [s] after the first block, with which a filter is designed


def _ours(
    data: NDArray[Any], size: int, read: Reader, initial: Literal["rest", "steady"] = "rest"
) -> float:
    info = StreamInfo("eeg", _RATE, (_CHANNELS,), data.dtype)
    whole = Chunk.regular(data, info, start=0)
    chunks = [whole[k : k + size] for k in range(0, len(data), size)]
    band = ops.filter_band(*_BAND, order=_ORDER, initial=initial)
    return _pushed(band, chunks, lambda chunk: read(chunk.data))


def _reactivex(data: NDArray[Any], size: int, read: Reader) -> float:
    sos = _sections()

    def step(last: Any, block: Any) -> Any:
        return signal.sosfilt(sos, block, axis=0, zi=last[1])

    band = rxo.scan(step, (None, _rest()))
    return _pushed(band, _blocks(data, size), lambda pair: read(pair[0]))


def _pushed(operator: Any, items: list[Any], read: Reader) -> float:
    source: Subject[Any] = Subject()
    source.pipe(operator).subscribe(read)
    source.on_next(items[0])
    begin = time.perf_counter()
    for item in items[1:]:
        source.on_next(item)
    return time.perf_counter() - begin


def _streamz(data: NDArray[Any], size: int, read: Reader) -> float:
    from streamz import Stream

    source, sos = Stream(), _sections()

    def step(state: Any, block: Any) -> Any:
        out, state = signal.sosfilt(sos, block, axis=0, zi=state)
        return state, out

    source.accumulate(step, returns_state=True, start=_rest()).sink(read)
    blocks = _blocks(data, size)
    source.emit(blocks[0])
    begin = time.perf_counter()
    for block in blocks[1:]:
        source.emit(block)
    return time.perf_counter() - begin


def _ezmsg(data: NDArray[Any], size: int, read: Reader) -> float:
    """Call its transformer directly, without its message passing; it begins in the steady state."""
    from ezmsg.sigproc.butterworthfilter import (
        ButterworthFilterSettings,
        ButterworthFilterTransformer,
    )
    from ezmsg.util.messages.axisarray import AxisArray

    messages = [
        AxisArray(
            block, dims=["time", "ch"], stream_dim="time",
            axes={"time": AxisArray.TimeAxis(fs=_RATE, offset=k * size / _RATE)},
        )
        for k, block in enumerate(_blocks(data, size))
    ]  # fmt: skip
    low, high = _BAND
    band = ButterworthFilterTransformer(
        ButterworthFilterSettings(order=_ORDER, cuton=low, cutoff=high, coef_type="sos")
    )
    read(band(messages[0]).data)
    begin = time.perf_counter()
    for message in messages[1:]:
        read(band(message).data)
    return time.perf_counter() - begin


def _whole(data: NDArray[Any], _size: int, read: Reader) -> float:
    sos = _sections()
    begin = time.perf_counter()
    read(signal.sosfilt(sos, data, axis=0))
    return time.perf_counter() - begin


def cases(*, quick: bool = False) -> list[Case]:
    """Return the benchmarks of this module."""
    count = 1_000 if quick else 20_000
    data = np.random.default_rng(1).normal(size=(count, _CHANNELS))

    def case(size: int, peer: Runner, peer_name: str, goal: float) -> Case:
        ours: Runner = partial(_ours, initial="steady") if peer is _ezmsg else _ours

        def check() -> None:
            mine, theirs = list[NDArray[Any]](), list[NDArray[Any]]()
            ours(data[:1_000], size, mine.append)
            peer(data[:1_000], size, theirs.append)
            np.testing.assert_allclose(
                np.concatenate(mine), np.concatenate(theirs), rtol=1e-9, atol=1e-12
            )

        def timed(run: Runner) -> float:
            return run(data, size, lambda block: block[-1]) / count * 1e9

        name = f"band-pass 64 × 1 kHz, blocks of {size}"
        return Case(name, partial(timed, ours), partial(timed, peer), peer_name, "ns/sample",
                    False, goal, 3, check)  # fmt: skip

    out = []
    for size in (10, 100):
        if importlib.util.find_spec("ezmsg"):
            out.append(case(size, _ezmsg, "ezmsg-sigproc ButterworthFilter", 5))
        if importlib.util.find_spec("streamz"):
            out.append(case(size, _streamz, "streamz accumulate(sosfilt)", 5))
        out += [
            case(size, _reactivex, "scan(sosfilt)", 5),
            case(size, _whole, "scipy sosfilt on the whole", 2 / 3),
        ]
    return out
