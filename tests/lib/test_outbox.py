"""The outbox keeps what was put, in order, once."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from lib import outbox


def test_events_wait_in_the_order_of_putting(tmp_path):
    for number in (3, 1, 2):
        outbox.put(tmp_path, {"campaign": "demo", "number": number})
    assert [queued.event["number"] for queued in outbox.pending(tmp_path)] == [3, 1, 2]


def test_equal_events_are_one_whatever_the_order_of_their_fields(tmp_path):
    first = outbox.put(tmp_path, {"a": 1, "b": "é"})
    again = outbox.put(tmp_path, {"b": "é", "a": 1})
    assert first == again
    assert len(outbox.pending(tmp_path)) == 1


def test_ignored_fields_do_not_make_another_event_but_are_kept(tmp_path):
    outbox.put(tmp_path, {"a": 1, "flow_run": "one"}, ignoring=("flow_run",))
    outbox.put(tmp_path, {"a": 1, "flow_run": "two"}, ignoring=("flow_run",))
    assert [queued.event for queued in outbox.pending(tmp_path)] == [{"a": 1, "flow_run": "one"}]


def test_a_published_event_is_not_queued_again(tmp_path):
    outbox.put(tmp_path, {"a": 1})
    outbox.mark_published(tmp_path, outbox.pending(tmp_path)[0])
    outbox.put(tmp_path, {"a": 1})
    assert outbox.pending(tmp_path) == []


def test_a_kill_between_marker_and_removal_counts_as_published(tmp_path):
    outbox.put(tmp_path, {"a": 1})
    queued = outbox.pending(tmp_path)[0]
    text = queued.path.read_text()
    outbox.mark_published(tmp_path, queued)
    queued.path.write_text(text)
    assert outbox.pending(tmp_path) == []


def test_numbering_goes_on_after_the_queue_was_emptied(tmp_path):
    outbox.put(tmp_path, {"a": 1})
    outbox.put(tmp_path, {"a": 2})
    outbox.mark_published(tmp_path, outbox.pending(tmp_path)[0])
    outbox.put(tmp_path, {"a": 3})
    assert [queued.event["a"] for queued in outbox.pending(tmp_path)] == [2, 3]


def test_putting_from_many_threads_loses_and_doubles_nothing(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: outbox.put(tmp_path, {"number": i % 20}), range(40)))
    waiting = outbox.pending(tmp_path)
    assert sorted(queued.event["number"] for queued in waiting) == list(range(20))
    assert len({queued.path.name.partition("-")[0] for queued in waiting}) == 20


def test_what_put_returned_survives_a_kill(tmp_path):
    code = f"""
import itertools, pathlib
from lib import outbox
for i in itertools.count():
    print(outbox.put(pathlib.Path({str(tmp_path)!r}), {{"number": i, "text": "x" * 5000}}), flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        promised = [child.stdout.readline().strip() for _ in range(20)]
        child.kill()
    waiting = outbox.pending(tmp_path)
    assert [queued.id for queued in waiting][:20] == promised
    assert [queued.event["number"] for queued in waiting] == list(range(len(waiting)))
