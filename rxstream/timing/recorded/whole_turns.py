"""Whole turns of a counter that are lost, which only lateness that never ends can show."""

from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.timing.recorded.first_pass import Evidence
from rxstream.timing.settings import ClockSettings

__all__ = ["with_turns_counted"]

Floats: TypeAlias = NDArray[np.float64]

# Turns of wider counters take longer than pauses; a counter gets so many bits more.
_WIDEST, _MORE_BITS = 32, 24
# Part of a turn that chunks are apart at the most: else turns are no exception, and the lateness of
# a single chunk says nothing. As live.
_APART = 0.25
# Part of a turn by which chunks may stay less late than by whole turns that were lost. As live.
_EARLIER = 0.25
# Turns that are looked at before and after a pause: with a rate that is wrong by 0.1 % lateness
# changes by an eighth of a turn meanwhile.
_BEFORE, _BEHIND = 20, 125
# Chunks at the end that come faster by this part of their length have waited. As live.
_BACKLOG = 0.1
# A step that claims this much more time than has passed is a reset [s]. As live.
_RESET = 0.5


def with_turns_counted(
    settings: ClockSettings, evidence: Evidence
) -> tuple[ClockSettings, Evidence]:
    """Return a counter with the turns of pauses counted, so wide that no pause is ambiguous.

    What was late and is in time again has lost no turn. Live nobody knows that, when chunks come
    late by more than a turn; see `DeviceTime.turns`.

    Parameters
    ----------
    settings
        Settings of the stream.
    evidence
        Evidence of all chunks.

    Returns
    -------
    settings, evidence
        The same where no pause is as long as most of a turn.
    """
    spec, raw = settings.counter, evidence.counter
    unit = (spec.rate if spec and spec.rate else settings.rate) or 0.0
    if spec is None or raw is None or not unit or spec.bits > _WIDEST or len(raw) < 2:
        return settings, evidence
    size = 1 << spec.bits
    turn = size / unit
    elapsed = np.diff(evidence.arrival) / 1e9
    if elapsed.max() < (1 - _EARLIER) * turn - _RESET or np.median(elapsed) > _APART * turn:
        return settings, evidence
    steps = np.diff(raw) % size
    counted = np.concatenate(([0], np.cumsum(steps)))
    arrival = (evidence.arrival - evidence.arrival[0]) / 1e9
    late = arrival - counted / unit
    longest = elapsed + _RESET + 3 * float(np.median(elapsed))
    edges = np.concatenate(([0], np.flatnonzero(steps / unit > longest) + 1, [len(raw)]))
    for at in (np.flatnonzero(elapsed >= _APART * turn) + 1).tolist():
        begin, end = edges[[k := int(np.searchsorted(edges, at, side="right")) - 1, k + 1]]
        place = slice(int(begin), int(end))
        turns = _turns(arrival[place], late[place], at - int(begin), turn)
        # No more than fit into the pause.
        turns = min(turns, int((longest[at - 1] - steps[at - 1] / unit) / turn))
        if turns > 0:
            late[at:end] -= turns * turn
            counted[at:] += turns * size
    wide = replace(spec, bits=spec.bits + _MORE_BITS)
    numbers = (counted + raw[0] % size) % (1 << wide.bits)
    return replace(settings, counter=wide), replace(evidence, counter=numbers)


def _turns(arrival: Floats, late: Floats, at: int, turn: float) -> int:
    """Return the turns lost before a chunk: by so many all chunks from there on are later."""
    now = arrival[at] if at else 0.0
    since, until = np.searchsorted(arrival, (now - _BEFORE * turn, now + _BEHIND * turn))
    if since >= at:
        return 0
    behind = slice(at, max(until, at + 1))
    # Lateness that falls until the end of the recording may have been all of it.
    last = max(len(late) - 1 - max((len(late) - at) // 4, 1), at)
    fallen = late[last] - late[-1]
    passed = arrival[-1] - arrival[last] + fallen
    if until == len(late) and fallen > _BACKLOG * passed:
        return 0
    rise = float(late[behind].min() - late[since:at].min())
    return max(int(rise / turn + _EARLIER), 0)
