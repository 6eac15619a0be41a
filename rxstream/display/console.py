"""Numbers and tables on a terminal, for ``rxstream watch`` and ``rxstream demo``."""

from typing import Any

from rich.table import Table

__all__ = ["format_count", "format_duration", "format_lag", "plain_table"]


def format_count(number: float) -> str:
    """Return a whole number in groups of three digits.

    Examples
    --------
    >>> format_count(1234567)
    '1 234 567'
    """
    return f"{number:,.0f}".replace(",", " ")


def format_duration(seconds: float | None) -> str:
    """Return a duration [s] with two digits in the unit that fits; of None a dash.

    Examples
    --------
    >>> format_duration(0.0000123), format_duration(0.0123), format_duration(1.23)
    ('12 µs', '12 ms', '1.2 s')
    """
    if seconds is None:
        return "–"
    for factor, unit in ((1e6, "µs"), (1e3, "ms")):
        value = seconds * factor
        # 9.95 is the first that one decimal place rounds to 10.
        if value < 999.5:
            return f"{value:.{1 if value < 9.95 else 0}f} {unit}"
    return f"{seconds:.1f} s"


def format_lag(seconds: float) -> str:
    """Return the lag of a reader [s]; less than a millisecond is none.

    Examples
    --------
    >>> format_lag(0.0), format_lag(4.84)
    ('< 1 ms', '4.8 s')
    """
    return "< 1 ms" if seconds < 1e-3 else format_duration(seconds)


def plain_table(first: str, *columns: str, width: int = 10, **options: Any) -> Table:
    """Return a table without lines: a column of names of a width, then columns of numbers."""
    table = Table(
        box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", title_justify="left",
        **options,
    )  # fmt: skip
    table.add_column(first, min_width=width)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table
