"""A round on real text: recorded solutions are verified, filtered and learned from, and held-out right solutions surprise less."""

import json

import pytest

from lib.campaign import CampaignFolder
from lib.small_model import TEXT

RECIPE = '''
"""Learn from recorded solutions that are {outcome}."""
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
    phases=(Phase(
        sampler=SOLUTIONS,
        filters=(Keep(where="outcome = '{outcome}'"), SftRows(allow_retokenised=True)),
        trainer=Sft(steps=40, batch_size=8, learning_rate=3e-3),
    ),),
    evaluators=(NegativeLogLikelihood(sampler=SOLUTIONS), PassAtK(k=(1,), sampler=Independent(n=1, max_new_tokens=96))),
    gate=None,
)
'''


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_right_solutions_lower_the_surprise_at_right_solutions_by_more_than_wrong_ones_do(run, home, data, tmp_path):
    solutions = data / "gsm8k" / "example_model_solutions.shared.jsonl"
    for name, outcome in (("right", "correct"), ("wrong", "wrong")):
        (tmp_path / f"{name}.py").write_text(RECIPE.format(outcome=outcome, path=solutions.resolve()))
    TEXT.build(tmp_path / "bytes", seed=0)
    recipes = f"{tmp_path / 'right.py'},{tmp_path / 'wrong.py'}"
    sizes = ("--count", "400", "--held-out", "50", "--rounds", "1", "--seeds", "1")
    words = ("compare", "--recipes", recipes, "--model", str(tmp_path / "bytes"), "--problems", f"gsm8k:{data / 'gsm8k' / 'test.jsonl'}")
    ended = run(*words, *sizes, "--json", seconds=1400)
    assert ended.returncode == 0, ended.stderr
    found = {(row["new"], row["old"], row["metric"]): row for row in json.loads(ended.stdout)["differences"]}
    assert found["right", "base", "nll_correct"]["high"] < -1
    assert found["right", "wrong", "nll_correct"]["high"] < 0
    told = {row["metric"]: row["value"] for row in CampaignFolder(home, "compare-right-seed0").test() if row["round"] == 1}
    assert told["pass_at_1"] == 0.0
