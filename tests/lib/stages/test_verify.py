"""The verify stage: every verifier pays what it owes, and an undecided verdict gets a second try."""

import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lib import records, tables
from lib.errors import BrokenConservation
from lib.protocols import Machine, Work
from lib.stages import verify as stage
from lib.strategy import UserCode

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
