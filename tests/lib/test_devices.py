from __future__ import annotations

import os
import threading

import pytest

from lib.devices import default_slots, device_name, take_slot


def never(holders):
    raise AssertionError(f"waited for {holders}")


@pytest.mark.parametrize(("device", "name"), [("cpu", "cpu"), ("cuda", "cuda0"), ("cuda:0", "cuda0"), ("cuda:3", "cuda3")])
def test_one_device_has_one_name(device, name):
    assert device_name(device) == name


def test_a_cpu_takes_as_many_children_as_it_has_cores_and_a_gpu_one():
    assert default_slots("cpu") == len(os.sched_getaffinity(0))
    assert default_slots("cuda:1") == 1


def test_slots_are_taken_one_by_one_and_say_who_holds_them(tmp_path):
    with take_slot(tmp_path, "cpu", 2, never), take_slot(tmp_path, "cpu", 2, never):
        assert sorted(path.name for path in tmp_path.iterdir()) == ["cpu-0.lock", "cpu-1.lock"]
        assert (tmp_path / "cpu-1.lock").read_text() == f"{os.getpid()}\n"


def test_devices_do_not_wait_for_each_other(tmp_path):
    with take_slot(tmp_path, "cuda:0", 1, never) as first, take_slot(tmp_path, "cuda:1", 1, never) as second:
        assert not first.closed
        assert not second.closed


def test_a_slot_is_waited_for_until_its_holder_lets_go(tmp_path):
    holder = take_slot(tmp_path, "cuda", 1, never)
    waits: list[tuple[int, ...]] = []
    timer = threading.Timer(0.3, holder.close)
    timer.start()
    with take_slot(tmp_path, "cuda", 1, waits.append):
        assert holder.closed
    assert waits == [(os.getpid(),)]  # told once, not at every look
