import os
import signal
import threading

import pytest

from lib.interrupts import interrupted_later


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
