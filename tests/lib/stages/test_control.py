"""The stages of a controller: problems drawn for its probes, and its decision."""

import json
import sys

import pytest

from lib import records, tables
from lib.controllers.frontier import Frontier
from lib.controllers.schedule import Schedule
from lib.deciding import settings_of, state_of
from lib.errors import UserError
from lib.protocols import Machine, Work
from lib.stages import control, subset
from lib.strategy import UserCode
from tests.filter_stage import problem
from tests.probes import probe


def artifact(folder, **given):
    """A folder with tables, as an artifact has them."""
    folder.mkdir()
    for name, table in given.items():
        tables.write(table, records.TABLES[name], folder / f"{name}.parquet")
    return folder


def ran(tmp_path, controller, inputs, probes=0, number=1):
    settings = {"controller": controller.model_dump(mode="json"), "name": "mine", "probes": probes, "round": number, "rounds": 3}
    out = tmp_path / "out"
    out.mkdir()
    stats = control.run(Work(settings, inputs, {}, 5, Machine()), out)
    return stats, tables.read(out / "state.parquet", records.STATE), out


def test_a_decided_setting_stands_in_the_state_and_the_figures(tmp_path):
    stats, state, _ = ran(tmp_path, Schedule(setting="sampler.temperature", end=0.5), {}, number=3)
    assert stats == {"sampler.temperature": 0.5}
    assert (settings_of(state), state_of(state)) == ({"sampler.temperature": 0.5}, {})


def test_chosen_problems_stand_beside_the_state(tmp_path):
    found = probe(aa="cw", ab="cc", ac="cw")
    given = artifact(tmp_path / "all", problems=found.problems)
    made = artifact(tmp_path / "probe", completions=found.completions, verdicts=found.verdicts)
    inputs = {"problems": [given], "probed": [given], "completions.0": [made], "verdicts.0": [made]}
    stats, _, out = ran(tmp_path, Frontier(), inputs, probes=1)
    assert stats == {"too_easy": 1, "too_hard": 0, "chosen": 2}
    chosen = tables.read(out / "shard-000" / "problems.parquet", records.PROBLEMS)
    assert chosen["problem_id"].to_pylist() == ["aa", "ac"]
    assert chosen.equals(found.problems.take([0, 2]).sort_by("problem_id"))


OWN = """
from lib.deciding import Decided
from lib.strategy import Strategy

class Own(Strategy):
    ids: tuple[str, ...] = ()

    def decide(self, seen):
        told = {path: {name: table.num_rows for name, table in found.items()} for path, found in seen.before.items()}
        return Decided({"before": told, "was": dict(seen.state)}, problems=self.ids or None)
"""


@pytest.fixture
def own(tmp_path):
    """A controller of the user's own."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "own.py").write_text(OWN)
    UserCode.allow(folder)
    yield UserCode.module("own").Own
    UserCode.allow(None)
    sys.modules.pop("own")


def test_tables_of_the_round_before_and_the_own_state_are_seen(tmp_path, own):
    row = {"controller": "mine", "key": "q", "value": json.dumps({"a": 0.5})}
    inputs = {
        "state": [artifact(tmp_path / "state", state=records.STATE.table([row, {**row, "key": "set.n", "value": "3"}]))],
        "problems of main/filter": [artifact(tmp_path / "before", problems=records.PROBLEMS.table([problem("a"), problem("b")]))],
    }
    _, state, out = ran(tmp_path, own(), inputs)
    assert state_of(state) == {"before": {"main/filter": {"problems": 2}}, "was": {"q": {"a": 0.5}}}
    assert not list(out.glob("shard-*"))


@pytest.mark.parametrize(("ids", "wrong"), [(("z",), "'z'"), (("a", "a"), "twice")])
def test_a_choice_that_cannot_be_is_refused(tmp_path, own, ids, wrong):
    given = artifact(tmp_path / "all", problems=records.PROBLEMS.table([problem("a")]))
    with pytest.raises(UserError, match=wrong):
        ran(tmp_path, own(ids=ids), {"problems": [given]})


def test_a_subset_is_drawn_by_the_seed_and_does_not_hang_on_the_rows_order(tmp_path):
    rows = [problem(f"{i:032x}") for i in range(40)]
    found = []
    for number, (seed, given) in enumerate([(1, rows), (1, rows[::-1]), (2, rows)]):
        folder, out = artifact(tmp_path / f"all{number}", problems=records.PROBLEMS.table(given)), tmp_path / f"out{number}"
        out.mkdir()
        subset.run(Work({"count": 7}, {"problems": [folder]}, {}, seed, Machine()), out)
        found.append(tables.read(out / "shard-000" / "problems.parquet", records.PROBLEMS)["problem_id"].to_pylist())
    assert found[0] == found[1] != found[2]
    assert len(set(found[0])) == 7


def test_a_subset_of_more_than_there_are_is_all(tmp_path):
    folder, out = artifact(tmp_path / "all", problems=records.PROBLEMS.table([problem("a"), problem("b")])), tmp_path / "out"
    out.mkdir()
    subset.run(Work({"count": None}, {"problems": [folder]}, {}, 1, Machine()), out)
    assert tables.read(out / "shard-000" / "problems.parquet", records.PROBLEMS).num_rows == 2
