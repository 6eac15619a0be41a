"""The size and the seeds of a campaign."""

import pytest
from campaign import seeds, trials


def test_a_tenth_unless_asked_for_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RXSTREAM_ATTACK", raising=False)
    assert (trials(500), trials(3)) == (50, 1)
    monkeypatch.setenv("RXSTREAM_ATTACK", "1")
    assert trials(500) == 500


def test_a_seed_repeats_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RXSTREAM_ATTACK", "1")
    monkeypatch.setenv("RXSTREAM_SEED", "42")
    assert seeds(3) == range(42, 45)
