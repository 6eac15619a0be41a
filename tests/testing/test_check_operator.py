"""check_operator: what it is given must make an operator."""

import pytest

from rxstream import operators as ops
from rxstream.errors import ParameterError
from rxstream.testing import check_operator


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (ops.samples(), "cannot be called without arguments"),
        (5, "not int, which cannot be called"),
        (ops.rms, "rms, which cannot be called without arguments"),
        (lambda: 5, "which gives 5"),
    ],
)
def test_what_makes_no_operator_is_refused(make: object, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        check_operator(make)  # type: ignore[arg-type]
