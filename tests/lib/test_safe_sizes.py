from __future__ import annotations

import threading

from lib.safe_sizes import SafeSizes


def test_a_size_is_remembered_per_key_and_device(tmp_path):
    SafeSizes(tmp_path).remember("m0/24", "cuda0", 16)
    assert SafeSizes(tmp_path).known("m0/24", "cuda0") == 16
    assert SafeSizes(tmp_path).known("m0/24", "cpu") is None
    assert SafeSizes(tmp_path).known("m1/24", "cuda0") is None


def test_a_size_never_grows_again(tmp_path):
    sizes = SafeSizes(tmp_path)
    for size in (16, 4, 8):
        sizes.remember("m0", "cpu", size)
    assert sizes.known("m0", "cpu") == 4


def test_writers_do_not_lose_each_others_sizes(tmp_path):
    sizes = SafeSizes(tmp_path / "locks")
    threads = [threading.Thread(target=sizes.remember, args=(f"m{n}", "cpu", n)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [sizes.known(f"m{n}", "cpu") for n in range(20)] == list(range(20))


def test_a_damaged_file_is_as_good_as_none(tmp_path):
    (tmp_path / "safe_sizes.json").write_text('{"cpu": {"m0"')
    sizes = SafeSizes(tmp_path)
    assert sizes.known("m0", "cpu") is None
    sizes.remember("m0", "cpu", 8)
    assert sizes.known("m0", "cpu") == 8
