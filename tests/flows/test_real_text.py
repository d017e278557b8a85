"""Other models' solutions of real problems through whole rounds: learning from right ones helps more than from wrong ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib.home import Home
from lib.small_model import TEXT
from tests.flows.conftest import Run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

RECIPE = '''"""Learn from recorded solutions that are {outcome}."""
from lib.evaluators.negative_log_likelihood import NegativeLogLikelihood
from lib.evaluators.pass_at_k import PassAtK
from lib.filters.keep import Keep
from lib.filters.sft_rows import SftRows
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.samplers.recorded import Recorded
from lib.trainers.sft import Sft

SOLUTIONS = Recorded(path="{path}")
RECIPE = Recipe(
    phases=(
        Phase(
            sampler=SOLUTIONS,
            filters=(Keep(where="outcome = '{outcome}'"), SftRows(allow_retokenised=True)),
            trainer=Sft(steps=20, batch_size=8, learning_rate=3e-3),
        ),
    ),
    evaluators=(NegativeLogLikelihood(sampler=SOLUTIONS), PassAtK(k=(1,), sampler=Independent(n=1, max_new_tokens=8))),
    gate=None,
)
'''


def test_right_solutions_lower_the_loss_of_right_solutions_by_more(run: Run, home: Home, data: Path, tmp_path: Path):
    solutions = data / "gsm8k" / "example_model_solutions.shared.jsonl"
    for name, outcome in (("right", "correct"), ("wrong", "wrong")):
        (tmp_path / f"{name}.py").write_text(RECIPE.format(outcome=outcome, path=solutions.resolve()))
    TEXT.build(tmp_path / "text", seed=0)
    words = ("compare", "--recipes", f"{tmp_path / 'right.py'},{tmp_path / 'wrong.py'}", "--model", str(tmp_path / "text"), "--json")
    ended = run(
        *words, "--problems", f"gsm8k:{data / 'gsm8k' / 'test.jsonl'}", "--count", "300", "--held-out", "30", "--rounds", "1", seconds=800
    )
    assert ended.returncode == 0, ended.stderr
    found = {(row["difference"], row["metric"]): row for row in json.loads(ended.stdout)["differences"]}
    assert float(found["compare-right − base", "nll_correct"]["to"]) < -1
    assert float(found["compare-right − compare-wrong", "nll_correct"]["to"]) < 0
