"""Syntax trees while other threads parse too, and modules that are imported meanwhile."""

from __future__ import annotations

import ast
import gc
import threading
from pathlib import Path

import pytest

from lib import db, keys, store
from lib.source import imported, parsed


def test_a_file_is_parsed_right_while_other_threads_parse():
    files = [Path(str(module.__file__)) for module in (db, keys, store)]
    expected = [ast.dump(parsed(file)) for file in files]
    wrong: list[str] = []
    ended = threading.Event()

    def noise() -> None:
        text = files[0].read_text()
        while not ended.is_set():
            try:
                ast.parse(text)
            except SystemError:  # this thread is not the one that is looked at
                continue

    def look() -> None:
        for _ in range(15):
            wrong.extend(str(file) for file, tree in zip(files, expected, strict=True) if ast.dump(parsed(file)) != tree)

    noisy = [threading.Thread(target=noise) for _ in range(3)]
    looking = threading.Thread(target=look)
    for thread in (*noisy, looking):
        thread.start()
    looking.join()
    ended.set()
    for thread in noisy:
        thread.join()
    assert wrong == []


def test_what_is_no_python_says_where(tmp_path):
    (tmp_path / "a.py").write_text("x = (\n")
    with pytest.raises(SyntaxError):
        parsed(tmp_path / "a.py")


def test_no_garbage_is_collected_while_a_module_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "imported_whole.py").write_text("import gc\nCOLLECTS = gc.isenabled()\n")
    (tmp_path / "imported_in_part.py").write_text("raise ValueError('broken')\n")
    assert imported("imported_whole").COLLECTS is False
    assert gc.isenabled()
    with pytest.raises(ValueError, match="broken"):
        imported("imported_in_part")
    assert gc.isenabled()
    gc.disable()  # as one does who collects at times of their own choosing
    try:
        imported("imported_whole")
        assert not gc.isenabled()
    finally:
        gc.enable()
