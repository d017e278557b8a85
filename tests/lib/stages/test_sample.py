"""The sample stage over a sampler that searches: its nodes are written, counted and refused where they cannot be."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lib import records, tables
from lib.engines.classifier import Classifier
from lib.engines.scripted import Scripted
from lib.errors import UserError
from lib.protocols import Machine, Work
from lib.samplers.independent import Independent
from lib.samplers.tree import Tree
from lib.stages import sample
from lib.verifiers.countdown import Countdown
from tests.filter_stage import problem

ENGINE = Scripted(answers=(("1,5,8>45:", ("8+1=9;9*5=45", "8+1=9;9+5=14", "8-1=7;7*5=35")),))


def ran(folder: Path, sampler, engine=ENGINE):
    (folder / "in").mkdir()
    (folder / "out").mkdir()
    tables.write(
        records.PROBLEMS.table([problem("p", "1,5,8>45:", task="countdown")]), records.PROBLEMS, folder / "in" / "problems.parquet"
    )
    settings = {"sampler": sampler.model_dump(mode="json"), "engine": engine.model_dump(mode="json")}
    work = Work(settings, {"problems": [folder / "in"]}, {"policy": ("m", folder)}, 3, Machine())
    return sample.run(work, folder / "out")


def test_a_search_leaves_a_node_for_every_completion_and_counts_what_it_drew(tmp_path):
    stats = ran(tmp_path, Tree(simulations=4, branch=2, value=Countdown(), separator=";"))
    completions = tables.read([tmp_path / "out" / "completions.parquet"], records.COMPLETIONS).to_pylist()
    nodes = tables.read([tmp_path / "out" / "nodes.parquet"], records.NODES).to_pylist()
    assert sorted(n["completion_id"] for n in nodes) == sorted(c["completion_id"] for c in completions)
    assert stats["tokens"] == sum(len(c["completion_ids"]) for c in completions)
    length = {n["completion_id"]: n["tokens"] for n in nodes}
    assert stats["tokens_sampled"] == stats["tokens"] - sum(length[n["parent"]] for n in nodes if n["parent"])
    assert stats["tokens_sampled"] < stats["tokens"]


def test_other_samplers_leave_none(tmp_path):
    stats = ran(tmp_path, Independent(n=2))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["completions.parquet"]
    assert stats["tokens_sampled"] == stats["tokens"]
    assert pq.read_metadata(tmp_path / "out" / "completions.parquet").num_rows == 2


def test_an_engine_that_cannot_continue_is_refused_by_name(tmp_path):
    with pytest.raises(UserError, match="the engine Classifier of role 'policy' cannot"):
        ran(tmp_path, Tree(value=Countdown()), Classifier())
