import os
import signal
import threading
import time
import weakref
from collections.abc import Iterator

import pytest

from lib import interrupts
from lib.interrupts import insisted, interrupted_later


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> Iterator[float]:
    """The seconds after which an interrupt is raised again; and a handler that stands as it was afterwards."""
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(interrupts, "AGAIN_SECONDS", 0.05)
    yield interrupts.AGAIN_SECONDS
    signal.signal(signal.SIGINT, before)


class Ended:
    """Interrupted as it is thrown away."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def lost_in_a_block() -> None:
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        return


def lost_in_a_finalizer() -> None:
    Ended()


def lost_in_a_callback() -> None:
    kept = set()
    kept.add(weakref.ref(gone := threading.Event(), lambda _: signal.raise_signal(signal.SIGINT)))
    del gone


@pytest.mark.parametrize("lost", [lost_in_a_block, lost_in_a_finalizer, lost_in_a_callback])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_was_passed_over_is_raised_again(lost, soon: float):
    with pytest.raises(KeyboardInterrupt), insisted([signal.SIGINT]) as found:
        lost()
        assert found.came
        for _ in range(100):
            time.sleep(soon)
        pytest.fail("nothing was interrupted")


def test_what_ends_by_an_interrupt_is_not_interrupted_again_but_by_another(soon: float):
    ended = []

    def work() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            time.sleep(6 * soon)
            try:
                raise ValueError("of what ends")
            except ValueError:
                time.sleep(6 * soon)
            ended.append("in order")
            signal.raise_signal(signal.SIGINT)  # somebody who will not wait
            ended.append("not reached")

    with pytest.raises(KeyboardInterrupt), insisted([signal.SIGINT]):
        work()
    assert ended == ["in order"]
    time.sleep(6 * soon)  # and none comes after the block


def test_it_is_told_once_however_often_it_is_raised(soon: float):
    told = []
    with pytest.raises(KeyboardInterrupt), insisted([signal.SIGINT], lambda: told.append(1)):
        lost_in_a_block()
        try:
            time.sleep(100 * soon)
        except KeyboardInterrupt:
            told.append("again")
        time.sleep(100 * soon)
    assert told == [1, "again"]


def test_ctrl_c_takes_effect_at_the_end_of_the_block_and_at_once_after_it():
    done = []
    with pytest.raises(KeyboardInterrupt), interrupted_later():
        os.kill(os.getpid(), signal.SIGINT)
        done.append("all of it")
    assert done == ["all of it"]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_thread_that_nobody_interrupts_goes_through_it():
    done = []

    def work() -> None:
        with interrupted_later():
            done.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [1]
