"""map_parallel in other processes and on Dask's workers: chunks go there and come back."""

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import distributed
import numpy as np
import pytest
from fakes import MS, ramp
from pickling import broken, die, doubled, same, where

from rxstream import Chunk, Gap, StreamInfo
from rxstream import operators as ops
from rxstream.errors import ParameterError
from rxstream.testing import assert_same, run_operator

pytestmark = pytest.mark.real

RECORD = StreamInfo("can", None, (), np.dtype([("id", "u4"), ("data", "u1", (8,))]))


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    """Give two that begin from nothing, as everywhere but on Linux."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        yield executor


def lossy() -> list[Chunk[Any]]:
    gap = Gap(20 * MS, 23 * MS, 3, "dropped")
    return [ramp(0, 10), ramp(10, 10), ramp(23, 0, gap), ramp(23, 10)]


def test_chunks_go_to_processes_and_come_back(processes: ProcessPoolExecutor) -> None:
    out = run_operator(ops.map_parallel(doubled, processes), lossy())
    assert_same(out, [chunk.with_data(chunk.data * 2) for chunk in lossy()])
    assert not any(chunk.data.flags.writeable for chunk in out)
    places = run_operator(ops.map_parallel(where, processes), lossy())
    assert os.getpid() not in places


def test_irregular_structured_chunks_too(processes: ProcessPoolExecutor) -> None:
    records = Chunk.stamped(np.zeros(3, RECORD.dtype), [1, 5, 9], RECORD, end=20, index=7)
    assert run_operator(ops.map_parallel(same, processes), [records]) == [records]


def test_an_error_there_is_one_here_and_names_the_place(processes: ProcessPoolExecutor) -> None:
    with pytest.raises(ValueError, match="no good: 10") as caught:
        run_operator(ops.map_parallel(broken, processes), [ramp(10, 10)])
    assert "map_parallel(broken): in the chunk of ramp" in caught.value.__notes__[-1]
    with pytest.raises(Exception, match=r"(?i)pickle|local object"):
        run_operator(ops.map_parallel(lambda chunk: chunk, processes), [ramp(0, 10)])
    assert (
        len(run_operator(ops.map_parallel(doubled, processes), lossy())) == 4
    )  # it is still of use


def test_a_process_that_dies_ends_the_stream() -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        with pytest.raises(BrokenProcessPool) as caught:
            run_operator(ops.map_parallel(die, executor), [ramp(0, 10)])
        assert "map_parallel(die): in the chunk of ramp" in caught.value.__notes__[0]


def test_dask() -> None:
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        executor = client.get_executor()
        out = run_operator(ops.map_parallel(doubled, executor, in_flight=2), lossy())
        assert_same(out, [chunk.with_data(chunk.data * 2) for chunk in lossy()])
        with pytest.raises(ValueError, match="no good: 0"):
            run_operator(ops.map_parallel(broken, executor), lossy())
        with pytest.raises(ParameterError, match=r"client.get_executor\(\)"):
            ops.map_parallel(doubled, client)
