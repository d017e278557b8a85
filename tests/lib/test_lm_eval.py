"""lm-evaluation-harness on a round's model: what it is given, what is kept of it, and how it fails."""

import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from lib.errors import Collected, DamagedArtifact, UnknownName, UserError
from lib.in_use import collecting, in_use
from lib.lm_eval import Asked, measure
from lib.store import Store
from tests import lm_eval_stand_in


@pytest.fixture
def folder(home, tmp_path, monkeypatch):
    place = lm_eval_stand_in.write(tmp_path / "site")
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.setenv("PYTHONPATH", str(place))
    monkeypatch.delenv("ROUNDHOUSE_DEVICE", raising=False)
    return lm_eval_stand_in.campaign(home)[0]


def model(folder, number):
    record = folder.record(number)
    return {**record.start, **record.made}["policy"]


def test_every_figure_is_a_row_of_the_rounds_model(folder):
    found = measure(folder, 1, Asked(("gsm8k", "piqa"), limit=20))
    assert (found.round, found.model, found.version) == (1, model(folder, 1), "0.4.13")
    named = {"model_id": model(folder, 1), "evaluator": "lm-eval", "slice": "all", "n": 20}
    assert found.metrics == [
        {**named, "split": "gsm8k", "metric": "acc", "value": 0.05, "stderr": 0.05},
        {**named, "split": "gsm8k", "metric": "exact_match,strict-match", "value": 0.5, "stderr": None},
        {**named, "split": "piqa", "metric": "acc", "value": 0.04, "stderr": 0.05},
        {**named, "split": "piqa", "metric": "exact_match,strict-match", "value": 0.5, "stderr": None},
    ]


def test_the_champion_is_measured_unless_a_round_is_named(folder):
    assert measure(folder, None, Asked(("piqa",))).model == model(folder, 1)
    assert measure(folder, 2, Asked(("piqa",))).model == model(folder, 2)
    assert measure(folder, 0, Asked(("piqa",))).model == model(folder, 0)
    with pytest.raises(UnknownName, match="no round '7'"):
        measure(folder, 7, Asked(("piqa",)))
    with pytest.raises(UserError, match="round 3 of 'demo' has made no model yet; run it first: roundhouse improve demo"):
        measure(folder, 3, Asked(("piqa",)))


def test_what_was_measured_stays_beside_the_rounds_and_the_same_asked_again_takes_its_place(folder):
    for limit in (10, 20, 10):
        measure(folder, 1, Asked(("piqa",), limit=limit))
    kept = json.loads((folder.path / "lm-eval" / "round-001.json").read_text())
    assert [one["limit"] for one in kept] == [20, 10]
    assert {one["model"] for one in kept} == {model(folder, 1)}


def test_a_failure_ends_in_one_line_with_the_end_of_its_log(folder):
    with pytest.raises(UserError, match=r"left no results; its log, .*round-001\.log, ends: .*Tasks not found: unknown"):
        measure(folder, 1, Asked(("unknown",)))


def test_weights_that_are_not_there_are_not_measured(folder):
    shutil.rmtree(Store(folder.home.store).folder(model(folder, 1)))
    with pytest.raises(DamagedArtifact, match="is not in"):
        measure(folder, 1, Asked(("piqa",)))


def test_a_model_is_not_copied_while_weights_are_collected(folder):
    locks, digest = folder.home.locks, model(folder, 1)
    with ThreadPoolExecutor(1) as pool:
        with collecting(locks):
            measuring = pool.submit(measure, folder, 1, Asked(("piqa",)))
            with suppress(TimeoutError):
                measuring.exception(timeout=0.5)
            Store(folder.home.store).collect(digest, ["model.safetensors"], None)
        with pytest.raises(Collected):
            measuring.result(timeout=60)
    assert in_use(locks) == set()
    assert list((locks / "in-use").glob("*")) == []


def test_where_it_is_missing_the_line_says_how_to_install_it(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(UserError, match=r"install it with: pip install -c constraints\.txt -e '\.\[lm-eval\]'"):
        measure(folder, 1, Asked(("piqa",)))
