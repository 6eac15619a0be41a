"""A band-pass over 64 channels at 1 kHz: against others block by block, and scipy on the whole."""

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

Runner = Callable[[NDArray[Any], int], tuple[float, NDArray[Any]]]


def _sections() -> NDArray[Any]:
    return np.asarray(signal.butter(_ORDER, _BAND, "bandpass", fs=_RATE, output="sos"))


def _blocks(data: NDArray[Any], size: int) -> list[NDArray[Any]]:
    return [data[k : k + size] for k in range(0, len(data), size)]


def _rest() -> NDArray[Any]:
    return np.zeros((_ORDER, 2, _CHANNELS))


# -- each takes the signal and the size of a block, and gives it filtered, with the time it took
#    after the first block, with which a filter is designed


def _ours(
    data: NDArray[Any], size: int, initial: Literal["rest", "steady"] = "rest"
) -> tuple[float, NDArray[Any]]:
    info = StreamInfo("eeg", _RATE, (_CHANNELS,), data.dtype)
    whole = Chunk.regular(data, info, start=0)
    chunks = [whole[k : k + size] for k in range(0, len(data), size)]
    took, got = _pushed(ops.filter_band(*_BAND, order=_ORDER, initial=initial), chunks)
    return took, np.concatenate([chunk.data for chunk in got])


def _reactivex(data: NDArray[Any], size: int) -> tuple[float, NDArray[Any]]:
    sos = _sections()

    def step(last: Any, block: Any) -> Any:
        return signal.sosfilt(sos, block, axis=0, zi=last[1])

    took, got = _pushed(rxo.scan(step, (None, _rest())), _blocks(data, size))
    return took, np.concatenate([block for block, _ in got])


def _pushed(operator: Any, items: list[Any]) -> tuple[float, list[Any]]:
    source: Subject[Any] = Subject()
    got: list[Any] = []
    source.pipe(operator).subscribe(got.append)
    source.on_next(items[0])
    begin = time.perf_counter()
    for item in items[1:]:
        source.on_next(item)
    return time.perf_counter() - begin, got


def _streamz(data: NDArray[Any], size: int) -> tuple[float, NDArray[Any]]:
    from streamz import Stream

    source, got, sos = Stream(), list[Any](), _sections()

    def step(state: Any, block: Any) -> Any:
        out, state = signal.sosfilt(sos, block, axis=0, zi=state)
        return state, out

    source.accumulate(step, returns_state=True, start=_rest()).sink(got.append)
    blocks = _blocks(data, size)
    source.emit(blocks[0])
    begin = time.perf_counter()
    for block in blocks[1:]:
        source.emit(block)
    return time.perf_counter() - begin, np.concatenate(got)


def _ezmsg(data: NDArray[Any], size: int) -> tuple[float, NDArray[Any]]:
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
    got = [band(messages[0]).data]
    begin = time.perf_counter()
    got += [band(message).data for message in messages[1:]]
    return time.perf_counter() - begin, np.concatenate(got)


def _whole(data: NDArray[Any], _size: int) -> tuple[float, NDArray[Any]]:
    sos = _sections()
    begin = time.perf_counter()
    out = signal.sosfilt(sos, data, axis=0)
    return time.perf_counter() - begin, out


def cases(*, quick: bool = False) -> list[Case]:
    """Return the benchmarks of this module."""
    count = 1_000 if quick else 20_000
    data = np.random.default_rng(1).normal(size=(count, _CHANNELS))

    def case(size: int, peer: Runner, peer_name: str, goal: float) -> Case:
        ours: Runner = partial(_ours, initial="steady") if peer is _ezmsg else _ours

        def check() -> None:
            few = data[:1_000]
            np.testing.assert_allclose(
                ours(few, size)[1], peer(few, size)[1], rtol=1e-9, atol=1e-12
            )

        def timed(run: Runner) -> float:
            return run(data, size)[0] / count * 1e9

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
