"""Two models on the same problems meet in one group, and one model by itself is left as it is."""

import pyarrow as pa

from lib import records, rivals, tables
from lib.engines.scripted import Scripted
from lib.evaluators.win_rate import WinRate
from lib.protocols import Machine, Work
from lib.stages import evaluate, verify
from lib.verifiers.judge import Judge
from tests.filter_stage import completion, problem

MINE = records.COMPLETIONS.table([completion(f"m{p}", p, group_id=f"mine {p}", text="x" * n) for p, n in (("a", 9), ("b", 2))])
ITS = records.COMPLETIONS.table([completion(f"i{p}", p, group_id=f"its {p}", text="y" * 5) for p in "ab"])


def test_both_share_a_group_a_problem():
    both = rivals.together(MINE, ITS)
    assert dict(zip(both["completion_id"].to_pylist(), both["group_id"].to_pylist(), strict=True)) == {
        "ma": "a",
        "mb": "b",
        "ia": "a",
        "ib": "b",
    }
    assert both.schema == records.COMPLETIONS.schema


def test_without_rivals_nothing_changes_and_the_same_completion_comes_once():
    assert rivals.together(MINE, ITS.slice(0, 0)).equals(MINE)
    assert rivals.together(MINE, pa.concat_tables([MINE, ITS])).num_rows == 4


def test_they_meet_through_both_stages(tmp_path):
    inputs = {}
    given = {
        "problems": (records.PROBLEMS, records.PROBLEMS.table([problem("a"), problem("b")])),
        "completions": (records.COMPLETIONS, MINE),
        "rivals": (records.COMPLETIONS, ITS),
    }
    for name, (spec, table) in given.items():
        inputs[name] = [tmp_path / name]
        inputs[name][0].mkdir()
        tables.write(table, spec, inputs[name][0] / f"{spec.name}.parquet")
    (tmp_path / "verdicts").mkdir()
    judge = Judge(form="pairwise", model="base", template="{completion}|{rival}")
    longer = (("xxxxxxxxx|yyyyy", ("A",)), ("yyyyy|xxxxxxxxx", ("B",)), ("xx|yyyyy", ("B",)), ("yyyyy|xx", ("A",)))
    asking = {"verifiers": [judge.model_dump(mode="json")], "engine": Scripted(answers=longer).model_dump(mode="json")}
    verify.run(Work(asking, inputs, {"policy@base": ("base", tmp_path)}, 0, Machine()), tmp_path / "verdicts")
    settings = {"evaluator": WinRate(scorer=judge).model_dump(mode="json"), "split": "gate", "model_id": "m"}
    evaluate.run(Work(settings, {**inputs, "verdicts": [tmp_path / "verdicts"]}, {}, 0, Machine()), tmp_path)
    rows = tables.read(tmp_path / "metric_items.parquet", records.METRIC_ITEMS).to_pylist()
    assert {row["problem_id"]: row["value"] for row in rows} == {"a": 1.0, "b": 0.0}
