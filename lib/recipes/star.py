"""STaR (Zelikman et al. 2022): answer, keep what is right; where all attempts failed, answer again with a hint.

A hinted solution is learned as the answer to the prompt without the hint. Training restarts from the base model in every
round, on this round's solutions alone, as in the paper. Left out: few-shot prompts (the warm start takes their place), and
the hint is not the whole answer but the first intermediate result, since a Countdown answer is its own rationale.
"""

from lib.evaluators.greedy_accuracy import GreedyAccuracy
from lib.evaluators.pass_at_k import PassAtK
from lib.filters.cap_per_problem import CapPerProblem
from lib.filters.dedup import Dedup
from lib.filters.keep_correct import KeepCorrect
from lib.filters.sft_rows import SftRows
from lib.recipe import Phase, Recipe, Stage
from lib.samplers.independent import Independent
from lib.samplers.with_hint import WithHint
from lib.trainers.sft import Sft

RECIPE = Recipe(
    phases=(
        Phase(
            stages=(
                Stage(verb="sample", run=(Independent(n=4),)),
                Stage(verb="verify"),
                Stage(
                    verb="sample",
                    name="sample_hinted",
                    run=(WithHint(n=4, template="{prompt}#{hint}:", ending=":", pattern=r"=(\d+);"),),
                ),
                Stage(verb="verify", name="verify_hinted"),
                Stage(
                    verb="filter",
                    reads=("verify", "verify_hinted"),
                    run=(KeepCorrect(), Dedup(), CapPerProblem(n=4), SftRows(prompt="parent")),
                ),
                Stage(verb="train", run=(Sft(start_from="base", replay=("base",), steps=700, learning_rate=1.5e-3),)),
            ),
        ),
    ),
    evaluators=(PassAtK(k=(1, 8)), GreedyAccuracy()),
)
