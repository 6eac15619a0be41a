"""Which threads deliver: each call has a number of its own, and a forked child begins anew."""

import os
import threading

import pytest

from rxstream.steps.delivery import current_delivery, deliveries, delivering


def test_calls_are_told_apart_and_a_call_inside_one_is_the_same() -> None:
    assert current_delivery() is None
    with delivering():
        first = current_delivery()
        with delivering():
            assert current_delivery() == first is not None
        assert current_delivery() == first
    assert current_delivery() is None
    with delivering():
        assert current_delivery() not in {None, first}


def test_a_call_that_raises_has_ended() -> None:
    with pytest.raises(ZeroDivisionError), delivering():
        raise ZeroDivisionError
    assert current_delivery() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_knows_only_of_the_call_that_it_is_in() -> None:
    inside, release = threading.Event(), threading.Event()

    def deliver() -> None:
        with delivering():
            inside.set()
            release.wait(10)

    thread = threading.Thread(target=deliver)
    thread.start()
    try:
        assert inside.wait(10)
        with delivering():
            child = os.fork()
            if not child:
                os._exit(0 if list(deliveries) == [threading.get_ident()] else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert thread.ident in deliveries
    finally:
        release.set()
        thread.join(10)
