"""Test what you write: the laws of operators, the rules of sources, and random streams.

Needs `hypothesis` (``pip install 'rxstream[test]'``). One line in a test checks an operator, or, by
`check_source`, a device:

>>> from rxstream import operators as ops
>>> check_operator(lambda: ops.rechunk(4), examples=5)
"""

from rxstream.testing.operator_laws import (
    assert_live_equals_replay,
    assert_same,
    check_operator,
    infos,
    recut,
    recut_by_time,
    run_operator,
    streams,
)
from rxstream.testing.source_rules import check_source

__all__ = [
    "assert_live_equals_replay",
    "assert_same",
    "check_operator",
    "check_source",
    "infos",
    "recut",
    "recut_by_time",
    "run_operator",
    "streams",
]
