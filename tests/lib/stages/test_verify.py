"""The verify stage: every verifier pays what it owes, and an undecided verdict gets a second try."""

import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lib import records, tables
from lib.engines.scripted import Scripted
from lib.errors import BrokenConservation, UserError
from lib.protocols import Machine, Work
from lib.stages import verify as stage
from lib.strategy import UserCode
from lib.verifiers.answer import Answer
from lib.verifiers.consensus import Consensus
from lib.verifiers.judge import Judge
from lib.verifiers.likelihood import Likelihood
from lib.verifiers.majority import Majority
from tests.filter_stage import problem

FLAKY = '''
from pathlib import Path
from lib import records
from lib.strategy import Strategy

class Flaky(Strategy):
    """Undecided about the first text that it sees, correct the second time; owes what it is told."""
    owing: int = 2
    hopeless: bool = False
    seen = None

    def owes(self, tables):
        return min(self.owing, tables.completions.num_rows)

    def verify(self, tables, engines):
        calls = Path("{calls}")
        again = calls.exists()
        calls.write_text("x")
        rows = []
        for c in tables.completions.to_pylist():
            undecided = c["text"] == "odd" and (self.hopeless or not again)
            outcome = "undecided" if undecided else "correct"
            rows.append(dict(completion_id=c["completion_id"], verifier="flaky", reason="", n_tokens=1, outcome=outcome, score=1.0))
        return records.VERDICTS.table(rows)
'''


def completion(name: str, text: str) -> dict[str, Any]:
    given = {"completion_id": name, "problem_id": "p", "group_id": "g", "turn": 0, "step": 0, "role": "policy", "model_id": "m"}
    more = {"prompt_ids": [1], "completion_ids": [2], "ids_source": "engine", "text": text, "logprobs": [0.0], "finish_reason": "stop"}
    return {**given, **more, "temperature": 1.0, "top_p": 1.0, "seed": 1, "sample_index": 0}


@pytest.fixture
def judged(tmp_path: Path):
    """Run the stage with settings of Flaky; returns its stats and verdicts."""
    (tmp_path / "flaky_verifier.py").write_text(FLAKY.replace("{calls}", str(tmp_path / "calls")).replace("    seen = None\n", ""))
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    rows = records.COMPLETIONS.table([completion("a", "odd"), completion("b", "even")])
    tables.write(rows, records.COMPLETIONS, tmp_path / "in" / "completions.parquet")
    UserCode.allow(tmp_path)

    def run(**settings: Any) -> tuple[dict[str, Any], pa.Table]:
        verifier = {"strategy": "flaky_verifier:Flaky", **settings}
        work = Work({"verifiers": [verifier]}, {"completions": [tmp_path / "in"]}, {}, 0, Machine())
        return stage.run(work, tmp_path / "out"), tables.read(tmp_path / "out" / "verdicts.parquet", records.VERDICTS)

    yield run
    UserCode.allow(None)
    sys.modules.pop("flaky_verifier", None)


def test_an_undecided_verdict_is_tried_once_more(judged):
    stats, verdicts = judged()
    assert verdicts["outcome"].to_pylist() == ["correct", "correct"]
    assert stats == {"outcomes": {"correct": 2}}


def test_what_stays_undecided_is_counted_and_kept(judged):
    stats, verdicts = judged(hopeless=True)
    assert verdicts["outcome"].to_pylist() == ["undecided", "correct"]
    assert stats["outcomes"] == {"correct": 1, "undecided": 1}


def test_a_verifier_that_owes_another_number_is_refused(judged):
    with pytest.raises(BrokenConservation, match="Flaky made 2 verdicts and owes 1"):
        judged(owing=1)


HALF = """
from typing import ClassVar
from lib import records
from lib.strategy import Strategy

class Half(Strategy):
    unit: ClassVar[str] = "group"

    def owes(self, tables):
        return tables.completions.num_rows

    def verify(self, tables, engines):
        rows, again = tables.completions.to_pylist(), tables.seed == 12
        made = []
        for c in rows:
            size = sum(other["group_id"] == c["group_id"] for other in rows)
            outcome = "undecided" if c["text"] == "odd" and not again else "correct"
            reason = f"{size} at try {1 + again}"
            made.append(dict(completion_id=c["completion_id"], verifier="half", reason=reason, n_tokens=1, outcome=outcome))
        return records.VERDICTS.table(made)
"""
"""Undecided about `odd` the first time; its reason says how many of the group it saw, and at which try."""


def run(tmp_path: Path, verifiers: list[Any], rows: list[dict[str, Any]], models: Any = None, **settings: Any) -> Any:
    for name in ("problems", "completions", "out"):
        (tmp_path / name).mkdir()
    gold = problem("p", "Q", answer="4")
    tables.write(records.PROBLEMS.table([gold]), records.PROBLEMS, tmp_path / "problems" / "problems.parquet")
    tables.write(records.COMPLETIONS.table(rows), records.COMPLETIONS, tmp_path / "completions" / "completions.parquet")
    inputs = {"problems": [tmp_path / "problems"], "completions": [tmp_path / "completions"]}
    told: list[tuple[int, int]] = []
    machine = Machine(report=lambda done, total: told.append((done, total)))
    dumped = {"verifiers": [one if isinstance(one, dict) else one.model_dump(mode="json") for one in verifiers], **settings}
    stats = stage.run(Work(dumped, inputs, models or {}, 11, machine), tmp_path / "out")
    return stats, tables.read(tmp_path / "out" / "verdicts.parquet", records.VERDICTS).to_pylist(), told


SCRIPT = {"engine": Scripted(otherwise="yes").model_dump(mode="json")}
POLICY = {"policy": ("m", Path()), "policy@base": ("b", Path())}


def group(*texts: str) -> list[dict[str, Any]]:
    return [completion(f"c{i}", text) | {"group_id": f"g{i // 3}", "sample_index": i} for i, text in enumerate(texts)]


@pytest.fixture
def half(tmp_path: Path):
    (tmp_path / "half_verifier.py").write_text(HALF)
    UserCode.allow(tmp_path)
    yield {"strategy": "half_verifier:Half"}
    UserCode.allow(None)
    sys.modules.pop("half_verifier", None)


def test_a_verifier_of_groups_sees_whole_groups_again_and_only_those(tmp_path, half):
    _, verdicts, _ = run(tmp_path, [half], group("a", "b", "odd", "c"))
    assert [(row["outcome"], row["reason"]) for row in verdicts] == [("correct", "3 at try 2")] * 3 + [("correct", "1 at try 1")]


def test_several_verifiers_report_how_far_they_agree(tmp_path):
    rows = group("#### 4", "#### 4", "#### 5", "#### 4", "#### 4", "#### 5")
    stats, _, _ = run(tmp_path, [Answer(), Judge()], rows, {"policy": ("m", Path())}, **SCRIPT)
    assert stats["agreement/answer/judge/correct/correct"] == 4
    assert stats["agreement/answer/judge/wrong/correct"] == 2
    assert stats["agreement/answer/judge/wrong/wrong"] == 0
    assert (stats["judged/judge"], stats["undecided/judge"]) == (6, 0)
    assert stats["outcomes"] == {"correct": 10, "wrong": 2}
    measured = {name: stats[f"gold/answer/judge/{name}"] for name in ("both", "said", "true")}
    assert measured == {"both": 4, "said": 6, "true": 4}


def test_the_gold_verifier_can_be_named(tmp_path):
    stats, _, _ = run(tmp_path, [Answer(), Majority()], group("#### 4", "#### 4", "#### 5"), gold="majority")
    assert stats["gold/majority/answer/both"] == 2
    assert not any(name.startswith("gold/answer") for name in stats)


def test_one_verifier_and_scorers_have_nobody_to_agree_with(tmp_path):
    stats, _, _ = run(tmp_path, [Answer(), Likelihood(tokens="text")], group("#### 4"), POLICY, **SCRIPT)
    assert stats == {"outcomes": {"correct": 1}}


def test_token_scores_are_published_once_for_every_completion_and_model(tmp_path):
    verifiers = [
        Likelihood(tokens="text"),
        Likelihood(name="sum", measure="sum", tokens="text"),
        Likelihood(name="before", model="base", tokens="text"),
    ]
    rows = [*group("#### 4", "no"), completion("x", "gone") | {"finish_reason": "error"}]
    stats, verdicts, _ = run(tmp_path, verifiers, rows, POLICY, **SCRIPT)
    scored = tables.read(tmp_path / "out" / "token_scores.parquet", records.TOKEN_SCORES).to_pylist()
    assert [(row["completion_id"], row["model_id"]) for row in scored] == [("c0", "b"), ("c0", "m"), ("c1", "b"), ("c1", "m")]
    assert len(scored[0]["logprobs"]) == len("#### 4") + 1
    assert len(verdicts) == 9
    assert stats["outcomes"] == {"undecided": 3}


def test_no_token_scores_are_published_without_a_verifier_that_has_them(tmp_path):
    run(tmp_path, [Answer()], group("#### 4"))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["verdicts.parquet"]


def test_two_verifiers_of_one_name_are_refused(tmp_path):
    with pytest.raises(UserError, match="2 verifiers of this stage are named 'judge'"):
        run(tmp_path, [Judge(), Judge(votes=2, temperature=1)], group("a"), POLICY, **SCRIPT)


def test_progress_goes_through_the_verifiers_to_its_end(tmp_path):
    _, _, told = run(tmp_path, [Answer(), Judge()], group("a", "b"), POLICY, **SCRIPT)
    assert told == sorted(told)
    assert told[0] == (0, 2 * stage.PARTS)
    assert told[-1] == (2 * stage.PARTS, 2 * stage.PARTS)


def test_votes_are_drawn_from_the_stages_seed_and_a_second_try_draws_anew(tmp_path):
    script = {"engine": Scripted(answers=(("a", ("yes", "what?")),), otherwise="").model_dump(mode="json")}
    judge = Judge(template="{completion}", temperature=1.0)
    rows = [completion(f"c{i}", "a") for i in range(64)]
    _, verdicts, _ = run(tmp_path, [judge], rows, POLICY, **script)
    undecided = [row for row in verdicts if row["outcome"] == "undecided"]
    assert len(undecided) < 26, "half would be, had nobody asked again"
    assert undecided


def test_a_verifier_that_looks_back_is_not_asked_about_the_undecided_alone(tmp_path):
    checks = [completion(f"c{i}", said) | {"parent_id": "a", "role": "check"} for i, said in enumerate(("?", "1"))]
    _, (row,), _ = run(tmp_path, [Consensus()], [completion("a", "x"), *checks])
    assert (row["completion_id"], row["outcome"], row["reason"]) == ("a", "undecided", "1 readable assessments")
