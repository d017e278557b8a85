import hashlib
import random
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from lib.errors import BrokenConservation, SchemaMismatch, UserError
from lib.filters.best_worst_pairs import BestWorstPairs
from lib.filters.cap_per_problem import CapPerProblem
from lib.filters.decontaminate import Decontaminate
from lib.filters.dedup import Dedup
from lib.filters.group_advantages import GroupAdvantages
from lib.filters.keep_correct import KeepCorrect
from lib.filters.sft_rows import SftRows
from lib.strategy import UserCode
from tests.filter_stage import completion, filtered, problem, stage, verdict, work

PIPELINES = [
    [KeepCorrect(), Dedup(), CapPerProblem(n=2)],
    [Decontaminate(), SftRows(prompt="parent")],
    [Dedup(by="ids"), BestWorstPairs(max_pairs=2)],
    [GroupAdvantages(kind="rloo")],
    [CapPerProblem(n=3), GroupAdvantages(drop_uniform=False)],
]


def random_tables(seed, n):
    draw = random.Random(seed)
    completions = [
        completion(
            f"c{i:03d}",
            f"p{draw.randrange(1 + n // 4)}",
            text=draw.choice(["x", "x ", "y"]),
            completion_ids=draw.choices(range(3), k=draw.randrange(3)),
            parent_id=draw.choice([None, f"c{draw.randrange(n):03d}", "gone"]),
            finish_reason=draw.choice(["stop", "stop", "length", "error"]),
        )
        for i in range(n)
    ]
    outcomes = ["correct", "correct", "wrong", "wrong", "undecided", None]
    verdicts = [
        verdict(c["completion_id"], draw.choice(outcomes), verifier=v, score=draw.choice([None, 0.2, 0.4, 1.0]))
        for c in completions
        for v in draw.choice([("v",), ("v", "w"), ()])
    ]
    problems = [problem(f"p{i}", f"problem {i}") for i in range(1 + n // 4)]
    return {"completions": completions, "verdicts": verdicts, "problems": problems, "held_out": problems[:1]}


@given(seed=some.integers(0, 10**6), n=some.integers(0, 25), pipeline=some.sampled_from(PIPELINES))
@settings(max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
def test_each_completion_is_learnt_from_or_dropped_exactly_once(tmp_path_factory, seed, n, pipeline):
    rows = random_tables(seed, n)
    result = filtered(tmp_path_factory.mktemp("any"), pipeline, **rows)
    ids = [c["completion_id"] for c in rows["completions"]]
    assert sorted([*result.kept, *(row["id"] for row in result.rows("dropped"))]) == sorted(ids)
    assert result.stats["completions"] == n
    assert result.stats["kept"] == len(result.kept)
    assert sum(result.stats["dropped"].values()) == n - len(result.kept)
    assert not result.kept & {c["completion_id"] for c in rows["completions"] if c["finish_reason"] == "error"}


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_equal_rows_make_equal_bytes_however_they_were_sharded(tmp_path, pipeline):
    rows = random_tables(3, 120)
    one = filtered(tmp_path / "one", pipeline, **rows)
    three = filtered(tmp_path / "three", pipeline, **rows, parts=3)
    assert digests(one.out) == digests(three.out)
    assert len(digests(one.out)) == 3


def test_errors_and_empty_completions_fall_before_any_filter(tmp_path):
    completions = [
        completion("crashed", finish_reason="error"),
        completion("empty", completion_ids=[]),
        completion("masked", loss_mask=[0, 0]),
        completion("fine"),
    ]
    result = filtered(tmp_path, [], completions)
    assert result.dropped == {"crashed": "error", "empty": "no token to learn", "masked": "no token to learn"}
    assert {row["filter"] for row in result.rows("dropped")} == {"Stage"}
    assert result.stats == {
        "completions": 4,
        "kept": 1,
        "examples": 1,
        "dropped": {"error": 1, "no token to learn": 2},
    }


def test_the_first_filter_to_object_is_the_one_on_record(tmp_path):
    completions = [completion("a", text="x"), completion("b", text="x"), completion("c", text="x")]
    result = filtered(tmp_path, [KeepCorrect(), Dedup()], completions, [verdict("a", "wrong"), verdict("b"), verdict("c")])
    assert [(r["id"], r["filter"], r["reason"]) for r in result.rows("dropped")] == [
        ("a", "KeepCorrect", "wrong"),
        ("c", "Dedup", "duplicate"),
    ]


def test_no_completions_make_no_examples_and_no_error(tmp_path):
    result = filtered(tmp_path, [KeepCorrect(), BestWorstPairs()], [])
    assert result.stats == {"completions": 0, "kept": 0, "examples": 0, "dropped": {}}
    assert result.rows("examples_pair") == []


def test_progress_is_reported_to_its_end(tmp_path):
    seen = []
    given = work(tmp_path, [KeepCorrect()], [completion("a")])
    machine = type(given.machine)(report=lambda done, total: seen.append((done, total)))
    (tmp_path / "out").mkdir()
    stage.run(type(given)(given.settings, given.inputs, {}, 0, machine), tmp_path / "out")
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_an_artifact_listed_twice_is_noticed(tmp_path):
    given = work(tmp_path, [], [completion("a")])
    given.inputs["completions"] *= 2
    with pytest.raises(BrokenConservation, match="2 completions with 1 ids"):
        stage.run(given, tmp_path)


def test_another_table_in_place_of_one_is_refused(tmp_path):
    given = work(tmp_path, [], [completion("a")], [verdict("a")])
    (given.inputs["verdicts"][0] / "verdicts.parquet").replace(given.inputs["completions"][0] / "completions.parquet")
    given.inputs["verdicts"].clear()
    with pytest.raises(SchemaMismatch, match="verdicts/v1"):
        stage.run(given, tmp_path)


def test_what_makes_examples_comes_last(tmp_path):
    with pytest.raises(UserError, match="SftRows makes examples, so it must be the last"):
        filtered(tmp_path, [SftRows(), KeepCorrect()], [])


MINE = '''
from lib.strategy import Strategy


class Short(Strategy):
    """Keeps short texts."""

    limit: int = 3

    def filter(self, rows):
        return rows.sql(
            "SELECT completion_id, CASE WHEN len(text) > $n THEN 'too long' END AS reason FROM completions", n=self.limit
        )
'''


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "my_filters.py").write_text(MINE)
    UserCode.allow(tmp_path)
    yield __import__("my_filters")
    UserCode.allow(None)
    del sys.modules["my_filters"]


def test_a_filter_of_the_users_own_is_a_class_of_a_few_lines(tmp_path, mine):
    result = filtered(tmp_path / "run", [mine.Short(limit=2)], [completion("a", text="xx"), completion("b", text="xxx")])
    assert result.kept == {"a"}
    assert result.rows("dropped") == [{"unit": "completion", "id": "b", "filter": "Short", "reason": "too long"}]


LOSES_ROWS = '''
from typing import ClassVar

from lib.protocols import Built
from lib.strategy import Strategy


class Careless(Strategy):
    """Makes examples of all completions and says that it dropped some."""

    makes: ClassVar[str] = "unpaired"

    def build(self, rows):
        made = "SELECT completion_id AS example_id, problem_id, [1] AS input_ids, [1] AS labels, 1.0 AS target FROM completions"
        return Built(
            rows.sql(made),
            rows.sql("SELECT completion_id AS example_id, {source} AS completion_id, 'whole' AS part FROM completions {only}"),
            rows.sql("SELECT completion_id, 'lost' AS reason FROM completions {drops}"),
        )
'''


@pytest.mark.parametrize(
    ("source", "only", "drops", "message"),
    [
        ("completion_id", "", "", "of 2 completions 2 are in examples and 2 dropped"),
        ("completion_id", "WHERE completion_id = 'a'", "WHERE false", "of 2 completions 1 are in examples and 0 dropped"),
        ("completion_id || '!'", "", "WHERE false", "of 2 completions 2 are in examples and 0 dropped, which settles 0"),
        ("completion_id", "WHERE completion_id = 'a'", "WHERE completion_id = 'b'", "2 examples, but sources name 1"),
    ],
)
def test_a_builder_that_loses_or_doubles_rows_is_stopped(tmp_path, source, only, drops, message):
    (tmp_path / "careless.py").write_text(LOSES_ROWS.format(source=source, only=only, drops=drops))
    UserCode.allow(tmp_path)
    try:
        with pytest.raises(BrokenConservation, match=message):
            filtered(tmp_path / "run", [__import__("careless").Careless()], [completion("a"), completion("b")])
    finally:
        UserCode.allow(None)
        del sys.modules["careless"]
